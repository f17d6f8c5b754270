"""Whether distances of pixels and slices can be millimetres."""

from __future__ import annotations

import math
from collections.abc import Sequence

LEAST_MM, MOST_MM = 1e-4, 100.0
"""Of pixels: of nanotomography, and coarser than any scanner."""

_UNLIKE = 20.0
"""So many times their thickness, or the part of it, slices may lie apart; pixels may be finer by a few times more."""


def spacing_problem(spacing_mm: Sequence[float]) -> str:
    """What distances of pixels are expected, where these are none; empty if they may be."""
    if all(LEAST_MM <= mm <= MOST_MM for mm in spacing_mm):
        return ""
    return f"expected distances above 0, between {LEAST_MM:g} and {MOST_MM:g} mm; correct the header"


def pixel_doubts(spacing_mm: Sequence[float], thickness_mm: float = 0.0) -> list[str]:
    """What is odd about the distances of rows and columns, with the cause to look for.

    Args:
        spacing_mm: between rows, between columns.
        thickness_mm: of a slice, 0 where it is not known.
    """
    small, large = sorted(spacing_mm)
    pixels = f"pixels of {spacing_mm[0]:.4g} x {spacing_mm[1]:.4g} mm"
    if large > 10 * small:
        return [f"{pixels}; a digit lost in PixelSpacing?"]
    if small < 0.01 or large > 10:
        return [f"{pixels}; is PixelSpacing in mm?"]
    if thickness_mm > 2.5 * _UNLIKE * large:
        return [f"{pixels} in slices of {thickness_mm:.4g} mm; is PixelSpacing in mm?"]
    return []


def step_doubts(step_mm: float, thickness_mm: float) -> list[str]:
    """What is odd about the distance of slices, with the cause to look for; thickness 0 where it is not known."""
    if not 0 < thickness_mm < math.inf or thickness_mm / _UNLIKE <= step_mm <= _UNLIKE * thickness_mm:
        return []
    return [f"slices of {thickness_mm:.4g} mm lie {step_mm:.4g} mm apart; are positions and SliceThickness in mm?"]
