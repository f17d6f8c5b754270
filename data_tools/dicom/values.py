"""Whether decoded values can be HU of a body: the last judge, where headers say nothing or lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOWEST_PLAUSIBLE_HU = -1024.0
HIGHEST_PLAUSIBLE_HU = 30_000.0
"""Of metal, on an extended scale."""

_LOWEST_BODY_HU, _HIGHEST_BODY_HU = -1100.0, 4000.0
_AIR_BELOW_HU = -500.0
_WATER_WITHIN_HU = 300.0
_NARROW_HU = 10.0
_MUCH_METAL = 0.05


@dataclass(frozen=True)
class ValueCounts:
    """What values some pixels have, padding left aside; counts of several slices add up.

    Attributes:
        n: pixels.
        n_padding: beside them, padding.
        lowest: HU; 0 without pixels.
        highest: HU.
        n_below: under -1024 HU.
        n_body: -1100 to 4000 HU, what air and bodies without metal have.
        n_air: -1100 to -500 HU.
        n_water: -300 to 300 HU: water, fat, soft tissue.
        n_above: above 4000 HU.
    """

    n: int = 0
    n_padding: int = 0
    lowest: float = 0.0
    highest: float = 0.0
    n_below: int = 0
    n_body: int = 0
    n_air: int = 0
    n_water: int = 0
    n_above: int = 0

    @classmethod
    def of(cls, hu: NDArray[np.float32], padding: NDArray[np.bool_] | None = None) -> ValueCounts:
        """Count the pixels of an array of any shape."""
        n_padding = 0 if padding is None else int(np.count_nonzero(padding))
        values = hu.ravel() if not n_padding or padding is None else hu[~padding]
        if not values.size:
            return cls(n_padding=n_padding)
        low, high = float(values.min()), float(values.max())
        below_body = int(np.count_nonzero(values < _LOWEST_BODY_HU)) if low < _LOWEST_BODY_HU else 0
        above = int(np.count_nonzero(values > _HIGHEST_BODY_HU)) if high > _HIGHEST_BODY_HU else 0
        return cls(
            n=values.size,
            n_padding=n_padding,
            lowest=low,
            highest=high,
            n_below=int(np.count_nonzero(values < LOWEST_PLAUSIBLE_HU)) if low < LOWEST_PLAUSIBLE_HU else 0,
            n_body=values.size - below_body - above,
            n_air=int(np.count_nonzero(values < _AIR_BELOW_HU)) - below_body,
            n_water=int(np.count_nonzero(np.abs(values) <= _WATER_WITHIN_HU)),
            n_above=above,
        )

    def __add__(self, other: ValueCounts) -> ValueCounts:
        if not self.n or not other.n:
            some = self if self.n else other
            return ValueCounts(**{**vars(some), "n_padding": self.n_padding + other.n_padding})
        sums = {name: value + vars(other)[name] for name, value in vars(self).items()}
        lowest, highest = min(self.lowest, other.lowest), max(self.highest, other.highest)
        return ValueCounts(**{**sums, "lowest": lowest, "highest": highest})

    def far_below_air(self) -> str:
        """What is said of values below -1024 HU; empty where there are none."""
        if not self.n_below:
            return ""
        return (
            f"{self.n_below} pixels lie below {LOWEST_PLAUSIBLE_HU:g} HU (down to {self.lowest:g}) and are kept, but "
            "raised to -1000 HU (air) where they are scanned, scored or trained on; undeclared padding, or "
            "RescaleIntercept twice?"
        )

    def why_not_hu(self) -> str:
        """Why the values are certainly no HU; empty if they may be."""
        if self.n and not (np.isfinite(self.lowest) and np.isfinite(self.highest)):
            return "values that are not finite"
        if self.n and not self.n_body:
            return (
                f"values of {self.lowest:g} to {self.highest:g}, none between {_LOWEST_BODY_HU:g} and "
                f"{_HIGHEST_BODY_HU:g} HU, where all that is air or body lies"
            )
        return ""

    def doubts(self, header: Mapping[str, Any]) -> list[str]:
        """What makes it doubtful that the values are HU, each with the causes to look for.

        Args:
            header: DICOM JSON of one of the slices; empty for values without any.
        """
        if not self.n:
            return []
        if self.highest > HIGHEST_PLAUSIBLE_HU:
            wraps = _number(header, "00280103") == 0 and self.highest > 2**15
            cause = "signed pixels declared as unsigned (PixelRepresentation)?" if wraps else "RescaleSlope, unit?"
            return [f"values reach {self.highest:g} HU, which not even metal has; {cause}"]
        found = []
        if self.n_above > _MUCH_METAL * self.n:
            found.append(f"{self.n_above / self.n:.0%} of the pixels lie above 4000 HU; RescaleSlope, unit?")
        if self.n > 1 and self.highest - self.lowest < _NARROW_HU and self.lowest > -_NARROW_HU:
            found.append(
                f"all values lie between {self.lowest:g} and {self.highest:g}; another unit, such as attenuation?"
            )
        elif not self.n_air and self.n_below < self.n / 100:
            found.append(f"no value lies near air, the lowest is {self.lowest:g} HU; {self._why_no_air(header)}")
        elif self.highest < _AIR_BELOW_HU:
            found.append(f"all values lie below {_AIR_BELOW_HU:g} HU: air alone; RescaleSlope, RescaleIntercept?")
        elif not self.n_water:
            found.append("no value lies within 300 HU of water; RescaleIntercept, RescaleSlope?")
        return found

    def _why_no_air(self, header: Mapping[str, Any]) -> str:
        if _number(header, "00281052") == 0 and self.lowest >= 0:
            if self.highest <= 255:
                return "the grey values of a picture, 0 to 255?"
            return "RescaleIntercept is 0 over values counted from 0?"
        return "a field of view inside the body, or a wrong RescaleIntercept?"


def _number(header: Mapping[str, Any], tag: str) -> float | None:
    values = header.get(tag, {}).get("Value") or [None]
    return values[0] if isinstance(values[0], int | float) else None
