"""From latents that agree with the measurement back to noisy ones (Song et al., ICLR 2024, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ctresample.solvers.diffusion.schedule import Step
from ctresample.solvers.diffusion.steps import normal_like
from ctresample.solvers.resample.settings import ReSampleSettings, Variance


def resampled(
    z_0: torch.Tensor,
    z: torch.Tensor,
    step: Step,
    settings: ReSampleSettings,
    generators: Sequence[torch.Generator],
) -> torch.Tensor:
    """Noisy latents at the level after ``step``, given consistent ``z_0`` and unconditional ``z``, as the settings say.

    Args:
        z_0: clean latents ``(B, C, h, w)``.
        z: what the unconditional step made, at the level wanted.
        step: the present step.
        settings: choice of resampling and of its variance.
        generators: one a slice.
    """
    alpha_bar = step.alpha_bar_previous
    if settings.resampling == "encoding":
        return stochastic_encode(z_0, alpha_bar, generators)
    variance = resampling_variance(step.alpha_bar, alpha_bar, settings.variance_scale, settings.variance)
    return stochastic_resample(z_0, z, alpha_bar, variance, generators)


def resampling_variance(
    alpha_bar: float, alpha_bar_previous: float, scale: float, variance: Variance = "published"
) -> float:
    """``sigma_t^2`` of the resampling: eq. 13 as published, or what the released code has in its place.

    Published: ``gamma (1 - a_p) / a_t (1 - a_t / a_p)``; released: with ``1 - a_t`` for ``a_t`` in the denominator.
    From pure noise (``a_t = 0``) the published one is infinite: nothing of the unconditional path is kept.
    """
    denominator = alpha_bar if variance == "published" else 1 - alpha_bar
    factor = scale * (1 - alpha_bar_previous) * (1 - alpha_bar / alpha_bar_previous)
    return factor / denominator if denominator else float("inf")


def stochastic_resample(
    z_0: torch.Tensor,
    z: torch.Tensor,
    alpha_bar: float,
    variance: float,
    generators: Sequence[torch.Generator],
) -> torch.Tensor:
    """Back onto the noisy manifold: a draw given both the consistent ``z_0`` and the unconditional ``z`` (Prop. 2).

    ``z_0`` says that the noisy latent is normal around ``sqrt(alpha_bar) z_0`` with variance ``1 - alpha_bar``, the
    sampler that it is normal around ``z`` with ``variance``; the draw is from the product of both.
    """
    if alpha_bar == 1 or variance == float("inf"):  # z_0 alone has a say
        return stochastic_encode(z_0, alpha_bar, generators)
    total = variance + 1 - alpha_bar
    mean = (variance * alpha_bar**0.5 * z_0 + (1 - alpha_bar) * z) / total
    return mean + (variance * (1 - alpha_bar) / total) ** 0.5 * normal_like(z, generators)


def stochastic_encode(z_0: torch.Tensor, alpha_bar: float, generators: Sequence[torch.Generator]) -> torch.Tensor:
    """``z_0`` with fresh noise (Prop. 1): ``sqrt(alpha_bar) z_0 + sqrt(1 - alpha_bar) n``."""
    return alpha_bar**0.5 * z_0 + (1 - alpha_bar) ** 0.5 * normal_like(z_0, generators)
