"""Simulated scans of CT volumes."""
