"""What all projectors share: a scan, an image grid, and gradients of any order through the adjoint."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import torch

from ctresample.geometry import Geometry, Grid
from ctresample.operators.base import LinearOperator

Map = Callable[[torch.Tensor], torch.Tensor]


class Projector(LinearOperator):
    """Line integrals: images ``(B, 1, *grid.shape)`` in 1/mm to measurements ``(B, 1, *geometry.shape)``.

    The backward pass of the projection is the back projection and the other way round, so gradients of any order,
    forward-mode derivatives and ``torch.func`` transforms work, without a graph inside.
    """

    def __init__(
        self,
        geometry: Geometry,
        grid: Grid,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        geometry.check_outside(grid)
        self.geometry, self.grid = geometry, grid
        self.domain_shape, self.range_shape = grid.shape, geometry.shape
        self.device, self.dtype = torch.device(device), dtype

    @abstractmethod
    def project(self, x: torch.Tensor) -> torch.Tensor:
        """``A x``, without gradients."""

    @abstractmethod
    def back_project(self, y: torch.Tensor) -> torch.Tensor:
        """``A^T y``, without gradients."""

    @property
    def steps_mm(self) -> tuple[float, ...]:
        """From one pixel or voxel to the next along each axis of the array."""
        return self.grid.steps_mm

    @cached_property
    def row_norms(self) -> torch.Tensor:
        """Estimated from the row sums: of weights ``1 - f`` and ``f`` times a step, the squares sum to 2/3 on average.

        Rays along the pixels, where ``f`` is the same all the way, are off by 18 % at most, in volumes by 33 %; others
        by little.
        """
        sums = self.project(torch.ones((1, 1, *self.domain_shape), dtype=self.dtype, device=self.device))
        steps = np.abs(self.grid.steps_mm)[::-1]  # rays have x first
        longest = np.stack(
            [1 / np.abs(self.geometry.rays(view)[1] / steps).max(-1) for view in range(self.geometry.n_views)]
        )
        step_mm = torch.as_tensor(longest, dtype=self.dtype, device=self.device)
        step_mm = step_mm.unflatten(0, (1, 1, -1)).movedim(2, -2)
        return (sums * step_mm * (2 / 3) ** (len(self.domain_shape) - 1)).clamp_min(0).sqrt()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = _Linear.apply(x, self.project, self.back_project)
        return y

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        x: torch.Tensor = _Linear.apply(y, self.back_project, self.project)
        return x


class _Linear(torch.autograd.Function):
    """A linear map given with its adjoint."""

    @staticmethod
    def forward(x: torch.Tensor, apply: Map, adjoint: Map) -> torch.Tensor:
        return apply(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[torch.Tensor, Map, Map], output: torch.Tensor) -> None:
        _, ctx.apply_map, ctx.adjoint_map = inputs

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return _Linear.apply(grads[0], ctx.adjoint_map, ctx.apply_map), None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> torch.Tensor:
        y: torch.Tensor = _Linear.apply(tangents[0], ctx.apply_map, ctx.adjoint_map)
        return y

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], x: torch.Tensor, apply: Map, adjoint: Map
    ) -> tuple[torch.Tensor, int]:
        # a mapped dimension is one more batch dimension
        x = x.movedim(in_dims[0] or 0, 0)
        y: torch.Tensor = _Linear.apply(x.flatten(0, 1), apply, adjoint)
        return y.unflatten(0, x.shape[:2]), 0
