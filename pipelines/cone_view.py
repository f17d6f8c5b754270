"""One view of a volume, a plane of voxels at a time."""

from __future__ import annotations

import torch
from torch.nn.functional import grid_sample

from ctresample.geometry import ConeBeam, VolumeGrid


def line_integrals(mu: torch.Tensor, grid: VolumeGrid, geometry: ConeBeam, view: int) -> torch.Tensor:
    """Line integrals by Joseph's method (IEEE TMI 1(3), 1982), as `StreamedProjector` has them.

    All rays that are steepest along the same axis pass the planes of voxels across it together, which takes seconds
    where a projector that lists the weights of every ray takes minutes. There is no adjoint: it is for simulation.

    Args:
        mu: float32 ``[z, y, x]`` in 1/mm, two voxels or more along each side.
        grid: where the voxels lie.
        geometry: the scan.
        view: which of its views.

    Returns:
        Float32 ``[detector row, detector]``.
    """
    steps = torch.tensor(grid.steps_mm, dtype=torch.float64)
    first = torch.tensor([axis[0] for axis in grid.axes_mm], dtype=torch.float64)
    points, directions = (torch.tensor(part.reshape(-1, 3)).flip(1) for part in geometry.rays(view))
    points, directions = (points - first) / steps, directions / steps  # z, y, x, counted in voxels from the first one
    steepest = directions.abs().argmax(dim=1)
    total = torch.zeros(len(points))
    for axis in range(3):
        chosen = (steepest == axis).nonzero()[:, 0]
        if len(chosen) == 0:
            continue
        across = [a for a in (2, 1, 0) if a != axis]  # the order in which grid_sample takes them: last axis first
        slope = directions[chosen][:, across] / directions[chosen, axis, None]
        start = points[chosen][:, across] - points[chosen, axis, None] * slope
        # from voxels to -1 at the first one and 1 at the last
        scale = torch.tensor([2 / (grid.shape[a] - 1) for a in across], dtype=torch.float64)
        start, slope = (start * scale - 1).float(), (slope * scale).float()
        found = torch.zeros(len(chosen))
        for number, plane in enumerate(mu.movedim(axis, 0)):
            places = torch.add(start, slope, alpha=number)[None, None]
            found += grid_sample(plane[None, None], places, align_corners=True)[0, 0, 0]
        total[chosen] = found / directions[chosen, axis].abs().float()  # mm from plane to plane
    return total.reshape(geometry.view_shape)
