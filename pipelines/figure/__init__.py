"""The drawing of a scan."""
