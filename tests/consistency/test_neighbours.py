"""The proximal step of a volume whose slices have errors in common, against each slice's solution in closed form."""

from __future__ import annotations

import math

import pytest
import torch

from ctresample.consistency import Neighbours, dual_proximal_step, proximal_step
from ctresample.geometry import ImageGrid, ParallelBeam
from ctresample.operators import SparseProjector, StackProjector, Weighted, WeightedModel

SPREAD, RHO, N = 0.3, 0.8, 4


@pytest.fixture(scope="module")
def problem():
    grid = ImageGrid((6, 6), pixel_size_mm=1.0)
    scans = [ParallelBeam(tuple(math.pi * (k + shift) / 4 for k in range(4)), 9, 1.0) for shift in (0.0, 0.5)]
    projectors = [SparseProjector(scan, grid, dtype=torch.float64) for scan in scans]
    A = StackProjector([projectors[k % 2] for k in range(N)], 1.0)
    generator = torch.Generator().manual_seed(1)
    x0, y = (torch.rand(1, 1, *s, generator=generator, dtype=torch.float64) for s in (A.domain_shape, A.range_shape))
    return Weighted(A, torch.tensor(2.0)), x0, y


def closed_form(problem, k: int, fade: float) -> torch.Tensor:
    """Slice ``k`` from the rays within two slices of it: weighted least squares with dense matrices."""
    A, x0, y = problem
    pixels = x0[0, 0].flatten(1)
    unit = torch.eye(36, dtype=torch.float64).view(36, 1, 6, 6)
    rows, unexplained = [], []
    for j in (j for j in range(-2, 3) if 0 <= k + j < N):
        M = 2 * A.operator.projectors[k + j](unit).reshape(36, -1).T
        difference = pixels[k + j] - pixels[k]
        alike = RHO ** abs(j) / (1 + (difference / fade).square())
        own = (M @ (1 - alike.square())) / M.sum(1).clamp_min(1e-12) if j else torch.zeros(len(M), dtype=torch.float64)
        alike = alike if j else torch.ones(36, dtype=torch.float64)
        weight = (1 + SPREAD**2 * M.square().sum(1) * own).rsqrt()
        rows.append(weight[:, None] * M * alike)
        expected = M @ pixels[k + j] - M @ (alike * difference)
        unexplained.append(weight * (y[0, 0, k + j].flatten() - expected))
    M, r = torch.cat(rows), torch.cat(unexplained)
    error = torch.linalg.solve(M.T @ M + torch.eye(36, dtype=torch.float64) / SPREAD**2, M.T @ r)
    return (pixels[k] + error).view(6, 6)


@pytest.mark.parametrize("step", [proximal_step, dual_proximal_step])
@pytest.mark.parametrize("fade", [math.inf, 0.2])
def test_step_is_the_posterior_mean_of_each_slice(problem, step, fade):
    A, x0, y = problem

    def solve(x, y, A, spread):
        return step(x, y, A, spread=spread, n_iterations=300)

    for spread in (SPREAD, torch.full((1, 1, N, 1, 1), SPREAD, dtype=torch.float64)):
        found = Neighbours((1.0, 1.0, 1.0), RHO, fade).step(x0, y, A, spread, solve)
        for k in range(N):
            torch.testing.assert_close(found[0, 0, k], closed_form(problem, k, fade), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("sign", [1, -1])
def test_models_that_are_not_linear(problem, sign):
    """Rows may be negative: counts fall where attenuation rises."""
    A, x0, y = problem
    model = WeightedModel(A.operator, sign * A.weights)

    def solve(x, y, A, spread):
        return dual_proximal_step(x, y, A, spread=spread, n_iterations=300)

    found = Neighbours((1.0, 1.0, 1.0), RHO).step(x0, sign * y, model, SPREAD, solve)
    torch.testing.assert_close(found[0, 0, 1], closed_form(problem, 1, math.inf), rtol=1e-6, atol=1e-8)


def test_repeated_steps_come_to_rest(problem):
    """What no image explains of a slice's rays is not added to its neighbours again and again."""
    A, x, y = problem

    def solve(x, y, A, spread):
        return dual_proximal_step(x, y, A, spread=spread, n_iterations=100)

    moved = []
    for _ in range(60):
        before, x = x, Neighbours((1.0, 1.0, 1.0), 0.99).step(x, y, A, SPREAD, solve)
        moved.append(float((x - before).norm()))
    assert moved[-1] < 0.01 * moved[0]


@pytest.mark.parametrize("rho", [0.0, RHO])
def test_nothing_to_couple_is_the_plain_step(problem, rho):
    """Without correlation, and of one slice whatever the correlation."""
    A, x0, y = problem
    if rho:
        A = StackProjector(A.operator.projectors[:1], 1.0)
        x0, y = x0[:, :, :1], y[:, :, :1]

    def solve(x, y, A, spread):
        return proximal_step(x, y, A, spread=spread, n_iterations=5)

    found = Neighbours((1.0, 1.0, 1.0), rho).step(x0, y, A, SPREAD, solve)
    assert torch.equal(found, solve(x0, y, A, SPREAD))
