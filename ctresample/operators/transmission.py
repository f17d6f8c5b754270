"""Photon counts behind an object, and what they say about it.

Erdogan and Fessler, "Monotonic algorithms for transmission tomography", IEEE TMI 18(9), 1999; electronic noise as
in Yavuz and Fessler, "Statistical image reconstruction methods for randoms-precorrected PET scans", Med. Image Anal.
2(4), 1998 (a Poisson law shifted by the variance of the read-out).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from ctresample.errors import SinogramError, UsageError
from ctresample.noise import COUNT_FLOOR
from ctresample.operators.base import LinearOperator, MeasurementModel, checked
from ctresample.operators.whitening import Weighted


class Transmission(MeasurementModel):
    """Expected counts ``I0 exp(-A x)``: images ``(B, 1, *grid.shape)`` in 1/mm to photons ``(B, 1, *geometry.shape)``.

    Where few photons arrive, the logarithm of a noisy count is biased, and a count of zero has none; the counts
    themselves are right on average at any dose.

    Args:
        line_integrals: ``A``, a projector; or a `Polychromatic` model, for a beam of many energies.
        photons: ``I0``, photons sent along each ray: one number, or ``(views, detectors)``.
        electronic_noise: standard deviation of the read-out, in photons.
    """

    def __init__(
        self,
        line_integrals: MeasurementModel,
        photons: float | NDArray[np.floating] | torch.Tensor,
        *,
        electronic_noise: float = 0.0,
    ) -> None:
        self.line_integrals = line_integrals
        self.domain_shape, self.range_shape = line_integrals.domain_shape, line_integrals.range_shape
        self.device, self.dtype = line_integrals.device, line_integrals.dtype
        self.photons = torch.as_tensor(photons, device=self.device, dtype=self.dtype)
        if self.photons.ndim and self.photons.shape != self.range_shape[-2:]:
            raise UsageError(
                f"photons have shape {tuple(self.photons.shape)}; expected one number or (views, detectors) = "
                f"{self.range_shape[-2:]}"
            )
        if not (torch.isfinite(self.photons) & (self.photons > 0)).all():
            raise UsageError(f"photons go down to {float(self.photons.min()):g}; expected finite numbers above 0")
        if not (math.isfinite(electronic_noise) and electronic_noise >= 0):
            raise UsageError(f"electronic_noise is {electronic_noise}; expected 0 or more photons")
        self.electronic_noise = electronic_noise

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.photons * torch.exp(-self.line_integrals.forward(x))

    def linearised(self, x: torch.Tensor) -> LinearOperator:
        with torch.no_grad():
            counts = self(x)
        return Weighted(self.line_integrals.linearised(x), -counts)

    def sigma(self, counts: torch.Tensor) -> torch.Tensor:
        """Standard deviation of each count: ``sqrt(max(counts, 1) + electronic_noise^2)``.

        Best taken from expected counts, ``model.sigma(model(x))`` of an image that is about right: measured ones that
        fell low by chance would pass for the most certain, which makes the fit attenuate too much.
        """
        return (counts.clamp_min(COUNT_FLOOR) + self.electronic_noise**2).sqrt()

    def negative_log_likelihood(self, x: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """``sum(E - N log E)`` of each image, ``(B,)``, differentiable: Poisson but for a constant.

        Expected counts ``E`` and measured ones ``N`` are first raised by the variance of the read-out, which gives a
        Poisson variable the right mean and variance; ``N`` that is still below 0 counts as 0. No expected count is
        too small for the logarithm.

        Args:
            x: ``(B, 1, *domain_shape)`` in 1/mm.
            counts: ``(B, 1, *range_shape)``.

        Raises:
            SinogramError: counts that are NaN or infinite, or below 0 by more than the read-out noise explains.
        """
        variance = torch.as_tensor(self.electronic_noise**2, dtype=self.dtype, device=self.device)
        measured = (self.check_counts(counts) + variance).clamp_min(0)
        log_expected = torch.logaddexp(self.photons.log() - self.line_integrals(x), variance.log())
        terms = log_expected.exp() - measured * log_expected
        return terms.flatten(1).sum(1)

    def check_counts(self, counts: torch.Tensor) -> torch.Tensor:
        """The counts themselves, if they can be; see `negative_log_likelihood` for errors."""
        checked(counts, self, self.range_shape, "counts")
        if not torch.isfinite(counts).all():
            raise SinogramError("counts hold NaN or infinite values; repair or leave out these rays first")
        lowest, allowed = float(counts.min()), 0 - 6 * self.electronic_noise
        if lowest < allowed:
            raise SinogramError(
                f"counts go down to {lowest:g}; expected at least {allowed:g} with an electronic_noise of "
                f"{self.electronic_noise:g} photons (are these line integrals?)"
            )
        return counts
