"""Pixel-space consistency against dense linear algebra, and the rule that stops at the noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctresample.consistency import fit_to_noise, proximal_step, residual_ratio
from ctresample.geometry import FanBeam, ImageGrid, ParallelBeam
from ctresample.operators import SparseProjector, Weighted

BEAMS = pytest.mark.parametrize("beam", [ParallelBeam, FanBeam])


def whitened_problem(beam: type = ParallelBeam, batch: int = 1, size: int = 8, dtype=torch.float64, n_views: int = 5):
    """A whitened operator with fewer values than pixels, noisy measurements of random images, and a start."""
    grid = ImageGrid((size, size), 2.0)
    A = SparseProjector(beam.for_grid(grid, n_views), grid, dtype=dtype)
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    truth = 0.02 + 0.005 * normal(batch, 1, size, size)
    sigma = 0.01 * (1 + torch.rand((1, 1, *A.range_shape), generator=generator, dtype=torch.float64).to(dtype))
    W = Weighted(A, 1 / sigma)
    y = W(truth) + normal(batch, 1, *A.range_shape)
    return W, y, truth + 0.01 * normal(batch, 1, size, size)


def in_null_space(x: torch.Tensor, W: Weighted, phantoms) -> np.ndarray:
    """The part of each image that the operator does not see."""
    _, values, rows = np.linalg.svd(phantoms.matrix_of(W))
    unseen = rows[int((values > 1e-10 * values[0]).sum()) :]
    assert len(unseen) > 5
    return x.flatten(1).numpy() @ unseen.T


# ---------------------------------------------------------------- proximal step


@BEAMS
@pytest.mark.parametrize("spread", [1e-3, 1e-1])
def test_proximal_step_solves_the_normal_equations(beam, spread, phantoms):
    W, y, x0 = whitened_problem(beam, batch=2)
    M = phantoms.matrix_of(W)
    H = M.T @ M + np.eye(M.shape[1]) / spread**2
    right = y.flatten(1).numpy() @ M + x0.flatten(1).numpy() / spread**2
    expected = np.linalg.solve(H, right.T).T
    found = proximal_step(x0, y, W, spread=spread, n_iterations=200)
    assert phantoms.relative(found.flatten(1), expected) < 1e-8


def test_each_slice_may_have_its_own_spread(phantoms):
    W, y, x0 = whitened_problem(batch=2)
    together = proximal_step(x0, y, W, spread=torch.tensor([1e-3, 1e-1]).double().view(2, 1, 1, 1), n_iterations=100)
    for k, spread in enumerate((1e-3, 1e-1)):
        alone = proximal_step(x0[k : k + 1], y[k : k + 1], W, spread=spread, n_iterations=100)
        assert phantoms.relative(together[k], alone[0]) < 1e-6


def test_few_single_precision_iterations_go_most_of_the_way():
    W, y, x0 = whitened_problem(dtype=torch.float32, size=24, n_views=10)

    def objective(n_iterations: int) -> float:
        x = proximal_step(x0, y, W, spread=0.01, n_iterations=n_iterations).double()
        return float((W(x.float()) - y).double().square().sum() + ((x - x0) / 0.01).square().sum())

    values = [objective(n) for n in (0, 2, 4, 6, 100)]
    assert values == sorted(values, reverse=True)
    assert values[3] - values[4] < 0.1 * (values[0] - values[4])


@BEAMS
def test_proximal_step_leaves_alone_what_it_does_not_see(beam, phantoms):
    W, y, x0 = whitened_problem(beam)
    x = proximal_step(x0, y, W, spread=0.05, n_iterations=30)
    assert not torch.allclose(x, x0)
    assert in_null_space(x - x0, W, phantoms) == pytest.approx(0, abs=1e-12)


def test_proximal_step_of_a_perfect_start_is_the_start():
    W, _, x0 = whitened_problem(dtype=torch.float32)
    x = proximal_step(x0, W(x0), W, spread=0.05, n_iterations=50)
    assert torch.equal(x, x0)


def test_more_iterations_than_needed_do_no_harm():
    W, y, x0 = whitened_problem(dtype=torch.float32)
    enough, more = (proximal_step(x0, y, W, spread=0.01, n_iterations=n) for n in (60, 600))
    assert torch.allclose(enough, more, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("dose", [1.0, 1e4])
def test_in_single_precision_the_noise_may_be_as_small_as_it_likes(dose, phantoms):
    """The step and its gradient: of weights of 1e6 inner products are too much for float32."""
    found = []
    for dtype in (torch.float32, torch.float64):
        W, y, x0 = whitened_problem(size=24, n_views=10, dtype=dtype)
        W, x0 = Weighted(W.operator, dose * W.weights), x0.requires_grad_()
        x = proximal_step(x0, dose * y, W, spread=0.01, n_iterations=5)
        (gradient,) = torch.autograd.grad(x.square().sum(), x0)
        found.append((x.detach() - x0.detach(), gradient))
    for single, double in zip(*found, strict=True):
        assert phantoms.relative(single, double) < 1e-2


# ---------------------------------------------------------------- fit to the noise level


@BEAMS
@pytest.mark.parametrize("target", [0.7, 1.0, 1.5])
def test_lands_on_the_noise_level(beam, target):
    W, y, x0 = whitened_problem(beam, batch=3, size=24, n_views=10, dtype=torch.float32)
    x0 = x0 * torch.tensor([1.0, 2.0, 0.0]).view(3, 1, 1, 1)
    assert (residual_ratio(W(x0) - y) > target).all()
    x = fit_to_noise(x0, y, W, max_iterations=200, target=target)
    assert residual_ratio(W(x) - y).tolist() == pytest.approx([target] * 3, abs=1e-3)


@BEAMS
def test_fit_leaves_alone_what_it_does_not_see(beam, phantoms):
    W, y, x0 = whitened_problem(beam, batch=2)
    x = fit_to_noise(x0, y, W, max_iterations=50)
    assert not torch.allclose(x, x0)
    assert in_null_space(x - x0, W, phantoms) == pytest.approx(0, abs=1e-12)


def test_batch_is_its_slices(phantoms):
    # double precision: in single, iterations far from the solution enlarge rounding as they please
    W, y, x0 = whitened_problem(batch=3, size=24, n_views=10)
    x0 = x0 * torch.tensor([1.0, 3.0, 0.0]).view(3, 1, 1, 1)  # they need different numbers of iterations
    for solve in (
        lambda x0, y: fit_to_noise(x0, y, W, max_iterations=100),
        lambda x0, y: proximal_step(x0, y, W, spread=0.01, n_iterations=6),
    ):
        together = solve(x0, y)
        alone = torch.cat([solve(x0[k : k + 1], y[k : k + 1]) for k in range(3)])
        assert phantoms.relative(together, alone) < 1e-9


def test_a_slice_below_the_noise_stays():
    W, y, x0 = whitened_problem(batch=2, size=24, n_views=10, dtype=torch.float32)
    y[0] = W(x0)[0] + 0.5 * torch.randn(W.range_shape, generator=torch.Generator().manual_seed(1))
    x = fit_to_noise(x0, y, W, max_iterations=100)
    assert torch.equal(x[0], x0[0])
    assert not torch.equal(x[1], x0[1])


def test_no_more_iterations_than_allowed():
    W, y, x0 = whitened_problem(size=24, n_views=10, dtype=torch.float32)
    x0 = torch.zeros_like(x0)
    steps = []
    x = fit_to_noise(x0, y, W, max_iterations=2, callback=lambda status: steps.append(status.step))
    assert steps == [1, 2]
    assert residual_ratio(W(x) - y) > 1
    assert torch.equal(fit_to_noise(x0, y, W, max_iterations=0), x0)


def test_callback_sees_the_residual_fall_and_can_stop():
    W, y, x0 = whitened_problem(size=24, n_views=10, dtype=torch.float32)
    ratios = []
    fit_to_noise(x0, y, W, max_iterations=100, callback=lambda status: ratios.append(status.residual_ratio))
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[-1] == pytest.approx(1, abs=1e-3)
    stopped = fit_to_noise(x0, y, W, max_iterations=100, callback=lambda status: False)
    assert torch.equal(stopped, fit_to_noise(x0, y, W, max_iterations=1))


def test_a_level_out_of_reach_ends_in_the_least_squares_fit(phantoms):
    """Also when the iterations go on long after that: rounding errors must not build up."""
    W, y, x0 = whitened_problem(size=4, n_views=12, dtype=torch.float32)
    x = fit_to_noise(x0, y, W, max_iterations=300, target=1e-3)
    expected = np.linalg.lstsq(phantoms.matrix_of(W), y.flatten().numpy())[0]
    assert phantoms.relative(x.flatten(), expected) < 1e-3


def test_residual_ratio_of_unit_noise():
    noise = torch.randn((4, 1, 30, 50), generator=torch.Generator().manual_seed(0))
    assert residual_ratio(torch.tensor([1.0, 2.0, 0.0, 5.0]).view(4, 1, 1, 1) * noise).tolist() == pytest.approx(
        [1, 2, 0, 5], rel=0.05
    )
