"""The proximal step of a volume whose slices have errors in common, against the solution in closed form."""

from __future__ import annotations

import math

import pytest
import torch

from ctresample.consistency import Neighbours, dual_proximal_step, gauss_newton, proximal_step
from ctresample.geometry import ImageGrid, ParallelBeam
from ctresample.operators import SparseProjector, StackProjector, Weighted, WeightedModel
from ctresample.operators.along_z import AlongZ

SPREAD, RHO = 0.3, 0.8


@pytest.fixture(scope="module")
def problem():
    grid = ImageGrid((6, 6), pixel_size_mm=1.0)
    scans = [ParallelBeam(tuple(math.pi * (k + shift) / 4 for k in range(4)), 9, 1.0) for shift in (0.0, 0.5)]
    projectors = [SparseProjector(scan, grid, dtype=torch.float64) for scan in scans]
    A = StackProjector([projectors[k % 2] for k in range(3)], 1.0)
    generator = torch.Generator().manual_seed(1)
    x0, y = (torch.rand(1, 1, *s, generator=generator, dtype=torch.float64) for s in (A.domain_shape, A.range_shape))
    return Weighted(A, torch.tensor(2.0)), x0, y


def closed_form(problem, rho: torch.Tensor) -> torch.Tensor:
    """``x0 + C A^T (A C A^T + 1)^-1 (y - A x0)`` with the covariance ``C`` of the correlated errors."""
    A, x0, y = problem
    n = x0.numel()
    unit = torch.eye(n, dtype=torch.float64).view(n, 1, *A.domain_shape)
    M = torch.cat([A(one[None]) for one in unit]).reshape(n, -1).T
    F = AlongZ(rho, tuple(A.domain_shape), x0)(unit).reshape(n, n).T
    C = SPREAD**2 * F @ F.T
    v = torch.linalg.solve(M @ C @ M.T + torch.eye(len(M), dtype=torch.float64), (y - A(x0)).flatten())
    return x0 + (C @ M.T @ v).view_as(x0)


@pytest.mark.parametrize("step", [proximal_step, dual_proximal_step])
@pytest.mark.parametrize("fade", [math.inf, 0.2])
def test_step_is_the_posterior_mean(problem, step, fade):
    A, x0, y = problem
    unlike = (x0[0, 0, 1:] - x0[0, 0, :-1]) / fade
    neighbours = Neighbours((1.0, 1.0, 1.0), RHO, fade)
    found = neighbours.step(x0, y, A, lambda x, y, A: step(x, y, A, spread=SPREAD, n_iterations=200))
    torch.testing.assert_close(found, closed_form(problem, RHO / (1 + unlike.square())), rtol=1e-6, atol=1e-8)


def test_models_that_are_not_linear(problem):
    A, x0, y = problem
    model = WeightedModel(A.operator, A.weights)
    neighbours = Neighbours((1.0, 1.0, 1.0), RHO)

    def solve(x, y, A):
        return gauss_newton(x, y, A, spread=SPREAD, n_iterations=1, cg_iterations=200)

    found = neighbours.step(x0, y, model, solve)
    torch.testing.assert_close(found, closed_form(problem, torch.full((2, 1, 1), RHO)), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("rho", [0.0, RHO])
def test_nothing_to_couple_is_the_plain_step(problem, rho):
    """Without correlation, and of one slice whatever the correlation."""
    A, x0, y = problem
    if rho:
        A = StackProjector(A.operator.projectors[:1], 1.0)
        x0, y = x0[:, :, :1], y[:, :, :1]
    found = Neighbours((1.0, 1.0, 1.0), rho).step(
        x0, y, A, lambda x, y, A: proximal_step(x, y, A, spread=SPREAD, n_iterations=5)
    )
    assert torch.equal(found, proximal_step(x0, y, A, spread=SPREAD, n_iterations=5))
