"""What an alignment found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctresample.sinogram import Sinogram


@dataclass(frozen=True)
class Alignment:
    """Where the axis was found.

    Attributes:
        parameter: of the geometry: ``detector_offset_mm`` of a parallel beam and a helix, else ``axis_offset_mm``.
        before_mm: its value in the file.
        found_mm: its value with the least misfit.
        bin_mm: what one detector bin is in that parameter.
        by_moments_mm: that of the centres of mass; None of other beams, and where views are cut off.
        misfit: ``(before, found)``, root mean square of the line integrals' misfit, of a helix of the
            differences between both readings of a line.
    """

    parameter: str
    before_mm: float
    found_mm: float
    bin_mm: float
    by_moments_mm: float | None
    misfit: tuple[float, float]

    @property
    def moved_bins(self) -> float:
        """By how many bins the axis was off."""
        return (self.found_mm - self.before_mm) / self.bin_mm

    def apply(self, sinogram: Sinogram) -> Sinogram:
        """The scan with the axis where it was found."""
        origin = f"{sinogram.origin}; axis aligned by {self.moved_bins:+.2f} bins"
        change: dict[str, Any] = {self.parameter: self.found_mm}
        geometry = replace(sinogram.geometry, **change)
        return replace(sinogram, geometry=geometry, origin=origin)


def lowest(places: NDArray[np.floating], values: list[float]) -> float:
    """Where a parabola through the squares is lowest, within the places."""
    middle = float(places[len(places) // 2])
    scale = float(places[1] - places[0])
    a, b, _ = np.polyfit((np.asarray(places) - middle) / scale, np.square(values), 2)
    if a <= 0:
        return float(places[int(np.argmin(values))])
    half = (len(places) - 1) / 2
    return middle + scale * float(np.clip(-b / (2 * a), -half, half))
