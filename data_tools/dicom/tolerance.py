"""The one tolerance of places: how far a pixel may lie from where an even, upright stack of slices puts it.

Steps, sideways shifts and direction cosines are all judged by what they move a pixel. Positions are often rounded to a
tenth of a millimetre and cosines to a few digits; interpolating slices for that would cost more sharpness than it
mends, and refusing them would help nobody.
"""

from __future__ import annotations

PIXEL_SHARE = 1 / 3
"""Of a pixel's edge, to either side within the plane of a slice."""
STEP_SHARE = 1 / 100
"""Of the step between slices, along their normal, where an error adds up to a wrong length."""
ROUNDING_MM = 0.1
"""Of positions with one decimal, the ends of the stack among them."""


def within_plane_mm(pixel_mm: float) -> float:
    """How far a slice may be shifted to either side: a third of a pixel, or rounding up to half of one."""
    return max(PIXEL_SHARE * pixel_mm, min(ROUNDING_MM, pixel_mm / 2))


def along_normal_mm(step_mm: float) -> float:
    """How far a slice may lie from its place on an even grid: a hundredth of a step, or rounding up to a fifth."""
    return max(STEP_SHARE * step_mm, min(ROUNDING_MM, step_mm / 5))


def same_place_mm(pixel_mm: float) -> float:
    """Slices closer than this lie at one position: a hundredth of a millimetre, less for tiny pixels."""
    return min(0.01, pixel_mm / 20)
