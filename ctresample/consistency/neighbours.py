"""Slices that help their neighbours: the proximal step of a volume whose error is alike from slice to slice."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ctresample.operators import MeasurementModel
from ctresample.operators.along_z import AlongZ, CorrelatedRows, Shifted
from ctresample.operators.base import LinearOperator

Step = Callable[[torch.Tensor, torch.Tensor, MeasurementModel], torch.Tensor]
"""An image, a whitened measurement and a whitened model to the image that agrees with it."""


@dataclass(frozen=True)
class Neighbours:
    """How much the slices of a volume have to do with each other.

    Attributes:
        spacing: distance of voxels along z, y and x, relative to the columns.
        correlation: of the errors of neighbouring slices where they look alike, from 0 to below 1.
        fade: difference of neighbours, in 1/mm, at which the correlation has fallen to half; infinite for no fading.
    """

    spacing: tuple[float, ...]
    correlation: float = 0.0
    fade: float = math.inf

    def step(self, x0: torch.Tensor, y: torch.Tensor, A: MeasurementModel, solve: Step) -> torch.Tensor:
        """What ``solve`` makes of ``x0`` where errors are correlated along z; without correlation just that.

        Args:
            x0: volumes ``(B, 1, slices, rows, columns)``.
            y: whitened measurement ``(B, 1, *range_shape)``.
            A: whitened model.
            solve: a proximal step that takes voxels for independent.
        """
        if not self.correlation or x0.shape[2] < 2:
            return solve(x0, y, A)
        unlike = (x0[0, 0, 1:] - x0[0, 0, :-1]) / self.fade
        F = AlongZ(self.correlation / (1 + unlike.square()), tuple(x0.shape[2:]), x0)
        nothing = torch.zeros_like(x0)
        if isinstance(A, LinearOperator):
            return x0 + F(solve(nothing, y - A(x0), CorrelatedRows(A, F)))
        return x0 + F(solve(nothing, y, Shifted(A, x0, F)))
