"""Line integrals as a beam of many energies measures them: beam hardening.

Pixels are mixtures of water and bone, told apart by their attenuation: De Man, Nuyts, Dupont, Marchal and Suetens,
"An iterative maximum-likelihood polychromatic algorithm for CT", IEEE TMI 20(10), 2001, section II.C; two projections
for all energies: Elbakri and Fessler, "Statistical image reconstruction for polyenergetic X-ray computed tomography",
IEEE TMI 21(2), 2002.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from numpy.typing import ArrayLike

from ctresample.operators.base import LinearOperator, MeasurementModel
from ctresample.operators.spectrum import BONE, WATER, Spectrum
from ctresample.units import MU_WATER_PER_MM

WATER_UP_TO_HU, MIXTURE_FROM_HU = 0.0, 200.0
"""Up to the first a pixel is water of some density, from the second a mixture by volume, with a smooth bend between."""


class Polychromatic(MeasurementModel):
    """``-ln(I / I0)`` of a polychromatic beam: ``(B, 1, *grid.shape)`` in 1/mm to ``(B, 1, *geometry.shape)``.

    The image is attenuation at one energy, the one at which water has ``mu_water_per_mm``; a pixel's water and bone
    attenuate there what the pixel does. `Transmission` turns the values into counts.

    Args:
        projector: ``A``, line integrals at one energy.
        spectrum: of the beam; by default `Spectrum.of_tube`.
        mu_water_per_mm: attenuation of water in the image.
    """

    def __init__(
        self,
        projector: LinearOperator,
        spectrum: Spectrum | None = None,
        *,
        mu_water_per_mm: float = MU_WATER_PER_MM,
    ) -> None:
        self.projector, self.spectrum = projector, spectrum or Spectrum.of_tube()
        self.domain_shape, self.range_shape = projector.domain_shape, projector.range_shape
        self.device, self.dtype = projector.device, projector.dtype
        self.mu_water_per_mm = mu_water_per_mm
        self.reference_kev = WATER.energy_kev(mu_water_per_mm)
        self.mu_bone_per_mm = float(BONE.mu_per_mm(self.reference_kev))
        self._relative = [
            self._tensor(material.mu_per_mm(self.spectrum.energies_kev) / material.mu_per_mm(self.reference_kev))
            for material in (WATER, BONE)
        ]
        self._log_weights = self._tensor(self.spectrum.weights).log()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return -torch.logsumexp(self._log_signal(x, self.bone(x)), dim=-1)

    def linearised(self, x: torch.Tensor) -> LinearOperator:
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            bone = self.bone(x)
            (slope,) = torch.autograd.grad(bone.sum(), x)
        with torch.no_grad():
            shares = torch.softmax(self._log_signal(x, bone), dim=-1)
            water_weight, bone_weight = ((shares * relative).sum(-1) for relative in self._relative)
        return _Jacobian(self.projector, water_weight, bone_weight, slope)

    def bone(self, x: torch.Tensor) -> torch.Tensor:
        """The part of each pixel's attenuation that is bone's, twice differentiable; the rest is water's."""
        low, high = (self.mu_water_per_mm * (1 + hu / 1000) for hu in (WATER_UP_TO_HU, MIXTURE_FROM_HU))
        start, width = (low + high) / 2, (high - low) / 2
        # with a share t of bone by volume x is (1 - t) start + t mu_bone; what attenuates more is denser bone
        slope = self.mu_bone_per_mm / (self.mu_bone_per_mm - start)
        return slope * _bend(x - start, width) - (slope - 1) * _bend(x - self.mu_bone_per_mm, width)

    def _log_signal(self, x: torch.Tensor, bone: torch.Tensor) -> torch.Tensor:
        """Logarithm of what each energy adds to the signal, ``(B, 1, *range_shape, energies)``."""
        parts = (self.projector.forward(x - bone), self.projector.forward(bone))
        return self._log_weights - sum(p[..., None] * mu for p, mu in zip(parts, self._relative, strict=True))

    def _tensor(self, values: ArrayLike) -> torch.Tensor:
        return torch.as_tensor(np.asarray(values), dtype=self.dtype, device=self.device)


class _Jacobian(LinearOperator):
    """How the values change with the image: each ray weighs its water and its bone at the energies that are left."""

    def __init__(
        self, projector: LinearOperator, water_weight: torch.Tensor, bone_weight: torch.Tensor, slope: torch.Tensor
    ) -> None:
        self.projector, self.water_weight, self.bone_weight, self.slope = projector, water_weight, bone_weight, slope
        self.domain_shape, self.range_shape = projector.domain_shape, projector.range_shape
        self.device, self.dtype = projector.device, projector.dtype
        self.exact_adjoint = projector.exact_adjoint

    @cached_property
    def row_norms(
        self,
    ) -> torch.Tensor:  # as if all were water: bone is a small part of a body
        return self.water_weight.abs() * self.projector.row_norms

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bone = self.slope * x
        return self.water_weight * self.projector.forward(x - bone) + self.bone_weight * self.projector.forward(bone)

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        water = self.projector.adjoint(self.water_weight * y)
        return water + self.slope * (self.projector.adjoint(self.bone_weight * y) - water)


def _bend(u: torch.Tensor, width: float) -> torch.Tensor:
    """0 below ``-width``, ``u`` above ``width``; its slope is a smooth step between (``3 v^2 - 2 v^3``)."""
    v = ((u / width + 1) / 2).clamp(0, 1)
    return 2 * width * (v**3 - v**4 / 2) + (u - width).clamp_min(0)
