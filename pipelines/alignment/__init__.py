"""Where the rotation axis of a scan is, found in its data."""
