"""The whitened measurement as seen from the latents of a prior."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ctresample.learned.diffusion_prior import DiffusionPrior
from ctresample.operators import LinearOperator, Weighted
from ctresample.operators.given import measured
from ctresample.solvers.diffusion.volumes import from_slices, n_slices, to_slices
from ctresample.units import hu_to_mu, mu_to_hu


@dataclass(frozen=True)
class LatentProblem:
    """Images in 1/mm of latents, and how far they are from the data; or a volume of the latents of its slices.

    Attributes:
        y: line integrals over their standard deviation ``(B, 1, views, detectors)``.
        A: the projector with its rows divided likewise.
        prior: encodes and decodes.
        mu_water_per_mm: attenuation of water that HU refer to.
    """

    y: torch.Tensor
    A: Weighted
    prior: DiffusionPrior
    mu_water_per_mm: float

    @classmethod
    def whitened(
        cls, y: torch.Tensor, A: LinearOperator, sigma: torch.Tensor, prior: DiffusionPrior, mu_water_per_mm: float
    ) -> LatentProblem:
        """Of line integrals ``y`` with standard deviations ``sigma``; `PriorError` if the image does not fit."""
        prior.check_shape(A.domain_shape)
        y, sigma = measured(A, y, sigma)
        return cls(y / sigma, Weighted(A, 1 / sigma), prior, mu_water_per_mm)

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Normalised latents of images ``(B, 1, rows, columns)`` in 1/mm."""
        slices = to_slices(x, self.prior.size_multiple)
        return self.prior.encode(mu_to_hu(slices, self.mu_water_per_mm))

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Images in 1/mm of normalised latents."""
        return from_slices(hu_to_mu(self.prior.decode(z), self.mu_water_per_mm), self.A.domain_shape)

    def empty_latents(self) -> torch.Tensor:
        """Zeros in the shape of the latents of all slices."""
        z = self.encode(self.y.new_zeros(1, 1, *self.A.domain_shape))
        return z.new_zeros(self.n_slices, *z.shape[1:])

    @property
    def n_slices(self) -> int:
        """Of all images."""
        return len(self.y) * n_slices(self.A.domain_shape)

    def residual(self, x: torch.Tensor) -> torch.Tensor:
        """What the whitened measurement has that an image has not."""
        return self.y - self.A(x)

    def spread(self, t: int) -> float:
        """How far the estimate at step ``t`` is expected to be from the truth, in 1/mm; see `spread_hu`."""
        return self.prior.spread_hu(t) * self.mu_water_per_mm / 1000

    def gain(self) -> torch.Tensor:
        """How strongly the whitened operator acts on a slice whose HU range is [-1, 1], ``(B,)``.

        The norm of a uniform image's measurement over that of the image: somewhat below the operator norm, for the
        largest singular vector of a projector is smooth and positive. The residual of a volume is that of many
        slices, so that its gradient by one of them would be smaller by the root of their number: the gain is, too.
        """
        low, high = self.prior.config.hu_range
        unit = (high - low) / 2 * self.mu_water_per_mm / 1000
        seen = self.A(self.y.new_full((len(self.y), 1, *self.A.domain_shape), unit))
        return norm(seen) / (self.A.domain_shape[-2] * self.A.domain_shape[-1]) ** 0.5 / n_slices(self.A.domain_shape)


def norm(v: torch.Tensor) -> torch.Tensor:
    """Euclidean norm of each slice, ``(B,)``."""
    return v.flatten(1).square().sum(1).sqrt()
