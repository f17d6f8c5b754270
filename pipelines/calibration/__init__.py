"""How far to trust a reconstruction: intervals, bounds and warnings, calibrated on scans whose truth is known."""
