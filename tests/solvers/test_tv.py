"""Total variation: the optimum it claims, and what that is good for."""

from __future__ import annotations

import pytest
import torch

from ctresample.geometry import FanBeam, ImageGrid, ParallelBeam
from ctresample.operators import LinearOperator, SparseProjector
from ctresample.solvers.fbp import fbp
from ctresample.solvers.sirt import sirt
from ctresample.solvers.tv import tv
from ctresample.units import MU_WATER_PER_MM

BEAMS = pytest.mark.parametrize("beam", [ParallelBeam, FanBeam])
GRID = ImageGrid((40, 40), 5.0)
SIGMA = 0.01


@pytest.fixture
def truth(phantoms) -> torch.Tensor:
    return phantoms.as_batch(phantoms.image(GRID, phantoms.head(GRID)))


def measured(A: LinearOperator, truth: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    clean = A(truth)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    return clean + SIGMA * noise, torch.full_like(clean, SIGMA)


def objective(x: torch.Tensor, y: torch.Tensor, A: LinearOperator, sigma: torch.Tensor, weight: float) -> float:
    """As the docstring of tv has it, written out anew."""
    u = torch.nn.functional.pad(x.double() / MU_WATER_PER_MM, (0, 1, 0, 1), mode="replicate")
    down, right = u[..., 1:, :-1] - u[..., :-1, :-1], u[..., :-1, 1:] - u[..., :-1, :-1]
    data = ((A(x) - y) / sigma).double().square().sum() / 2
    return float(data + weight * torch.sqrt(down**2 + right**2).sum())


def rms_hu(a: torch.Tensor, b: torch.Tensor) -> float:
    return 1000 / MU_WATER_PER_MM * float((a - b).square().mean().sqrt())


class Identity(LinearOperator):
    """Denoising, whose optimum can be had by hand."""

    domain_shape = range_shape = (6, 8)
    device, dtype = torch.device("cpu"), torch.float32

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        return y


@pytest.mark.parametrize("weight", [0.5, 2.0])
def test_a_step_is_lowered_from_both_sides(weight):
    """Each half gives way by weight * edge length / (data weight * its pixels), edge and data weight by hand."""
    low, high, sigma = 0.01, 0.02, 0.002
    y = torch.full((1, 1, 6, 8), low)
    y[..., 3:] = high
    x = tv(y, Identity(), sigma=torch.full_like(y, sigma), weight=weight, tolerance_hu=1e-4, max_iterations=20_000)
    data_weight = (MU_WATER_PER_MM / sigma) ** 2
    expected = torch.full((6, 8), low + MU_WATER_PER_MM * weight * 6 / (data_weight * 18))
    expected[:, 3:] = high - MU_WATER_PER_MM * weight * 6 / (data_weight * 30)
    assert rms_hu(x[0, 0], expected) < 0.1


def test_a_flat_image_is_left_alone():
    y = torch.full((1, 1, 6, 8), 0.03)
    x = tv(y, Identity(), sigma=torch.full_like(y, 0.002), weight=5.0, tolerance_hu=1e-3, max_iterations=5000)
    assert x == pytest.approx(y, rel=1e-3)


@pytest.mark.parametrize(("beam", "weight"), [(ParallelBeam, 30.0), (FanBeam, 3.0)])
def test_objective_is_that_of_a_long_run(beam, weight, truth):
    A = SparseProjector(beam.for_grid(GRID, 12), GRID)
    y, sigma = measured(A, truth)
    common = {"sigma": sigma, "weight": weight}
    longest = tv(y, A, **common, tolerance_hu=0.0, max_iterations=6000)
    best = objective(longest, y, A, sigma, weight)
    close = tv(y, A, **common, tolerance_hu=0.05, max_iterations=6000)
    assert objective(close, y, A, sigma, weight) == pytest.approx(best, rel=1e-3)
    assert rms_hu(close, longest) < 2
    # no neighbour is better: it is the minimum, and not only where the iterations come to rest
    generator = torch.Generator().manual_seed(1)
    for size in (1e-4, 1e-3):
        other = longest + size * torch.randn(longest.shape, generator=generator)
        assert objective(other.clamp_min(0), y, A, sigma, weight) > best
    assert objective(truth, y, A, sigma, weight) > best


@BEAMS
def test_the_default_tolerance_stops_within_a_few_hu_of_the_optimum(beam, truth):
    A = SparseProjector(beam.for_grid(GRID, 12), GRID)
    y, sigma = measured(A, truth)
    longest = tv(y, A, sigma=sigma, weight=10.0, tolerance_hu=0.0, max_iterations=6000)
    assert rms_hu(tv(y, A, sigma=sigma, weight=10.0), longest) < 5


@BEAMS
def test_recovers_a_piecewise_constant_object_from_few_views(beam, truth):
    A = SparseProjector(beam.for_grid(GRID, 12), GRID)
    y, sigma = measured(A, truth)
    x = tv(y, A, sigma=sigma)
    error = rms_hu(x, truth)
    assert error < 0.3 * rms_hu(fbp(y, A.geometry, GRID), truth)
    assert error < 0.7 * rms_hu(sirt(y, A, sigma=sigma), truth)
    assert error < 40


def test_never_negative(truth):
    A = SparseProjector(ParallelBeam.for_grid(GRID, 8), GRID)
    y, sigma = measured(A, truth)
    assert tv(y - 0.2, A, sigma=sigma, weight=3.0, max_iterations=200).min() >= 0


def test_each_slice_stops_on_its_own(truth, phantoms):
    A = SparseProjector(ParallelBeam.for_grid(GRID, 12), GRID)
    blank = torch.zeros_like(truth)
    y, sigma = measured(A, torch.cat([truth, truth.flip(2), blank]))
    y[2] = 0  # done at once
    sigma = sigma * torch.tensor([1.0, 4.0, 1.0]).view(3, 1, 1, 1)
    together = tv(y, A, sigma=sigma, weight=10.0)
    alone = torch.cat([tv(y[k : k + 1], A, sigma=sigma[k : k + 1], weight=10.0) for k in range(3)])
    assert phantoms.relative(together, alone) < 1e-4
    assert together[2].max() == 0


def test_a_good_anchor_saves_iterations_and_without_a_pull_does_not_change_the_result(truth):
    A = SparseProjector(ParallelBeam.for_grid(GRID, 12), GRID)
    y, sigma = measured(A, truth)

    def run(anchor):
        steps = []
        x = tv(
            y,
            A,
            sigma=sigma,
            weight=10.0,
            tolerance_hu=0.2,
            anchor=anchor,
            callback=lambda status: steps.append(status.step),
        )
        return x, steps[-1]

    cold, cold_steps = run(None)
    warm, warm_steps = run(truth)
    assert warm_steps < cold_steps
    assert rms_hu(warm, cold) < 5


@pytest.mark.parametrize("spread", [1e-4, 2e-3, 1e-1])
def test_anchor_and_data_are_weighted_by_their_variances(spread):
    """Flat images have no variation, so that the optimum is their mean weighted by precision, slice by slice."""
    sigma, data, anchor = 0.002, torch.tensor([0.01, 0.03]), torch.tensor([0.02, 0.02])
    y, start = (flat.view(2, 1, 1, 1).expand(2, 1, 6, 8) for flat in (data, anchor))
    options = {"weight": 1.0, "tolerance_hu": 1e-3, "max_iterations": 20_000}
    x = tv(y, Identity(), sigma=torch.full_like(y, sigma), anchor=start, spread=spread, **options)
    expected = (data / sigma**2 + anchor / spread**2) / (1 / sigma**2 + 1 / spread**2)
    assert rms_hu(x, expected.view(2, 1, 1, 1)) < 0.5


def test_proximal_step_is_a_minimum(truth):
    A = SparseProjector(ParallelBeam.for_grid(GRID, 12), GRID)
    y, sigma = measured(A, truth)
    anchor, spread, weight = torch.roll(truth, 2, dims=3), 0.1 * MU_WATER_PER_MM, 5.0

    def total(x: torch.Tensor) -> float:
        return objective(x, y, A, sigma, weight) + float(((x - anchor) / spread).double().square().sum() / 2)

    options = {"sigma": sigma, "weight": weight, "tolerance_hu": 0.0, "max_iterations": 3000}
    x = tv(y, A, **options, anchor=anchor, spread=spread)
    best = total(x)
    generator = torch.Generator().manual_seed(1)
    for size in (1e-4, 1e-3):
        assert total((x + size * torch.randn(x.shape, generator=generator)).clamp_min(0)) > best
    for other in (anchor, truth, tv(y, A, **options)):
        assert total(other) > best
        assert total(0.98 * x + 0.02 * other) > best


def test_callback_can_stop(truth):
    A = SparseProjector(ParallelBeam.for_grid(GRID, 12), GRID)
    y, sigma = measured(A, truth)
    seen = []
    x = tv(y, A, sigma=sigma, weight=10.0, callback=lambda status: seen.append(status) or len(seen) < 2)
    assert len(seen) == 2
    assert seen[0].solver == "tv"
    assert seen[0].residual_ratio > seen[1].residual_ratio
    assert torch.equal(x, tv(y, A, sigma=sigma, weight=10.0, max_iterations=seen[1].step))
