"""A nonlinear model whose measurements are divided by their noise: the whitened problem."""

from __future__ import annotations

import torch

from ctresample.operators.base import LinearOperator, MeasurementModel
from ctresample.operators.whitening import Weighted


class WeightedModel(MeasurementModel):
    """``W F`` with a diagonal ``W``; see `Weighted`, its linear counterpart.

    Args:
        model: ``F``.
        weights: diagonal of ``W``, broadcastable to ``(B, 1, *range_shape)``.
    """

    def __init__(self, model: MeasurementModel, weights: torch.Tensor) -> None:
        self.model, self.weights = model, weights
        self.domain_shape, self.range_shape = model.domain_shape, model.range_shape
        self.device, self.dtype = model.device, model.dtype

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weights * self.model.forward(x)

    def linearised(self, x: torch.Tensor) -> LinearOperator:
        return Weighted(self.model.linearised(x), self.weights)


def weighted(model: MeasurementModel, weights: torch.Tensor) -> Weighted | WeightedModel:
    """``W F``, which stays a linear operator where ``F`` is one."""
    return Weighted(model, weights) if isinstance(model, LinearOperator) else WeightedModel(model, weights)
