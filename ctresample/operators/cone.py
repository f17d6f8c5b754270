"""The projector of volumes, on a circle or a helix: a plane of voxels at a time, with no matrix."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch.nn.functional import grid_sample

from ctresample.operators.projector import Projector

_POINTS = 2**18
"""Points of planes sampled together: few enough to stay in the processor's caches."""


class ConeProjector(Projector):
    """Line integrals with the weights of a `StreamedProjector`, several times faster in a volume; see `Projector`.

    All rays of a view that are steepest along the same axis pass the planes of voxels across it together, so Joseph's
    interpolation is the sampling of an image at given points, and its adjoint the gradient of that sampling.
    """

    def project(self, x: torch.Tensor) -> torch.Tensor:
        y = x.new_zeros(len(x), self.geometry.n_views, math.prod(self.geometry.view_shape))
        planes_of = [x[:, 0].movedim(axis + 1, 0).contiguous() for axis in range(3)]
        for view in range(self.geometry.n_views):
            for axis, chosen, step_mm, planes, places in self._samplings(view):
                values = grid_sample(planes_of[axis][planes], places, align_corners=False)
                y[:, view, chosen] += step_mm * values.sum(dim=(0, 2))
        return y.unflatten(2, self.geometry.view_shape).movedim(1, -2)[:, None].contiguous()

    def back_project(self, y: torch.Tensor) -> torch.Tensor:
        views = y[:, 0].movedim(-2, 1).flatten(2)
        x = y.new_zeros(len(y), *self.grid.shape)
        for view in range(self.geometry.n_views):
            for axis, chosen, step_mm, planes, places in self._samplings(view):
                target = x.movedim(axis + 1, 0)[planes]
                values = (step_mm * views[:, view, chosen])[None, :, None].expand(len(places), -1, -1, -1).contiguous()
                # of a sampling that is bilinear (0) with zeros outside (0); the image itself does not matter
                gradient, _ = torch.ops.aten.grid_sampler_2d_backward(
                    values, torch.empty_like(target), places, 0, 0, False, (True, False)
                )
                target += gradient
        return x[:, None]

    def _samplings(self, view: int) -> Iterator[tuple[int, torch.Tensor, torch.Tensor, slice, torch.Tensor]]:
        """What to sample for one view.

        Yields:
            The axis across the planes; the rays; their length from plane to plane in mm; the planes; and where each
            ray meets each of them, ``(planes, 1, rays, 2)`` as `grid_sample` counts.
        """

        def tensor(values: ArrayLike) -> torch.Tensor:
            return torch.as_tensor(np.array(values, np.float64), device=self.device)

        steps, sizes = tensor(self.grid.steps_mm), tensor(self.grid.shape)
        origin = tensor([axis[0] for axis in self.grid.axes_mm])
        points, directions = (tensor(part.reshape(-1, 3)) for part in self.geometry.rays(view))
        # components in the order of the array's axes, z, y, x, and counted in voxels from the first one
        points, directions = (points.flip(1) - origin) / steps, directions.flip(1) / steps
        steepest = directions.abs().argmax(dim=1)
        for axis in range(3):
            chosen = (steepest == axis).nonzero()[:, 0]
            if not len(chosen):
                continue
            across = [a for a in (2, 1, 0) if a != axis]  # grid_sample takes the last axis first
            step_mm = (1 / directions[chosen, axis].abs()).to(self.dtype)
            slope = directions[chosen][:, across] / directions[chosen, axis, None]
            first = points[chosen][:, across] - points[chosen, axis, None] * slope
            # from voxels to -1 at the image's one edge and 1 at the other
            first, slope = (2 * first + 1) / sizes[across] - 1, 2 * slope / sizes[across]
            n_together = max(1, _POINTS // len(chosen))
            for begin in range(0, self.grid.shape[axis], n_together):
                planes = slice(begin, min(begin + n_together, self.grid.shape[axis]))
                numbers = tensor(range(planes.start, planes.stop))[:, None, None]
                yield axis, chosen, step_mm, planes, torch.addcmul(first, slope, numbers).to(self.dtype)[:, None]
