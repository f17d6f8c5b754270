"""Noise of a CT scan: photons sent and counted, the detector, lower doses, and the level of a scan that states none."""

from ctresample.noise.counting import COUNT_FLOOR, add_noise, line_integral_variance
from ctresample.noise.level import estimate_photons

__all__ = ["COUNT_FLOOR", "add_noise", "estimate_photons", "line_integral_variance"]
