"""Facts as `ctresample info` shows them, and numbers in words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Facts = dict[str, str]


def slice_step(mm: float, even: bool) -> str:
    """The distance between slices."""
    return f"{mm:.4g} mm{'' if even else ' (median), uneven'}"


def by(shape: tuple[int, ...]) -> str:
    """A shape."""
    return " x ".join(map(str, shape))


def in_range(photons: float | NDArray[np.floating]) -> str:
    """Photons: one number, or the least and the most."""
    low, high = float(np.min(photons)), float(np.max(photons))
    return f"{low:,.6g}" if low == high else f"{low:,.6g} to {high:,.6g}"
