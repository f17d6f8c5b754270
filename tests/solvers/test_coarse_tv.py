"""The quick image to start from."""

import pytest
import torch

from ctresample.errors import UsageError
from ctresample.geometry import ImageGrid, ParallelBeam
from ctresample.operators import SparseProjector
from ctresample.solvers.coarse_tv import coarse_tv


def test_a_disk_is_where_it_belongs():
    grid = ImageGrid((64, 64), 3.0)
    A = SparseProjector(ParallelBeam.for_grid(grid, 20), grid)
    x, y = torch.tensor(grid.x_mm), torch.tensor(grid.y_mm)
    disk = 0.02 * ((x - 20) ** 2 + (y[:, None] + 10) ** 2 < 50**2).float()[None, None]
    data = A(disk)
    found = coarse_tv(data, A, sigma=torch.full_like(data, 0.01))
    inside, outside = disk > 0, disk == 0
    assert found[inside].mean() == pytest.approx(0.02, rel=0.06)
    assert found[outside].mean().abs() < 0.001


@pytest.mark.parametrize("shape", [(63, 64), (64, 31)])
def test_odd_sides_are_refused(shape):
    grid = ImageGrid(shape, 3.0)
    A = SparseProjector(ParallelBeam.for_grid(grid, 4), grid)
    data = A(torch.zeros(1, 1, *shape))
    with pytest.raises(UsageError, match="expected slices of even sides"):
        coarse_tv(data, A, sigma=torch.ones_like(data))
