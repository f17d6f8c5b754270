"""Settings of the training of a prior's denoiser of neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ctresample.errors import UsageError
from ctresample.pipelines.training.settings import RunSettings


@dataclass(frozen=True)
class NeighbourSettings:
    """Shape and training of a denoiser of neighbours, and the scans whose errors it is to see.

    Attributes:
        run: the training run; an image of its ``batch_size`` is a row of slices.
        channels: width of the network at each resolution.
        layers_per_block: residual layers at each resolution.
        n_steps: of the schedule, from the cleanest on, that it is trained for.
        slices: in a row.
        crop: rows and columns of latents of a row.
        thickest_mm: from a slice to the next, of volumes that are trained on.
        scans: of each volume.
        stagger: sets of angles that its slices take in turns.
        n_views: fewest and most views of a scan.
        photons: fewest and most photons a ray.
        scanned_share: share of rows that have a random part of the error of a scan's TV image, beside the noise.
        pool: one pose of every volume encoded and drawn from, a new one every ``pool`` steps.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}  # a recipe with a misspelt entry is refused

    run: RunSettings
    channels: tuple[int, ...] = (64, 96)
    layers_per_block: int = 1
    n_steps: int = 120
    slices: int = 7
    crop: int = 40
    thickest_mm: float = 3.0
    scans: int = 2
    stagger: int = 5
    n_views: tuple[int, int] = (15, 40)
    photons: tuple[float, float] = (3e4, 3e5)
    scanned_share: float = 0.7
    pool: int = 150

    def __post_init__(self) -> None:
        if not self.channels or self.slices < 2 or self.pool < 1 or self.n_steps < 1 or self.scans < 0:
            raise UsageError(
                f"training: channels is {list(self.channels)}, slices {self.slices}, pool {self.pool}, n_steps "
                f"{self.n_steps} and scans {self.scans}; expected one width or more, 2 slices, a pool and steps of 1 "
                "or more, and 0 scans or more"
            )
        if not 0 <= self.scanned_share <= 1 or self.thickest_mm <= 0:
            raise UsageError(
                f"training: scanned_share is {self.scanned_share} and thickest_mm {self.thickest_mm}; expected a "
                "fraction, and a number above 0"
            )
