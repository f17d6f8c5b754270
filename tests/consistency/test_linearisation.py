"""The proximal step of nonlinear models against dense optimisation, the linear one, and known images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares

from ctresample.consistency import gauss_newton, linearised_problem, proximal_step
from ctresample.geometry import ConeBeam, ImageGrid, ParallelBeam, VolumeGrid
from ctresample.operators import Polychromatic, SparseProjector, Transmission, Weighted, WeightedModel
from ctresample.units import MU_WATER_PER_MM

KINDS = {"transmission": lambda A: Transmission(A, 1000.0), "polychromatic": Polychromatic}
MODELS = pytest.mark.parametrize("kind", KINDS)
SIGMA = {"transmission": 10.0, "polychromatic": 0.01}
SPREAD = 0.3 * MU_WATER_PER_MM


def problem(kind: str, batch: int = 1, size: int = 6, n_views: int = 4, dtype=torch.float64, beam: type = ParallelBeam):
    """A whitened model, noisy measurements of images from air to bone, and starts some way off."""
    grid = VolumeGrid((2, size, size), 15.0, 15.0) if beam is ConeBeam else ImageGrid((size, size), 15.0)
    F = KINDS[kind](SparseProjector(beam.for_grid(grid, n_views), grid, dtype=dtype))
    generator = torch.Generator().manual_seed(0)
    truth = 2 * MU_WATER_PER_MM * torch.rand((batch, 1, *grid.shape), generator=generator, dtype=torch.float64)
    noise = torch.randn((batch, 1, *F.range_shape), generator=generator, dtype=torch.float64).to(dtype)
    off = torch.randn(truth.shape, generator=generator, dtype=torch.float64)
    model = WeightedModel(F, torch.tensor(1 / SIGMA[kind], dtype=dtype))
    return model, model(truth.to(dtype)) + noise, (truth + SPREAD * off).to(dtype)


def objective(x, x0, y, model, spread=SPREAD) -> torch.Tensor:
    """Of each slice."""
    return (model(x) - y).square().flatten(1).sum(1) + ((x - x0) / spread).square().flatten(1).sum(1)


@MODELS
def test_the_minimum_is_that_of_scipy(kind, phantoms):
    model, y, x0 = problem(kind, size=4)

    def residuals(v):
        x = torch.tensor(v).view_as(x0)
        return torch.cat([(model(x) - y).flatten(), ((x - x0) / SPREAD).flatten()]).numpy()

    expected = least_squares(residuals, x0.flatten().numpy(), x_scale=SPREAD, xtol=1e-12, ftol=1e-14, gtol=1e-12).x
    found = gauss_newton(x0, y, model, spread=SPREAD, n_iterations=20, cg_iterations=30)
    assert phantoms.relative(found.flatten(), expected) < 1e-5
    assert phantoms.relative(x0.flatten(), expected) > 0.05


def test_one_iteration_of_a_linear_model_is_the_proximal_step():
    grid = ImageGrid((8, 8), 10.0)
    A = SparseProjector(ParallelBeam.for_grid(grid, 5), grid)
    generator = torch.Generator().manual_seed(0)
    truth = MU_WATER_PER_MM * torch.rand((2, 1, 8, 8), generator=generator)
    W = Weighted(A, torch.full((2, 1, *A.range_shape), 50.0))
    y = W(truth) + torch.randn((2, 1, *A.range_shape), generator=generator)
    expected = proximal_step(truth / 2, y, W, spread=SPREAD, n_iterations=7)
    found = gauss_newton(truth / 2, y, W, spread=SPREAD, n_iterations=1, cg_iterations=7)
    assert torch.equal(found, expected)


@MODELS
def test_a_phantom_comes_back_from_clean_data(kind, phantoms):
    grid = ImageGrid((10, 10), 15.0)
    F = KINDS[kind](SparseProjector(ParallelBeam.for_grid(grid, 20), grid, dtype=torch.float64))
    truth = phantoms.as_batch(phantoms.image(grid, phantoms.head(grid)), dtype=torch.float64)
    model = WeightedModel(F, torch.tensor(1e3, dtype=torch.float64))
    start = torch.full_like(truth, 0.5 * MU_WATER_PER_MM)
    found = gauss_newton(start, model(truth), model, spread=1.0, n_iterations=6, cg_iterations=120)
    assert phantoms.relative(found, truth) < 2e-3


@MODELS
@pytest.mark.parametrize("beam", [ParallelBeam, ConeBeam])
def test_the_objective_falls_until_it_stays(kind, beam):
    model, y, x0 = problem(kind, batch=2, beam=beam)
    values = [
        objective(gauss_newton(x0, y, model, spread=SPREAD, n_iterations=n, cg_iterations=20), x0, y, model)
        for n in range(5)
    ]
    for before, after in zip(values, values[1:], strict=False):
        assert (after <= before * (1 + 1e-12)).all()
    assert (values[-1] < 0.5 * values[0]).all()


@MODELS
@pytest.mark.parametrize("beam", [ParallelBeam, ConeBeam])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-10)], ids=str)
def test_a_batch_is_its_slices_alone(kind, beam, dtype, tolerance, phantoms):
    model, y, x0 = problem(kind, batch=3, dtype=dtype, beam=beam)
    options = {"spread": SPREAD, "n_iterations": 3, "cg_iterations": 10}
    together = gauss_newton(x0, y, model, **options)
    for k in range(3):
        alone = gauss_newton(x0[k : k + 1], y[k : k + 1], model, **options)
        assert phantoms.relative(together[k], alone[0]) < tolerance


def test_steps_that_overshoot_are_halved_slice_by_slice():
    """Far too much attenuation: hardly a photon is expected, the model is flat, and the full step goes astray."""
    model, y, x0 = problem("transmission", batch=2)
    start = x0.clone()
    start[1] += 4 * MU_WATER_PER_MM
    J, y_J = linearised_problem(start, y, model)
    full = proximal_step(start, y_J, J, spread=1.0, n_iterations=50)
    found = gauss_newton(start, y, model, spread=1.0, n_iterations=1, cg_iterations=50)
    at_start, at_full, at_found = (objective(x, start, y, model, 1.0) for x in (start, full, found))
    assert torch.equal(found[0], full[0])
    assert not at_full[1] <= at_start[1]
    assert at_found[1] < at_start[1]
    share = (found[1] - start[1]) / (full[1] - start[1])
    assert float(share.std()) < 1e-6
    assert np.log2(float(share.mean())) == pytest.approx(round(np.log2(float(share.mean()))), abs=1e-6)


def test_a_step_that_leads_nowhere_is_not_taken():
    model, y, x0 = problem("transmission", batch=2)
    y[1] = float("nan")
    found = gauss_newton(x0, y, model, spread=SPREAD, n_iterations=2, cg_iterations=5)
    assert torch.equal(found[1], x0[1])
    assert not torch.equal(found[0], x0[0])


def test_each_slice_may_have_its_own_spread(phantoms):
    model, y, x0 = problem("transmission", batch=2)
    spreads = (SPREAD, SPREAD / 10)
    options = {"n_iterations": 3, "cg_iterations": 50}
    together = gauss_newton(x0, y, model, spread=torch.tensor(spreads).double().view(2, 1, 1, 1), **options)
    for k, spread in enumerate(spreads):
        alone = gauss_newton(x0[k : k + 1], y[k : k + 1], model, spread=spread, **options)
        assert phantoms.relative(together[k], alone[0]) < 1e-6


def test_fisher_scoring_finds_the_maximum_of_the_poisson_likelihood():
    """Called again with weights from its result, the step has the gradient of the likelihood's proximal problem."""
    grid = ImageGrid((6, 6), 15.0)
    F = Transmission(SparseProjector(ParallelBeam.for_grid(grid, 4), grid, dtype=torch.float64), 1000.0)
    generator = torch.Generator().manual_seed(0)
    x0 = torch.full((1, 1, 6, 6), MU_WATER_PER_MM, dtype=torch.float64)
    counts = torch.poisson(F(x0), generator=generator)
    x = x0
    for _ in range(12):
        sigma = F.sigma(F(x))
        model = WeightedModel(F, 1 / sigma)
        x = gauss_newton(x0, counts / sigma, model, spread=SPREAD, n_iterations=1, cg_iterations=40, start=x)
    x = x.requires_grad_()
    value = F.negative_log_likelihood(x, counts) + ((x - x0) / SPREAD).square().sum() / 2
    (gradient,) = torch.autograd.grad(value.sum(), x)
    (before,) = torch.autograd.grad(F.negative_log_likelihood(x, counts).sum(), x)
    assert float(gradient.norm()) < 1e-3 * float(before.norm())
