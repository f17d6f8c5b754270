"""What a detector got wrong, found in the sinogram itself: rings, dead and flickering bins, zingers."""

from ctresample.cleaning.bins import odd_bins, suspicious_bins
from ctresample.cleaning.clean import cleaned
from ctresample.cleaning.rings import ring_offsets
from ctresample.cleaning.zingers import zingers_in

__all__ = ["cleaned", "odd_bins", "ring_offsets", "suspicious_bins", "zingers_in"]
