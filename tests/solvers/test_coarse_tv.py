"""The quick image to start from."""

import pytest
import torch

from ctresample.geometry import ImageGrid, ParallelBeam
from ctresample.operators import SparseProjector
from ctresample.solvers.coarse_tv import coarse_tv


@pytest.mark.parametrize("shape", [(64, 64), (63, 64), (65, 67)])
def test_a_disk_is_where_it_belongs(shape):
    """Of odd sides, too, whose last pixels have no neighbour to be joined with."""
    grid = ImageGrid(shape, 3.0)
    A = SparseProjector(ParallelBeam.for_grid(grid, 20), grid)
    x, y = torch.tensor(grid.x_mm), torch.tensor(grid.y_mm)
    disk = 0.02 * ((x - 20) ** 2 + (y[:, None] + 10) ** 2 < 50**2).float()[None, None]
    data = A(disk)
    found = coarse_tv(data, A, sigma=torch.full_like(data, 0.01))
    inside, outside = disk > 0, disk == 0
    assert found[inside].mean() == pytest.approx(0.02, rel=0.06)
    assert found[outside].mean().abs() < 0.001
    weight = found[0, 0] / found.sum()
    assert float((weight.sum(0) * x).sum()) == pytest.approx(20, abs=0.5)
    assert float((weight.sum(1) * y).sum()) == pytest.approx(-10, abs=0.5)
