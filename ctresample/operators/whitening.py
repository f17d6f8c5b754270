"""An operator whose measurements are divided by their noise: the whitened problem."""

from __future__ import annotations

from functools import cached_property

import torch

from ctresample.operators.base import LinearOperator


class Weighted(LinearOperator):
    """``W A`` with a diagonal ``W``.

    With ``W = 1 / sigma`` (sigma: standard deviation of each measured value), the noise of ``W y`` has variance
    one, plain least squares is the maximum-likelihood fit, and the residual's expected squared norm is the number
    of measured values.

    Args:
        operator: ``A``.
        weights: diagonal of ``W``, broadcastable to ``(B, 1, views, detectors)``. A batch dimension above one
            ties the operator to batches of that size.
    """

    def __init__(self, operator: LinearOperator, weights: torch.Tensor) -> None:
        self.operator, self.weights = operator, weights
        self.domain_shape, self.range_shape = operator.domain_shape, operator.range_shape
        self.device, self.dtype = operator.device, operator.dtype
        self.exact_adjoint = operator.exact_adjoint

    @cached_property
    def row_norms(self) -> torch.Tensor:
        return self.weights.abs() * self.operator.row_norms

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weights * self.operator.forward(x)

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        return self.operator.adjoint(self.weights * y)
