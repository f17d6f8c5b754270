"""Hard data consistency of latents: the measurement, and the ways to make an estimate agree with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from ctresample.consistency import (
    Neighbours,
    dual_proximal_step,
    fit_latent_by_adamw,
    fit_latent_by_gauss_newton,
    fit_pixels_by_adamw,
    gauss_newton,
    proximal_step,
    residual_ratio,
    spread_of_misfit,
)
from ctresample.consistency.misfit import LEAST_SPREAD_HU
from ctresample.learned.latent_prior import LatentPrior
from ctresample.operators import (
    LinearOperator,
    MeasurementModel,
    StackProjector,
    Weighted,
    WeightedModel,
    weighted,
)
from ctresample.operators.stack import SlicesOf, one_by_one
from ctresample.solvers.diffusion.schedule import Step
from ctresample.solvers.diffusion.volumes import from_slices, n_slices, to_slices
from ctresample.solvers.resample.defects import WEIGHT_DECAY, fixed_stop
from ctresample.solvers.resample.frames import Frame
from ctresample.solvers.resample.settings import ReSampleSettings, Stage
from ctresample.units import hu_to_mu, mu_to_hu


@dataclass
class Problem:
    """A measurement of a batch of slices, or of a volume, and latents of its slices brought to agree with it.

    Attributes:
        y: whitened measurement ``(B, 1, *range_shape)``.
        A: whitened model.
        sigma: what whitened them, shaped as ``y``.
        model: the model before that.
        prior: the latent diffusion prior.
        settings: see `ReSampleSettings`.
        mu_water: attenuation of water that HU refer to, in 1/mm.
        neighbours: of a volume, what its slices have to do with each other.
        frame: in which the prior sees the images at present; None for their own.
        agreed: images after a hard step, until `ratio` is asked for.
    """

    y: torch.Tensor
    A: Weighted | WeightedModel
    sigma: torch.Tensor
    model: MeasurementModel
    prior: LatentPrior
    settings: ReSampleSettings
    mu_water: float
    neighbours: Neighbours | None = None
    frame: Frame | None = None
    agreed: torch.Tensor | None = None
    _ratio: float | torch.Tensor = float("nan")

    @classmethod
    def whitened(
        cls,
        y: torch.Tensor,
        A: MeasurementModel,
        sigma: torch.Tensor,
        prior: LatentPrior,
        settings: ReSampleSettings,
        mu_water: float,
        neighbours: Neighbours | None = None,
    ) -> Problem:
        """The problem whose noise has variance one."""
        return cls(y / sigma, weighted(A, 1 / sigma), sigma.expand_as(y), A, prior, settings, mu_water, neighbours)

    def move_frame(self, generators: Sequence[torch.Generator]) -> None:
        """Let the prior see the images in another frame from now on, if the settings ask for it."""
        if self.settings.moving_frame:
            self.frame = Frame.drawn(generators, self.prior.size_multiple // 2)

    def agree(
        self,
        z_0: torch.Tensor,
        step: Step,
        stage: Stage,
        generators: Sequence[torch.Generator],
        *,
        relative_level: float = 1.0,
    ) -> torch.Tensor:
        """Latents near ``z_0`` whose image agrees with the measurement (eq. 8 in pixel, eq. 9 in latent space).

        Args:
            z_0: clean estimate ``(B, C, h, w)``.
            step: where in the schedule; it tells how far the prior's estimate is to be trusted.
            stage: which space to work in.
            generators: one a slice, of the frame that the result is for, where it moves.
            relative_level: of the step, as a fraction of the level that the run started from.
        """
        s = self.settings
        scale = s.spread_scale * relative_level**s.spread_power
        if stage == "latent":
            # a latent of unit variance, known from itself with noise, is uncertain by the square root of 1 - alpha_bar
            z_0 = self.fit_latent(z_0, spread=scale * (1 - step.alpha_bar) ** 0.5)
            self.agreed = self.decode(z_0)
            return z_0
        x = self.decode(z_0)
        agreed = self.fit_pixels(x, spread=scale * self._spread_of(x, step.t))
        self.agreed = agreed
        if s.encoding == "plain":
            self.move_frame(generators)
            return self.encode(agreed)
        # the difference of two encodings carries the correction without the autoencoder's own error
        return z_0 + self.encode(agreed) - self.encode(x)

    def round(self, z: torch.Tensor, generators: Sequence[torch.Generator]) -> torch.Tensor:
        """Latents of an image that agrees with the measurement, by the conditioned prior's estimate of those before."""
        x = self.decode(self.prior.estimate(z))
        agreed = self.fit_pixels(x, spread=self.settings.spread_scale * self._spread_of(x, t=None))
        self.agreed = agreed
        self.move_frame(generators)
        return self.encode(agreed)

    def _spread_of(self, x: torch.Tensor, t: int | None) -> torch.Tensor | float:
        """How far estimates at step ``t`` lie from the truth, in 1/mm; without a step the misfit alone tells."""
        hu = self.mu_water / 1000
        if t is not None and self.settings.spread == "level":
            return self.prior.spread_hu(t) * hu
        least = LEAST_SPREAD_HU * hu
        if self.apart:
            return spread_of_misfit(one_by_one(x), *self.apart, least=least).view(1, 1, -1, 1, 1)
        return spread_of_misfit(x, self.y, self.A, least=least)

    def fit_pixels(self, x: torch.Tensor, *, spread: torch.Tensor | float) -> torch.Tensor:
        """The image near ``x`` that the measurement makes likely; AdamW knows no ``spread``, in 1/mm."""
        s = self.settings
        if s.pixel_optimiser == "adamw":
            return fit_pixels_by_adamw(
                x, self.y, self.A, unit=self.unit, lr=s.pixel_lr, max_iterations=s.pixel_iterations, **self._descent
            )
        return self.proximal_step(x, spread)

    def proximal_step(self, x: torch.Tensor, spread: torch.Tensor | float) -> torch.Tensor:
        """``argmin_v |A v - y|^2 + |v - x|^2 / spread^2``."""
        n_cg, n_newton = self.settings.cg_iterations, self.settings.newton_iterations
        step = dual_proximal_step if self.settings.pixel_optimiser == "dual" else proximal_step

        def solve(x0: torch.Tensor, y: torch.Tensor, A: MeasurementModel, spread: torch.Tensor | float) -> torch.Tensor:
            if isinstance(A, LinearOperator):
                return step(x0, y, A, spread=spread, n_iterations=n_cg)
            return gauss_newton(x0, y, A, spread=spread, n_iterations=n_newton, cg_iterations=n_cg, proximal_step=step)

        if self.neighbours and self.neighbours.correlation:
            return self.neighbours.step(x, self.y, self.A, spread, solve)
        if self.apart:
            spread = one_by_one(spread) if isinstance(spread, torch.Tensor) else spread
            return solve(one_by_one(x), *self.apart, spread).reshape(x.shape)
        return solve(x, self.y, self.A, spread)

    def fit_latent(self, z_0: torch.Tensor, *, spread: float) -> torch.Tensor:
        """Latents near ``z_0`` whose decoded image agrees with the measurement; AdamW knows no ``spread``."""
        s, shape = self.settings, z_0.shape

        def decode(z: torch.Tensor) -> torch.Tensor:
            return self.decode(z.reshape(shape))

        # the slices of a volume, which are measured together, are fitted as one
        z_0 = z_0.reshape(len(self.y), -1, *shape[2:])
        if s.latent_optimiser == "gauss-newton":
            fitted = fit_latent_by_gauss_newton(
                z_0,
                self.y,
                self.A,
                decode,
                spread=spread,
                n_iterations=s.newton_iterations,
                cg_iterations=s.cg_iterations,
            )
        else:
            fitted = fit_latent_by_adamw(
                z_0, self.y, self.A, decode, lr=s.latent_lr, max_iterations=s.latent_iterations, **self._descent
            )
        return fitted.reshape(shape)

    def gradient_step(self, z: torch.Tensor, z_0: torch.Tensor, alpha_bar: float) -> torch.Tensor:
        """``z`` after a step down the gradient of the misfit, as in Latent-DPS but without the network's Jacobian.

        ``z - gradient_scale * sqrt(alpha_bar) * d|r| / dz_0`` for each slice, the norm not squared (of a volume times
        the root of the number of its slices, so that each moves as far as by itself). The residual ``r``
        is in what the model measures of half the prior's HU range along its longest ray, so that the scale depends
        neither on dose nor on units.
        """
        with torch.enable_grad():
            v = z_0.detach().requires_grad_()
            r = (self.A(self.decode(v)) - self.y) * self.sigma
            misfits = r.flatten(1).norm(dim=1) / self._measurement_unit * n_slices(self.A.domain_shape) ** 0.5
            (gradient,) = torch.autograd.grad(misfits.sum(), v)
        return z - self.settings.gradient_scale * alpha_bar**0.5 * gradient

    @cached_property
    def apart(self) -> tuple[torch.Tensor, Weighted] | None:
        """Of a stack the measurement and the operator with its slices as a batch, so that none depends on how many.

        None where slices are measured together, or by themselves anyway.
        """
        if not isinstance(self.model, StackProjector):
            return None
        return one_by_one(self.y), Weighted(SlicesOf(self.model), 1 / one_by_one(self.sigma))

    @property
    def unit(self) -> float:
        """Half the prior's HU range, in 1/mm: one unit of what its networks see."""
        low, high = self.prior.config.hu_range
        return (high - low) / 2 * self.mu_water / 1000

    @cached_property
    def _measurement_unit(self) -> torch.Tensor:
        """What the model measures of an image of ``unit`` along its longest ray, ``(B,)``; to first order from air."""
        air = self.sigma.new_zeros(len(self.sigma), 1, *self.model.domain_shape)
        return self.model.linearised(air)(air + self.unit).abs().flatten(1).amax(1)

    @cached_property
    def _descent(self) -> dict[str, Any]:
        """What defects of the released code change in its descents."""
        defects = self.settings.defects
        stop = {"target": fixed_stop(self._measurement_unit, self.sigma)} if "fixed-stop" in defects else {}
        return stop | ({"weight_decay": WEIGHT_DECAY} if "weight-decay" in defects else {})

    def encode(self, mu: torch.Tensor) -> torch.Tensor:
        """Normalised latents of images in 1/mm, as the prior sees them at present."""
        with torch.no_grad():
            mu = to_slices(mu, self.prior.size_multiple)
            seen = self.frame.there(mu) if self.frame else mu
            return self.prior.encode(mu_to_hu(seen, self.mu_water))

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Images in 1/mm, in their own place, of normalised latents; differentiable where ``z`` asks for it."""
        with torch.set_grad_enabled(z.requires_grad):
            mu = hu_to_mu(self.prior.decode(z), self.mu_water)
            mu = self.frame.back(mu) if self.frame else mu
            return from_slices(mu, self.A.domain_shape)

    def ratio(self) -> float | torch.Tensor:
        """Residual after the last hard step over what the noise predicts, mean over the batch; for whoever wants it."""
        if self.agreed is not None:
            self._ratio = residual_ratio(self.A(self.agreed).detach() - self.y).mean()
            self.agreed = None
        return self._ratio
