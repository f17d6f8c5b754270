"""Rounds of a network and of the data: an unrolled method for any scan whose projector it is given.

Genzel, Gutsche, Macdonald and Maerz, "Near-exact recovery for tomographic inverse problems via deep learning", ICML
2022: a network trained on simulated scans takes out artefacts, a data step brings the measurement back, a few times.
Here the network is the denoiser of a conditioned prior, asked without noise, so one set of weights serves for all.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ctresample.consistency import dual_proximal_step, residual_ratio, spread_of_misfit
from ctresample.consistency.misfit import LEAST_SPREAD_HU
from ctresample.errors import UsageError
from ctresample.learned.latent_prior import LatentPrior
from ctresample.operators import LinearOperator, Weighted
from ctresample.operators.given import measured
from ctresample.solvers.diffusion.volumes import from_slices, to_slices
from ctresample.status import Callback, report
from ctresample.units import hu_to_mu, mu_to_hu


@dataclass(frozen=True)
class ItNetSettings:
    """How often, and how strongly the data pull.

    Attributes:
        rounds: of network and data.
        spread_scale: how far an image may move, as a multiple of the error that its misfit stands for
            (`spread_of_misfit`).
        cg_iterations: of the data step.
    """

    rounds: int = 3
    spread_scale: float = 1.0
    cg_iterations: int = 6

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.cg_iterations < 1 or not self.spread_scale > 0:
            raise UsageError(
                f"itnet settings: rounds is {self.rounds}, cg_iterations {self.cg_iterations} and spread_scale "
                f"{self.spread_scale}; expected 1 or more, 1 or more and a number above 0"
            )


@torch.no_grad()
def itnet(
    y: torch.Tensor,
    A: LinearOperator,
    prior: LatentPrior,
    *,
    sigma: torch.Tensor,
    settings: ItNetSettings,
    start: torch.Tensor,
    mu_water_per_mm: float,
    callback: Callback | None = None,
) -> torch.Tensor:
    """Attenuation images that agree with the measurement, after the rounds.

    Args:
        y: line integrals ``(B, 1, views, detectors)``.
        A: the projector, on images in 1/mm.
        prior: a conditioned one.
        sigma: standard deviation of each value of ``y``.
        settings: see `ItNetSettings`.
        start: ``(B, 1, rows, columns)`` in 1/mm, such as that of `coarse_tv`.
        mu_water_per_mm: attenuation of water that HU refer to.
        callback: told of every round.
    """
    prior.check_shape(A.domain_shape)
    y, sigma = measured(A, y, sigma)
    W, y = Weighted(A, 1 / sigma), y / sigma
    x = agreeing(start, y, W, settings, mu_water_per_mm)
    for done in range(1, settings.rounds + 1):
        seen = mu_to_hu(to_slices(x, prior.size_multiple), mu_water_per_mm)
        expected = hu_to_mu(prior.decode(prior.estimate(prior.encode(seen))), mu_water_per_mm)
        x = agreeing(from_slices(expected, A.domain_shape), y, W, settings, mu_water_per_mm)
        if callback and not report(callback, "itnet", done, settings.rounds, residual_ratio(W(x) - y).mean()):
            break
    return x


def agreeing(
    x: torch.Tensor, y: torch.Tensor, A: LinearOperator, settings: ItNetSettings, mu_water_per_mm: float
) -> torch.Tensor:
    """The image near ``x`` that agrees with the whitened measurement, as near as its own misfit says."""
    spread = settings.spread_scale * spread_of_misfit(x, y, A, least=LEAST_SPREAD_HU * mu_water_per_mm / 1000)
    return dual_proximal_step(x, y, A, spread=spread, n_iterations=settings.cg_iterations)
