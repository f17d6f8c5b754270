"""The error of an image, told by its misfit."""

import pytest
import torch

from ctresample.consistency import spread_of_misfit
from ctresample.geometry import FanBeam, ImageGrid, ParallelBeam
from ctresample.operators import SparseProjector, Weighted

GRID = ImageGrid((32, 32), 2.0)


@pytest.mark.parametrize("beam", [ParallelBeam, FanBeam])
@pytest.mark.parametrize("n_views", [10, 40])
@pytest.mark.parametrize("sigma", [0.003, 0.03])
def test_white_errors_are_told_of_each_slice_whatever_the_scan(beam, n_views, sigma):
    generator = torch.Generator().manual_seed(0)
    A = SparseProjector(beam.for_grid(GRID, n_views), GRID)
    truth = 0.02 * torch.rand(3, 1, *GRID.shape, generator=generator)
    weights = (1 + torch.rand(3, 1, *A.range_shape, generator=generator)) / sigma
    W = Weighted(A, weights)
    y = W(truth) + torch.randn(3, 1, *A.range_shape, generator=generator)
    errors = torch.tensor([0.002, 0.01, 0.05]).view(3, 1, 1, 1)
    x = truth + errors * torch.randn(truth.shape, generator=generator)
    assert (spread_of_misfit(x, y, W) / errors).flatten().tolist() == pytest.approx([1, 1, 1], rel=0.15)


def test_an_image_that_fits_noise_gets_the_least():
    A = SparseProjector(ParallelBeam.for_grid(GRID, 10), GRID)
    x = torch.full((1, 1, *GRID.shape), 0.02)
    W = Weighted(A, torch.tensor(100.0))
    assert spread_of_misfit(x, W(x), W, least=0.001).item() == pytest.approx(0.001)
