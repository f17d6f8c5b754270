"""ReSample: latent diffusion sampling made hard-consistent with the measurement.

Song, Kwon, Zhang, Hu, Qu and Shen, "Solving Inverse Problems with Latent Diffusion Models via Hard Data
Consistency", ICLR 2024 (arXiv 2307.08123), Algorithm 1. Equation numbers are theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ctresample.consistency import (
    fit_latent_by_adamw,
    fit_pixels_by_adamw,
    gauss_newton,
    linearised_problem,
    proximal_step,
    residual_ratio,
)
from ctresample.errors import PriorError, UsageError
from ctresample.operators import LinearOperator, MeasurementModel, Weighted, WeightedModel, weighted
from ctresample.prior import LatentPrior
from ctresample.solvers.resample.settings import ReSampleSettings
from ctresample.solvers.tv import tv
from ctresample.status import Callback, report
from ctresample.units import MU_WATER_PER_MM, hu_to_mu, mu_to_hu


def resample(
    y: torch.Tensor,
    A: MeasurementModel,
    prior: LatentPrior,
    *,
    sigma: torch.Tensor,
    settings: ReSampleSettings,
    generators: Sequence[torch.Generator],
    start: torch.Tensor | None = None,
    mu_water_per_mm: float = MU_WATER_PER_MM,
    callback: Callback | None = None,
) -> torch.Tensor:
    """Attenuation images that the prior finds likely and the measurement allows.

    Args:
        y: line integrals ``(B, 1, views, detectors)``, or what else ``A`` measures.
        A: the projector, on images in 1/mm; or a nonlinear model, such as `Transmission` with ``y`` in counts.
        prior: the latent diffusion prior.
        sigma: standard deviation of each value of ``y``; of counts, see `Transmission.sigma`.
        settings: see `ReSampleSettings`.
        generators: one CPU generator a slice, the only source of randomness: a slice's result does not depend on
            the batch it is in, nor on the device.
        start: ``(B, 1, rows, columns)`` in 1/mm, encoded and noised to ``settings.start_level``; needed if that
            is below 1.
        mu_water_per_mm: attenuation of water that HU refer to.
        callback: told of every step.

    Returns:
        ``(B, 1, rows, columns)`` in 1/mm.

    Raises:
        UsageError: generators or a start image are missing.
        PriorError: the image does not fit the prior's networks, or the sampling diverged.
    """
    prior.check_shape(A.domain_shape)
    if len(generators) != len(y):
        raise UsageError(f"resample: there are {len(generators)} generators for {len(y)} slices; expected one a slice")
    if start is None and settings.start_level < 1:
        raise UsageError(f"resample: start_level is {settings.start_level}; below 1 a start image must be given")
    problem = _Problem(y / sigma, weighted(A, 1 / sigma), prior, settings, mu_water_per_mm)
    steps = timesteps(len(prior.alpha_bar), settings)
    alpha_bar = [float(prior.alpha_bar[t]) for t in steps] + [float(prior.alpha_bar[0])]
    z = problem.start(start, alpha_bar[0], generators)
    z_0 = z
    for i, t in enumerate(steps):
        z_0, epsilon = prior.predict(z, t)
        z = _ddim(z_0, epsilon, alpha_bar[i + 1])
        stage = problem.stage(i, t)
        if stage is not None:
            z_0 = problem.look_ahead(z, z_0, steps[i + 1 :], alpha_bar[i + 1 :])
            z_0 = problem.hard_consistency(z_0, t, stage)
            variance = resampling_variance(alpha_bar[i], alpha_bar[i + 1], settings.variance_scale)
            z = stochastic_resample(z_0, z, alpha_bar[i + 1], variance, generators)
        if not torch.isfinite(z).all():
            raise PriorError(f"resample diverged at step {i + 1} of {len(steps)}; is the prior's hu_range right?")
        if not report(callback, "resample", i + 1, len(steps), problem.ratio):
            break
    if settings.final == "latent":
        return problem.decode(problem.fit_latent(z_0))
    spread = settings.final_spread_hu * mu_water_per_mm / 1000
    x = problem.decode(z_0)
    if not isinstance(A, LinearOperator):
        A, y = linearised_problem(problem.proximal_step(x, spread), y, A)
    return tv(y, A, sigma=sigma, anchor=x, spread=spread, tolerance_hu=0.5, max_iterations=settings.final_iterations)


def timesteps(n_train: int, settings: ReSampleSettings) -> list[int]:
    """Schedule steps to visit, noisiest first: the DDIM steps ``1 + k n_train / n_steps`` up to the start level."""
    last = n_train - 1
    steps = {min(1 + k * n_train // settings.n_steps, last) for k in range(settings.n_steps)}
    return sorted((t for t in steps if t <= settings.start_level * last), reverse=True) or [min(steps)]


def resampling_variance(alpha_bar: float, alpha_bar_previous: float, scale: float) -> float:
    """``sigma_t^2`` of the resampling, as published (eq. 13 with its gamma)."""
    return scale * (1 - alpha_bar_previous) / alpha_bar * (1 - alpha_bar / alpha_bar_previous)


def stochastic_resample(
    z_0: torch.Tensor,
    z: torch.Tensor,
    alpha_bar: float,
    variance: float,
    generators: Sequence[torch.Generator],
) -> torch.Tensor:
    """Back onto the noisy manifold: a draw given both the consistent ``z_0`` and the unconditional ``z`` (Prop. 1).

    ``z_0`` says that the noisy latent is normal around ``sqrt(alpha_bar) z_0`` with variance ``1 - alpha_bar``, the
    sampler that it is normal around ``z`` with ``variance``; the draw is from the product of both.
    """
    total = variance + 1 - alpha_bar
    mean = (variance * alpha_bar**0.5 * z_0 + (1 - alpha_bar) * z) / total
    return mean + (variance * (1 - alpha_bar) / total) ** 0.5 * _normal_like(z, generators)


def _ddim(z_0: torch.Tensor, epsilon: torch.Tensor, alpha_bar: float) -> torch.Tensor:
    """Deterministic DDIM step to the level of ``alpha_bar``."""
    return alpha_bar**0.5 * z_0 + (1 - alpha_bar) ** 0.5 * epsilon


def _normal_like(z: torch.Tensor, generators: Sequence[torch.Generator]) -> torch.Tensor:
    draws = [torch.randn(z.shape[1:], generator=generator) for generator in generators]
    return torch.stack(draws).to(z)


@dataclass
class _Problem:
    """The whitened measurement and the ways to make an estimate agree with it."""

    y: torch.Tensor
    A: Weighted | WeightedModel
    prior: LatentPrior
    settings: ReSampleSettings
    mu_water: float
    ratio: float = float("nan")

    def start(
        self, start: torch.Tensor | None, alpha_bar: float, generators: Sequence[torch.Generator]
    ) -> torch.Tensor:
        """Noisy latents at the first level; pure noise has no use for a start image."""
        rows, columns = self.A.domain_shape
        probe = self.encode(self.y.new_zeros(1, 1, rows, columns) if start is None else start)
        noise = _normal_like(probe.expand(len(generators), -1, -1, -1), generators)
        return noise if start is None else _ddim(probe, noise, alpha_bar)

    def stage(self, i: int, t: int) -> str | None:
        """Which hard consistency step ``i`` at schedule step ``t`` calls for."""
        level = t / (len(self.prior.alpha_bar) - 1)
        if level > self.settings.pixel_level or i % self.settings.skip:
            return None
        return "pixel" if level > self.settings.latent_level else "latent"

    def look_ahead(
        self, z: torch.Tensor, z_0: torch.Tensor, steps: Sequence[int], alpha_bar: Sequence[float]
    ) -> torch.Tensor:
        """The estimate after a few more unconditional steps, cleaner than the present one."""
        for t, following in zip(steps[: self.settings.inner_steps], alpha_bar[1:], strict=False):
            z_0, epsilon = self.prior.predict(z, t)
            z = _ddim(z_0, epsilon, following)
        return z_0

    def hard_consistency(self, z_0: torch.Tensor, t: int, stage: str) -> torch.Tensor:
        """Latents near ``z_0`` whose image agrees with the measurement."""
        s = self.settings
        if stage == "latent":
            z_0 = self.fit_latent(z_0)
            self.note(self.decode(z_0))
            return z_0
        x = self.decode(z_0)
        if s.optimiser == "adamw":
            low, high = self.prior.config.hu_range
            unit = (high - low) / 2 * self.mu_water / 1000
            agreed = fit_pixels_by_adamw(x, self.y, self.A, unit=unit, lr=s.pixel_lr, max_iterations=s.pixel_iterations)
            self.note(agreed)
            return self.encode(agreed)
        spread = s.spread_scale * self.prior.spread_hu(t) * self.mu_water / 1000
        agreed = self.proximal_step(x, spread)
        self.note(agreed)
        # the difference of two encodings carries the correction without the autoencoder's own error
        return z_0 + self.encode(agreed) - self.encode(x)

    def proximal_step(self, x: torch.Tensor, spread: float) -> torch.Tensor:
        """The image near ``x`` that the measurement makes likely."""
        n_cg = self.settings.cg_iterations
        if isinstance(self.A, LinearOperator):
            return proximal_step(x, self.y, self.A, spread=spread, n_iterations=n_cg)
        n = self.settings.newton_iterations
        return gauss_newton(x, self.y, self.A, spread=spread, n_iterations=n, cg_iterations=n_cg)

    def fit_latent(self, z_0: torch.Tensor) -> torch.Tensor:
        """Latents near ``z_0`` whose decoded image agrees with the measurement, by descent through the decoder."""
        s = self.settings
        return fit_latent_by_adamw(z_0, self.y, self.A, self.decode, lr=s.latent_lr, max_iterations=s.latent_iterations)

    def encode(self, mu: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return self.prior.encode(mu_to_hu(mu, self.mu_water))

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        with torch.set_grad_enabled(z.requires_grad):
            return hu_to_mu(self.prior.decode(z), self.mu_water)

    def note(self, mu: torch.Tensor) -> None:
        self.ratio = float(residual_ratio(self.A(mu).detach() - self.y).mean())
