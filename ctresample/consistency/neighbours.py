"""Slices that help their neighbours: the proximal step of a volume whose error is alike from slice to slice."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ctresample.consistency.conjugate_gradients import safe_ratio
from ctresample.consistency.linearisation import linearised_problem
from ctresample.operators import LinearOperator, MeasurementModel
from ctresample.operators.neighbour_views import NeighbourViews, there
from ctresample.operators.stack import one_by_one

Spread = torch.Tensor | float
Step = Callable[[torch.Tensor, torch.Tensor, MeasurementModel, Spread], torch.Tensor]
"""An image, a whitened measurement, a whitened model and a spread to the image that agrees with the measurement."""

REACH = 2
"""Slices to each side whose views count. A third gains nothing on validation slices; one alone loses 0.2 dB."""


@dataclass(frozen=True)
class Neighbours:
    """How much the slices of a volume have to do with each other.

    Attributes:
        spacing: distance of voxels along z, y and x, relative to the columns.
        correlation: of the errors of neighbouring slices where they look alike, from 0 to below 1.
        fade: difference of slices, in 1/mm, at which the correlation has fallen to half; infinite for no fading.
    """

    spacing: tuple[float, ...]
    correlation: float = 0.0
    fade: float = math.inf

    def step(self, x0: torch.Tensor, y: torch.Tensor, A: MeasurementModel, spread: Spread, solve: Step) -> torch.Tensor:
        """What ``solve`` makes of ``x0`` where errors are correlated along z; without correlation just that.

        Each slice is solved for by itself, from its own rays and from those of its neighbours, as far as they look
        alike: of a neighbour whose error has the correlation ``rho`` to the slice's, the rest, of variance
        ``spread^2 (1 - rho^2)`` a voxel, is noise of its rays, and so much of the difference of the two images counts
        as error as well. Taken for real, nothing would bring the slices back together: what no image explains of a
        neighbour's rays would be added to where a slice has no rays of its own, in every step again. So a slice
        depends on those within `REACH` alone, whatever volume it is in. A model that is not linear is linearised at
        ``x0``.

        Args:
            x0: a volume ``(1, 1, slices, rows, columns)``.
            y: whitened measurement ``(1, 1, slices, views, detectors)``.
            A: whitened model.
            spread: how far the image may be from ``x0``: one number, or ``(1, 1, slices, 1, 1)``.
            solve: a proximal step that takes voxels for independent.
        """
        if not self.correlation or x0.shape[2] < 2:
            return solve(x0, y, A, spread)
        J, y = linearised_problem(x0, y, A)
        views = self._views(x0, J, spread)
        apart = one_by_one(spread) if isinstance(spread, torch.Tensor) else spread
        nothing = one_by_one(torch.zeros_like(x0))
        unexplained = views.gathered(y - J(x0)) + views.differences(x0)
        return x0 + solve(nothing, unexplained, views, apart).reshape(x0.shape)

    def _views(self, x0: torch.Tensor, A: LinearOperator, spread: Spread) -> NeighbourViews:
        n = x0.shape[2]
        number = torch.arange(n, device=x0.device).view(-1, 1, 1)
        whole = A(torch.ones_like(x0))
        alike = {0: x0.new_ones(1, 1, 1, 1, 1)}
        weights = {0: torch.ones_like(whole)}
        for j in (j for j in range(-REACH, REACH + 1) if j and abs(j) < n):
            unlike = (there(x0, j) - x0) / self.fade
            alike[j] = self.correlation ** abs(j) / (1 + unlike.square())
            # what is a slice's own, on average along each ray; a linearised model of counts has negative rows
            own = safe_ratio(there(A(there(1 - alike[j].square(), -j)), j).abs(), there(whole, j).abs()).clamp(0, 1)
            variance = 1 + (spread * there(A.row_norms, j)).square() * own
            weights[j] = ((number + j >= 0) & (number + j < n)) / variance.sqrt()
        return NeighbourViews(A, alike, weights)
