"""Noise of a CT scan: photons sent and counted, the detector, lower doses, and the level of a scan that states none."""

from ctresample.noise.counting import COUNT_FLOOR, add_noise, check_noise, line_integral_variance
from ctresample.noise.detector import blurred, gain_errors, with_crosstalk
from ctresample.noise.dose import bow_tie, tube_current
from ctresample.noise.insertion import thinned
from ctresample.noise.level import estimate_photons
from ctresample.noise.scanner import PLAIN, Scanner

__all__ = [
    "COUNT_FLOOR",
    "PLAIN",
    "Scanner",
    "add_noise",
    "blurred",
    "bow_tie",
    "check_noise",
    "estimate_photons",
    "gain_errors",
    "line_integral_variance",
    "thinned",
    "tube_current",
    "with_crosstalk",
]
