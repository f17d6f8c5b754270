"""The projector without a stored matrix: weights are worked out, used and dropped, a block of rays at a time."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import sparse
from torch.nn.functional import embedding_bag

from ctresample.operators.joseph import joseph_blocks
from ctresample.operators.projector import Projector


class StreamedProjector(Projector):
    """Line integrals with the weights of a `SparseProjector`, in the memory of a few images; see `Projector`.

    Slower by the time it takes to work the weights out at every call, which a batch shares.
    """

    def project(self, x: torch.Tensor) -> torch.Tensor:
        pixels = x.flatten(1).t().contiguous()  # the values of all images side by side
        y = x.new_zeros(math.prod(self.range_shape), len(x))
        for rays, pixel, weight in joseph_blocks(self.geometry, self.grid, self.device):
            y[rays] = embedding_bag(pixel, pixels, per_sample_weights=weight.to(x.dtype), mode="sum")
        views = y.t().unflatten(1, (self.geometry.n_views, *self.geometry.view_shape))
        return views.movedim(1, -2)[:, None].contiguous()  # rays are counted view by view

    def back_project(self, y: torch.Tensor) -> torch.Tensor:
        values = y[:, 0].movedim(-2, 1).flatten(1).t().contiguous()
        x = y.new_zeros(math.prod(self.domain_shape), len(y))
        for rays, pixel, weight in joseph_blocks(self.geometry, self.grid, self.device):
            _spread(x, values[rays], pixel, weight.to(y.dtype))
        return x.t().reshape(len(y), 1, *self.domain_shape)


def _spread(x: torch.Tensor, values: torch.Tensor, pixel: torch.Tensor, weight: torch.Tensor) -> None:
    """Add rays' values ``(rays, B)`` times their weights to the pixels they pass, ``x`` being ``(pixels, B)``."""
    if x.device.type == "cpu":  # where torch adds entries one by one, scipy's product takes a quarter of the time
        ends = np.arange(len(pixel) + 1, dtype=np.int32) * pixel.shape[1]
        block = sparse.csr_array((weight.numpy().ravel(), pixel.numpy().ravel(), ends), shape=(len(pixel), len(x)))
        x += torch.from_numpy(block.T @ values.numpy())
    else:
        x.index_add_(0, pixel.flatten(), (weight[..., None] * values[:, None]).flatten(0, 1))
