"""Joseph's weights: which pixels a ray passes, and how much each counts for its line integral.

Joseph, "An improved algorithm for reprojecting rays through pixel images", IEEE TMI 1(3), 1982: a ray steps
through the image along the axis it is steepest in, and at each step interpolates linearly between the pixels it
passes between: two in a slice, four in a volume.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch

from ctresample.geometry import Geometry, Grid

_BLOCK_ENTRIES = 2**19
"""Entries worked on at a time: few enough to stay in the processor's caches, enough to keep its cores busy."""


def joseph_blocks(
    geometry: Geometry, grid: Grid, device: torch.device | str = "cpu"
) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor]]:
    """The rays of a scan, a block at a time, with the pixels they pass.

    Yields:
        The rays' numbers, counted view by view; pixel numbers, int32, in the row-major image; and weights, float32,
        in mm, so that weights times attenuation in 1/mm have no unit. Pixels and weights are
        ``(rays, steps * neighbours)``; what lies outside has weight 0 and pixel 0.
    """
    n_neighbours = 2 ** (len(grid.shape) - 1)
    rays_a_view = math.prod(geometry.view_shape)
    rays_a_block = max(1, _BLOCK_ENTRIES // (max(grid.shape) * n_neighbours))
    if rays_a_block > rays_a_view:
        rays_a_block -= rays_a_block % rays_a_view
    for first in range(0, geometry.n_views * rays_a_view, rays_a_block):
        last = min(first + rays_a_block, geometry.n_views * rays_a_view)
        views = range(first // rays_a_view, (last - 1) // rays_a_view + 1)
        rays = [geometry.rays(view) for view in views]
        here = slice(first - views[0] * rays_a_view, last - views[0] * rays_a_view)
        points, directions = (
            torch.from_numpy(np.stack([ray[part] for ray in rays]).reshape(-1, len(grid.shape))[here]).to(device)
            for part in (0, 1)
        )
        yield slice(first, last), *_weights(points, directions, grid)


def _weights(points: torch.Tensor, directions: torch.Tensor, grid: Grid) -> tuple[torch.Tensor, torch.Tensor]:
    n_axes, device = len(grid.shape), points.device
    steps = torch.tensor(grid.steps_mm, dtype=torch.float64, device=device)
    origin = torch.tensor([axis[0] for axis in grid.axes_mm], dtype=torch.float64, device=device)
    # components in the order of the array's axes, (z,) y, x, and counted in pixels from the first one
    points, directions = (points.flip(1) - origin) / steps, directions.flip(1) / steps
    steepest = directions.abs().argmax(dim=1)
    shape = (len(points), max(grid.shape), 2 ** (n_axes - 1))
    pixel = torch.zeros(shape, dtype=torch.int32, device=device)
    weight = torch.zeros(shape, dtype=torch.float32, device=device)
    for axis in range(n_axes):
        chosen = (steepest == axis).nonzero()[:, 0]
        if len(chosen):
            at, share = _steps_along(axis, points[chosen], directions[chosen], grid)
            pixel[chosen, : grid.shape[axis]], weight[chosen, : grid.shape[axis]] = at, share
    return pixel.flatten(1), weight.flatten(1)


def _steps_along(
    axis: int, points: torch.Tensor, directions: torch.Tensor, grid: Grid
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels and weights ``(rays, steps, neighbours)`` of rays that are steepest along one axis of the array."""
    strides = [math.prod(grid.shape[a + 1 :]) for a in range(len(grid.shape))]
    plane = torch.arange(grid.shape[axis], device=points.device)
    at = (plane * strides[axis]).int()[None, :, None]
    share = (1 / directions[:, axis].abs()).float()[:, None, None]  # mm a step: directions are in pixels per mm
    slope = directions / directions[:, axis, None]  # pixels along each axis a step
    for cross in (a for a in range(len(grid.shape)) if a != axis):
        first = points[:, cross] - points[:, axis] * slope[:, cross]
        position = torch.addcmul(first[:, None], slope[:, cross, None], plane.double())
        low = position.floor()
        fraction = (position - low).float()
        low = low.clamp_(-2, grid.shape[cross]).int()  # far outside is outside
        places = torch.stack([low, low + 1], dim=2)
        inside = (places >= 0) & (places < grid.shape[cross])
        parts = torch.stack([1 - fraction, fraction], dim=2).mul_(inside)
        places = places.mul_(inside).mul_(strides[cross])
        at = (at[..., :, None] + places[..., None, :]).flatten(2)
        share = (share[..., :, None] * parts[..., None, :]).flatten(2)
    return at, share
