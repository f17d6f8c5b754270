"""Penalised weighted least squares: the minimum, its weights, batches and stopping."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctresample.geometry import ConeBeam, ImageGrid, ParallelBeam, VolumeGrid
from ctresample.operators import SparseProjector
from ctresample.solvers.differences import divergence, gradient
from ctresample.solvers.wls import wls
from ctresample.units import MU_WATER_PER_MM


def problem(phantoms, grid=None, n_views=20, dtype=torch.float64):
    grid = grid or ImageGrid((10, 12), 2.0)
    A = SparseProjector(ParallelBeam.for_grid(grid, n_views), grid, dtype=dtype)
    y = A(phantoms.as_batch(phantoms.image(grid, phantoms.head(grid)), dtype=dtype))
    generator = torch.Generator().manual_seed(0)
    sigma = 0.01 + 0.02 * torch.rand(y.shape, generator=generator, dtype=dtype)
    return A, y + sigma * torch.randn(y.shape, generator=generator, dtype=dtype), sigma


@pytest.mark.parametrize(("shape", "slopes"), [((4, 5), (1.0, 0.5)), ((3, 4, 5), (0.7, 1.0, 1.0))])
def test_divergence_is_minus_the_adjoint(shape, slopes):
    generator = torch.Generator().manual_seed(0)
    u = torch.rand((2, 1, *shape), generator=generator, dtype=torch.float64)
    q = torch.rand((len(shape), 2, 1, *shape), generator=generator, dtype=torch.float64)
    assert float((gradient(u, slopes) * q).sum()) == pytest.approx(float(-(u * divergence(q, slopes)).sum()))


@pytest.mark.parametrize("spacing", [None, (1.5, 1.0)])
def test_is_the_minimum(spacing, phantoms):
    """Against the normal equations, solved densely."""
    A, y, sigma = problem(phantoms)
    weight = 30.0
    x = wls(y, A, sigma=sigma, weight=weight, spacing=spacing, tolerance_hu=1e-9, max_iterations=1000)
    W = phantoms.matrix_of(A) * MU_WATER_PER_MM / sigma.flatten().numpy()[:, None]
    n = int(np.prod(A.domain_shape))
    unit = torch.eye(n, dtype=torch.float64).reshape(n, 1, *A.domain_shape)
    slopes = [1 / one for one in spacing or (1.0, 1.0)]
    differences = gradient(unit, slopes).flatten(2).movedim(1, -1).flatten(0, 1).numpy()
    normal = W.T @ W + weight * differences.T @ differences
    expected = np.linalg.solve(normal, W.T @ (y / sigma).flatten().numpy()) * MU_WATER_PER_MM
    assert phantoms.relative(x.flatten(), expected) < 1e-6


def test_batch_is_its_slices(phantoms):
    A, y, sigma = problem(phantoms)
    y, sigma = torch.cat([y, 3 * y, 0 * y]), torch.cat([sigma, sigma, 4 * sigma])
    together = wls(y, A, sigma=sigma, tolerance_hu=5.0)
    alone = torch.cat([wls(y[k : k + 1], A, sigma=sigma[k : k + 1], tolerance_hu=5.0) for k in range(3)])
    assert phantoms.relative(together, alone) < 1e-9
    assert not together[2].any()


def test_noisy_rays_count_less(phantoms):
    """A view with a gross error, once believed and once known to be noisy."""
    A, y, sigma = problem(phantoms)
    truth = wls(y, A, sigma=sigma)
    spoilt, doubted = y.clone(), sigma.clone()
    spoilt[:, :, 3] += 0.5
    doubted[:, :, 3] = 1.0
    believed = phantoms.relative(wls(spoilt, A, sigma=sigma), truth)
    assert phantoms.relative(wls(spoilt, A, sigma=doubted), truth) < 0.3 * believed


def test_smooths_a_volume_along_all_axes(phantoms):
    grid = VolumeGrid((6, 10, 10), 2.0, 3.0)
    A = SparseProjector(ConeBeam.for_grid(grid, 12, 100.0, 150.0), grid)
    volume = phantoms.volume_image(grid, [phantoms.Sphere(MU_WATER_PER_MM, (0.0, 0.0, 0.0), 7.0)])
    y = A(torch.tensor(volume, dtype=torch.float32)[None, None])
    sigma = torch.full_like(y, 0.01)
    generator = torch.Generator().manual_seed(0)
    y = y + sigma * torch.randn(y.shape, generator=generator)
    rough, smooth = (wls(y, A, sigma=sigma, weight=w, spacing=(1.5, 1.0, 1.0)) for w in (1.0, 1000.0))
    for axis in (2, 3, 4):
        assert smooth.diff(dim=axis).square().sum() < 0.8 * rough.diff(dim=axis).square().sum()


def test_callback_stops(phantoms):
    A, y, sigma = problem(phantoms)
    seen = []
    wls(y, A, sigma=sigma, tolerance_hu=0.0, callback=lambda status: seen.append(status.step) or status.step < 4)
    assert seen == [1, 2, 3, 4]
