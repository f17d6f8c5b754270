"""The projector without a stored matrix: weights are worked out, used and dropped, a block of rays at a time."""

from __future__ import annotations

import torch

from ctresample.geometry import Geometry, Grid
from ctresample.operators.joseph import joseph_blocks
from ctresample.operators.projector import Projector


class StreamedProjector(Projector):
    """Line integrals with the weights of a `SparseProjector`, in the memory of a few images; see `Projector`.

    Slower by the time it takes to work the weights out at every call, which a batch shares.
    """

    def __init__(
        self,
        geometry: Geometry,
        grid: Grid,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(geometry, grid, device, dtype)

    def project(self, x: torch.Tensor) -> torch.Tensor:
        images = x.flatten(1)
        y = x.new_zeros(len(x), self.geometry.n_views, *self.geometry.view_shape)
        for rays, pixel, weight in joseph_blocks(self.geometry, self.grid, self.device):
            for image, sinogram in zip(images, y.flatten(1), strict=True):
                sinogram[rays] = (image[pixel] * weight).sum(dim=1)
        return y.movedim(1, -2)[:, None].contiguous()  # rays are counted view by view

    def back_project(self, y: torch.Tensor) -> torch.Tensor:
        sinograms = y[:, 0].movedim(-2, 1).flatten(1)
        x = y.new_zeros(len(y), 1, *self.domain_shape)
        for rays, pixel, weight in joseph_blocks(self.geometry, self.grid, self.device):
            for image, sinogram in zip(x.flatten(1), sinograms, strict=True):
                image.index_add_(0, pixel.flatten(), (sinogram[rays, None] * weight).flatten().to(image.dtype))
        return x
