"""Lesions put into real slices before the scan: what comes back of them by each method."""
