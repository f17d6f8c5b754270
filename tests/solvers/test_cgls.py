"""CGLS against dense least squares, and its stopping at the noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctresample.consistency import residual_ratio
from ctresample.geometry import FanBeam, ImageGrid, ParallelBeam
from ctresample.operators import SparseProjector
from ctresample.solvers.cgls import cgls

BEAMS = pytest.mark.parametrize("beam", [ParallelBeam, FanBeam])


@BEAMS
@pytest.mark.parametrize("n_views", [3, 15])
def test_converges_to_the_least_squares_image_of_least_norm(beam, n_views, phantoms):
    """With few views many images fit, with many none does."""
    grid = ImageGrid((8, 7), 2.0)
    A = SparseProjector(beam.for_grid(grid, n_views), grid, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    y = torch.rand((2, 1, *A.range_shape), generator=generator, dtype=torch.float64)
    sigma = 1e-4 * (1 + torch.rand((1, 1, *A.range_shape), generator=generator, dtype=torch.float64))
    if n_views == 3:
        y = A(torch.rand((2, 1, *grid.shape), generator=generator, dtype=torch.float64))
    W = phantoms.matrix_of(A) / sigma.numpy().reshape(-1, 1)
    expected = np.linalg.lstsq(W, (y / sigma).flatten(1).numpy().T)[0].T
    assert phantoms.relative(cgls(y, A, sigma=sigma / 1e6, max_iterations=400).flatten(1), expected) < 1e-5


@BEAMS
def test_stops_at_the_noise_level_slice_by_slice(beam, phantoms):
    grid = ImageGrid((32, 32), 6.0)
    A = SparseProjector(beam.for_grid(grid, 16), grid)
    clean = A(phantoms.as_batch(phantoms.image(grid, phantoms.head(grid)))).expand(3, -1, -1, -1)
    sigma = torch.tensor([0.002, 0.02, 0.2]).view(3, 1, 1, 1).expand_as(clean)
    y = clean + sigma * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    x = cgls(y, A, sigma=sigma, max_iterations=200)
    assert residual_ratio((A(x) - y) / sigma).tolist() == pytest.approx([1, 1, 1], abs=1e-3)
    alone = torch.cat([cgls(y[k : k + 1], A, sigma=sigma[k : k + 1], max_iterations=200) for k in range(3)])
    assert phantoms.relative(x, alone) < 1e-3


def test_callback_is_told_and_can_stop(phantoms):
    grid = ImageGrid((16, 16), 6.0)
    A = SparseProjector(ParallelBeam.for_grid(grid, 8), grid)
    y = A(phantoms.as_batch(phantoms.image(grid, phantoms.head(grid))))
    seen = []
    cgls(y, A, sigma=torch.full_like(y, 1e-3), callback=lambda status: seen.append(status) or len(seen) < 3)
    assert [(status.solver, status.step) for status in seen] == [("cgls", 1), ("cgls", 2), ("cgls", 3)]
    assert seen[0].residual_ratio > seen[1].residual_ratio > seen[2].residual_ratio
