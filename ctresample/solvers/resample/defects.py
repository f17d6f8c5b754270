"""What the released code of ReSample does wrong, each on its own, so that its cost can be measured.

Known defects of https://github.com/soominkwon/resample as of November 2024, described from their mathematics. What is
a choice rather than a mistake is a setting instead: the released variance, the gradient step, plain encoding.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import torch

from ctresample.bad_rays import BAD_RAY_SIGMA
from ctresample.consistency import noise_ratio, residual_ratio
from ctresample.solvers.diffusion.schedule import Step

Defect = Literal["tweedie-slip", "inner-step-levels", "fixed-stop", "weight-decay"]
"""tweedie-slip: the clean estimate keeps some of the noise, see `tweedie`.
inner-step-levels: steps ahead use the levels of the step before, see `inner_step`.
fixed-stop: descents stop at a fixed misfit whatever the noise, see `fixed_stop`.
weight-decay: AdamW keeps its default weight decay, which shrinks also what the data do not see."""

WEIGHT_DECAY = 0.01
"""AdamW's default in torch."""

STOP_RMS = 1e-3
"""At which the released descents stop, for images in [-1, 1] and a forward model that averages."""


def tweedie(z_0: torch.Tensor, epsilon: torch.Tensor, alpha_bar: float, defects: Collection[Defect]) -> torch.Tensor:
    """The clean estimate that consistency is imposed on: ``z_0``; or with the slip, what the released code has.

    Tweedie's formula ``(z_t + (1 - a) score) / sqrt(a)`` takes the score, which is ``-epsilon / sqrt(1 - a)``; the code
    has ``-epsilon`` in its place. That leaves ``(sqrt(1 - a) - (1 - a)) / sqrt(a)`` of the noise in the estimate.
    """
    if "tweedie-slip" not in defects:
        return z_0
    return z_0 + ((1 - alpha_bar) ** 0.5 - (1 - alpha_bar)) / alpha_bar**0.5 * epsilon


def inner_step(
    z: torch.Tensor,
    z_0: torch.Tensor,
    epsilon: torch.Tensor,
    step: Step,
    before: Step,
    defects: Collection[Defect],
) -> tuple[torch.Tensor, Step]:
    """Estimate and levels of a step ahead; with the defect those of the noisier step ``before``, an index too high."""
    if "inner-step-levels" not in defects:
        return z_0, step
    return (z - (1 - before.alpha_bar) ** 0.5 * epsilon) / before.alpha_bar**0.5, before


def fixed_stop(measurement_unit: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """The fixed stop of the released code, in noise levels of each slice, ``(B,)``.

    Args:
        measurement_unit: what the model measures of an image of 1 on the scale of [-1, 1], along its longest ray; the
            released threshold belongs to models that average, and so measure 1.
        sigma: standard deviation of each measured value, ``(B, 1, *range_shape)``; rays that are not known do not
            count.
    """
    known = torch.where(sigma < BAD_RAY_SIGMA, sigma, 0)
    return STOP_RMS * measurement_unit * noise_ratio(sigma) ** 2 / residual_ratio(known)
