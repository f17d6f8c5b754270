"""SIRT: never negative, falling residual, stopped at the noise."""

from __future__ import annotations

import pytest
import torch

from ctresample.consistency import residual_ratio
from ctresample.geometry import FanBeam, ImageGrid, ParallelBeam
from ctresample.operators import SparseProjector
from ctresample.solvers.fbp import fbp
from ctresample.solvers.sirt import sirt

BEAMS = pytest.mark.parametrize("beam", [ParallelBeam, FanBeam])
GRID = ImageGrid((32, 32), 6.0)


@pytest.fixture
def truth(phantoms) -> torch.Tensor:
    return phantoms.as_batch(phantoms.image(GRID, phantoms.head(GRID)))


def measured(A, truth, sigma, batch=1, seed=0):
    clean = A(truth).expand(batch, -1, -1, -1)
    sigma = torch.as_tensor(sigma).view(-1, 1, 1, 1).expand_as(clean)
    return clean + sigma * torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed)), sigma


@BEAMS
def test_better_than_fbp_from_few_views(beam, truth, phantoms):
    A = SparseProjector(beam.for_grid(GRID, 12), GRID)
    y, sigma = measured(A, truth, 0.005)
    x = sirt(y, A, sigma=sigma)
    assert x.min() >= 0
    assert phantoms.relative(x, truth) < 0.6 * phantoms.relative(fbp(y, A.geometry, GRID), truth)


def test_one_step_by_hand():
    A = SparseProjector(ParallelBeam.for_grid(GRID, 7), GRID)
    y = torch.rand((1, 1, *A.range_shape), generator=torch.Generator().manual_seed(0))
    rows, columns = A(torch.ones(1, 1, *GRID.shape)), A.T(torch.ones_like(y))
    expected = A.T(torch.where(rows > 0, y / rows, 0)) / columns
    found = sirt(y, A, sigma=torch.full_like(y, 1e-6), max_iterations=1)
    assert torch.allclose(found, expected, rtol=1e-5)


@BEAMS
def test_residual_falls_to_the_noise_and_no_further(beam, truth):
    A = SparseProjector(beam.for_grid(GRID, 12), GRID)
    y, sigma = measured(A, truth, 0.1)
    ratios = []
    x = sirt(y, A, sigma=sigma, max_iterations=2000, callback=lambda status: ratios.append(status.residual_ratio))
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[-2] > 1 >= ratios[-1] > 0.95
    assert residual_ratio((A(x) - y) / sigma).item() == pytest.approx(ratios[-1])


def test_each_slice_stops_on_its_own(truth, phantoms):
    A = SparseProjector(ParallelBeam.for_grid(GRID, 12), GRID)
    y, sigma = measured(A, truth, [0.03, 0.1, 0.5], batch=3)
    together = sirt(y, A, sigma=sigma, max_iterations=1000)
    alone = [sirt(y[k : k + 1], A, sigma=sigma[k : k + 1], max_iterations=1000) for k in range(3)]
    assert phantoms.relative(together, torch.cat(alone)) < 1e-5
    assert ((residual_ratio((A(together) - y) / sigma) - 1).abs() < 0.05).all()


def test_rays_and_pixels_that_miss_each_other_do_no_harm():
    """A detector wider than the image, and one that leaves the corners unseen."""
    for geometry in (ParallelBeam((0.0, 0.7), 90, 6.0), ParallelBeam((0.0, 0.1), 11, 6.0)):
        A = SparseProjector(geometry, GRID)
        y = A(torch.full((1, 1, *GRID.shape), 0.02))
        x = sirt(y, A, sigma=torch.full_like(y, 1e-3), max_iterations=50)
        assert torch.isfinite(x).all()
        assert x.max() < 0.1


def test_callback_can_stop(truth):
    A = SparseProjector(ParallelBeam.for_grid(GRID, 12), GRID)
    y, sigma = measured(A, truth, 1e-4)
    seen = []
    x = sirt(y, A, sigma=sigma, callback=lambda status: seen.append(status) or len(seen) < 4)
    assert [status.step for status in seen] == [1, 2, 3, 4]
    assert torch.equal(x, sirt(y, A, sigma=sigma, max_iterations=3))
