"""Hard consistency in latent space by Gauss-Newton: a few linearisations of the decoder instead of hundreds of steps.

Nocedal and Wright, "Numerical Optimization", 2nd edition, 2006, section 10.3; the products of the Jacobian with
vectors by two reverse sweeps (Pearlmutter's double-backward trick), which every layer of a decoder has. The rounding
to a codebook counts as the identity there, as in its training (van den Oord et al., NeurIPS 2017).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from ctresample.consistency.conjugate_gradients import per_slice, proximal_step, residual_ratio
from ctresample.consistency.linearisation import linearised_problem, squares, towards
from ctresample.errors import PriorError
from ctresample.operators import LinearOperator, MeasurementModel

Decode = Callable[[torch.Tensor], torch.Tensor]

BISECTIONS = 8
"""Of a step that passes the noise level, which then is met within 1/256 of the step."""


def fit_latent_by_gauss_newton(
    z0: torch.Tensor,
    y: torch.Tensor,
    A: MeasurementModel,
    decode: Decode,
    *,
    spread: float,
    n_iterations: int,
    cg_iterations: int,
) -> torch.Tensor:
    """``argmin_z |A D(z) - y|^2 + |z - z0|^2 / spread^2`` on the way from ``z0``, no further than the noise level.

    Each slice stops when its residual is at the noise (Morozov's discrepancy principle), the last step shortened to
    land on it; a step that would raise its objective is halved until it does not; one that starts below stays.

    Args:
        z0: ``(B, C, h, w)``.
        y: whitened measurement ``(B, 1, views, detectors)``.
        A: whitened operator, or nonlinear model.
        decode: latents to images, differentiable (twice where its Jacobian is to be found).
        spread: how far latents may be from ``z0``, in their unit; infinite for no pull.
        n_iterations: linearisations.
        cg_iterations: conjugate gradient iterations of each.

    Raises:
        PriorError: the decoder has no derivative with regard to its latents.
    """
    model, z = _Decoded(A, decode), z0
    for _ in range(n_iterations):
        above = residual_ratio(model(z) - y) > 1
        if not above.any():
            break
        J, y_J = linearised_problem(z, y, model)
        goal = proximal_step(z0, y_J, J, spread=spread, n_iterations=cg_iterations)
        moved = towards(goal, z, lambda v: squares(model(v) - y) + squares((v - z0) / spread))
        moved = _back_to_the_noise(moved, z, lambda v: residual_ratio(model(v) - y))
        z = torch.where(per_slice(above, z), moved, z)
    return z


def _back_to_the_noise(
    moved: torch.Tensor, z: torch.Tensor, ratio: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """Where a slice is at the noise level on its way from ``z``, above, to ``moved``; if that is above too, there."""
    passes = ratio(moved) < 1
    if not passes.any():
        return moved
    low, high = torch.zeros_like(passes, dtype=z.dtype), torch.ones_like(passes, dtype=z.dtype)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        below = ratio(torch.lerp(z, moved, per_slice(middle, z))) < 1
        low, high = torch.where(below, low, middle), torch.where(below, middle, high)
    return torch.where(per_slice(passes, z), torch.lerp(z, moved, per_slice(low, z)), moved)


class _Decoded(MeasurementModel):
    """What a scan of the decoded image would measure of latents ``(B, C, h, w)``."""

    def __init__(self, A: MeasurementModel, decode: Decode) -> None:
        self.A, self.decode = A, decode
        self.range_shape, self.device, self.dtype = A.range_shape, A.device, A.dtype

    def __call__(self, x: torch.Tensor) -> torch.Tensor:  # latents have channels, which images have not
        return self.forward(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return self.A(self.decode(x))

    def linearised(self, x: torch.Tensor) -> LinearOperator:
        return _DecodedJacobian(self.A, self.decode, x)


class _DecodedJacobian(LinearOperator):
    """``A' D'`` at ``z``: one reverse sweep through the decoder for the adjoint, one through that for the product."""

    def __init__(self, A: MeasurementModel, decode: Decode, z: torch.Tensor) -> None:
        self.range_shape, self.device, self.dtype = A.range_shape, A.device, A.dtype
        # fused attention has no second derivative
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
            self._z = z.detach().requires_grad_()
            self._x = decode(self._z)
            if not self._x.requires_grad:
                raise PriorError("the prior's decoder has no derivative in its latents; use latent_optimiser adamw")
            self._v = torch.zeros_like(self._x, requires_grad=True)
            (self._pulled,) = torch.autograd.grad(self._x, self._z, self._v, create_graph=True)
        self._A = A.linearised(self._x.detach())

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self.forward(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self._pulled.requires_grad:
            raise PriorError("the prior's decoder has no derivative in its latents; use latent_optimiser adamw")
        (pushed,) = torch.autograd.grad(self._pulled, self._v, x, retain_graph=True)
        return self._A(pushed)

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        (pulled,) = torch.autograd.grad(self._x, self._z, self._A.T(y), retain_graph=True)
        return pulled
