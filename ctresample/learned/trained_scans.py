"""Which scans a denoiser was trained on, and what of another scan is beyond them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ctresample.geometry.arcs import is_limited
from ctresample.sinogram import Sinogram

_LIMITED = (
    "this scan is of a limited angle, of which the denoiser of scans has seen few: total variation may come nearer to "
    "the truth, and preset fast does"
)


@dataclass(frozen=True)
class TrainedScans:
    """The scans whose images a conditioned denoiser was shown.

    Attributes:
        n_views: fewest and most views.
        photons: fewest and most a ray; scans without noise always belong to them.
        beams: names of their geometries.
    """

    n_views: tuple[int, int]
    photons: tuple[float, float]
    beams: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in ("n_views", "photons"):
            low, high = getattr(self, name)
            if not 0 < low <= high < math.inf:
                raise ValueError(f"{name} is {low}, {high}; expected two numbers above 0, the smaller first")

    @classmethod
    def of(cls, raw: dict[str, Any]) -> TrainedScans:
        """As ``prior.json`` keeps them; `ValueError`, `TypeError` or `KeyError` where they are not whole."""
        views, photons = raw["n_views"], raw["photons"]
        return cls(
            (int(views[0]), int(views[1])), (float(photons[0]), float(photons[1])), tuple(map(str, raw["beams"]))
        )

    def beyond(self, sinogram: Sinogram) -> str | None:
        """What of a scan the denoiser has not or hardly seen, a sentence; None of one like those it was trained on."""
        geometry = sinogram.geometry
        photons = None if sinogram.photons is None else float(np.median(sinogram.photons))
        found = []
        if geometry.name not in self.beams:
            found.append(f"a {geometry.name} beam")
        if not self.n_views[0] <= geometry.n_views <= self.n_views[1]:
            found.append(f"{geometry.n_views} views")
        if photons is not None and not self.photons[0] <= photons <= self.photons[1]:
            found.append(f"{photons:.3g} photons a ray")
        if not found:
            return _LIMITED if is_limited(geometry) else None
        low, high = self.photons
        return (
            f"this scan, of {' and '.join(found)}, is beyond those that the denoiser of scans was trained on "
            f"({' and '.join(dict.fromkeys(self.beams))} beams, {self.n_views[0]} to {self.n_views[1]} views, "
            f"{low:.3g} to {high:.3g} photons or no noise): compare with preset fast, which does without it there"
        )
