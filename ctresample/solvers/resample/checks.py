"""What cannot go well, said in one line before the sampling starts."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ctresample.errors import PriorError, UsageError
from ctresample.learned.latent_prior import LatentPrior
from ctresample.solvers.diffusion.checks import check_generators
from ctresample.solvers.resample.settings import ReSampleSettings
from ctresample.units import mu_to_hu

MARGIN = 0.1
"""By which HU may pass the prior's range, as a fraction of it ..."""

TOLERATED = 0.1
"""... and the fraction of a slice's pixels that may pass it by more: metal does."""


def check_inputs(
    n_slices: int,
    settings: ReSampleSettings,
    generators: Sequence[torch.Generator],
    start: torch.Tensor | None,
) -> None:
    """`UsageError` if generators or the start image are missing."""
    check_generators("resample", generators, n_slices)
    if start is None and settings.start_level < 1:
        raise UsageError(f"resample: start_level is {settings.start_level}; below 1 a start image must be given")


def check_hu_range(start: torch.Tensor, prior: LatentPrior, mu_water: float) -> None:
    """`PriorError` if much of a slice's start image, in 1/mm, lies far outside the HU that the prior was trained on."""
    low, high = prior.config.hu_range
    margin = MARGIN * (high - low)
    hu = mu_to_hu(start, mu_water).reshape(-1, *start.shape[-2:])
    outside = ((hu < low - margin) | (hu > high + margin)).double().flatten(1).mean(1)
    worst = int(outside.argmax())
    if outside[worst] > TOLERATED:
        least, most = float(hu[worst].min()), float(hu[worst].max())
        raise PriorError(
            f"prior {prior.config.name} knows {low:g} to {high:g} HU, but {100 * float(outside[worst]):.0f} % of the "
            f"start image lies far outside ({least:.0f} to {most:.0f} HU) in slice {worst + 1} of a batch of "
            f"{len(hu)}; use a prior trained on such images, or check the unit of the data"
        )
