"""Each named choice of the settings does what it says, inside a run."""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from ctresample.consistency import residual_ratio
from ctresample.errors import PriorError
from ctresample.geometry import ImageGrid, ParallelBeam
from ctresample.operators import SparseProjector, Transmission
from ctresample.solvers.diffusion.schedule import Step
from ctresample.solvers.resample import ReSampleSettings, resample
from ctresample.solvers.resample.hard_consistency import Problem
from ctresample.units import MU_WATER_PER_MM, hu_to_mu

GRID = ImageGrid((16, 16), 8.0)
A = SparseProjector(ParallelBeam.for_grid(GRID, 8), GRID)
SIGMA = 0.02
CG = ReSampleSettings(
    n_steps=12,
    pixel_level=1.0,
    latent_level=0.0,
    skip=1,
    inner_steps=0,
    pixel_optimiser="cg",
    encoding="corrected",
    cg_iterations=8,
    final="none",
)
STEP = Step(t=501, level=0.5, alpha_bar=0.3, alpha_bar_previous=0.35)


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


class Case:
    """Two slices and their data."""

    def __init__(self, sigma: float = SIGMA) -> None:
        generator = torch.Generator().manual_seed(0)
        hu = torch.nn.functional.avg_pool2d(500 * torch.randn((2, 1, 16, 16), generator=generator), 3, 1, 1)
        self.truth = hu_to_mu(hu)
        clean = A(self.truth)
        self.sigma = torch.full_like(clean, sigma)
        self.y = clean + sigma * torch.randn(clean.shape, generator=generator)

    def run(self, prior, settings: ReSampleSettings, seeds=(5, 6), **options) -> torch.Tensor:
        n = len(seeds)
        options = {"sigma": self.sigma[:n], "settings": settings, "generators": generators(*seeds)} | options
        return resample(self.y[:n], A, prior, **options)

    def problem(self, prior, settings: ReSampleSettings) -> Problem:
        return Problem.whitened(self.y, A, self.sigma, prior, settings, MU_WATER_PER_MM)

    def ratio(self, x: torch.Tensor) -> torch.Tensor:
        return residual_ratio((A(x) - self.y[: len(x)]) / self.sigma[: len(x)])


@pytest.fixture
def case() -> Case:
    return Case()


@pytest.fixture
def gaussian(toy_prior):
    return toy_prior.GaussianPrior()


# ---------------------------------------------------------------- from pixels to latents and back


def test_plain_encoding_carries_the_error_of_the_encoder_and_corrected_does_not(case, toy_prior):
    class Biased(toy_prior.GaussianPrior):
        def encode(self, hu):
            return super().encode(hu) + 0.3

    z_0 = torch.randn((2, 1, 16, 16), generator=torch.Generator().manual_seed(1))
    exact, plain, corrected = (
        case.problem(prior, replace(CG, encoding=encoding)).agree(z_0, STEP, "pixel", [])
        for prior, encoding in ((toy_prior.GaussianPrior(), "plain"), (Biased(), "plain"), (Biased(), "corrected"))
    )
    assert torch.allclose(plain, exact + 0.3, atol=1e-5)
    assert torch.allclose(corrected, exact, atol=1e-5)


def test_the_spread_narrows_with_the_level_as_asked(case, gaussian, monkeypatch):
    module, seen = importlib.import_module("ctresample.solvers.resample.hard_consistency"), {}
    for power in (0.0, 1.0, 2.0):
        widths = seen[power] = []
        monkeypatch.setattr(
            module, "proximal_step", lambda x, y, A, *, spread, widths=widths, **_: widths.append(spread) or x
        )
        case.run(gaussian, replace(CG, spread_power=power))
    times = [1 + k * 1000 // CG.n_steps for k in reversed(range(CG.n_steps))]
    for power, widths in seen.items():
        assert np.array(widths) / np.array(seen[0.0]) == pytest.approx([(t / times[0]) ** power for t in times])


@pytest.mark.parametrize("optimiser", ["gauss-newton", "adamw"])
def test_latent_stages_end_at_the_noise(optimiser, case, gaussian):
    gaussian.scale_hu = 500.0
    settings = replace(CG, latent_optimiser=optimiser, latent_lr=2e-2, newton_iterations=3, cg_iterations=20)
    z_0 = torch.zeros(2, 1, 16, 16)
    problem = case.problem(gaussian, settings)
    assert (case.ratio(problem.decode(z_0)) > 2).all()
    ratios = case.ratio(problem.decode(problem.agree(z_0, STEP, "latent", [])))
    assert ((ratios > 0.9) & (ratios < 1.02)).all()
    assert problem.ratio() == pytest.approx(float(ratios.mean()), rel=1e-4)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_gauss_newton_in_a_whole_run(kind, case, toy_prior):
    """With a final fit in latents; any kind of prediction."""
    settings = replace(CG, latent_level=1.0, latent_optimiser="gauss-newton", final="latent", skip=3)
    prior = toy_prior.random_prior(kind)
    fitted = case.ratio(case.run(prior, settings))
    bare = case.ratio(case.run(prior, replace(settings, latent_level=0.0, pixel_level=0.0, final="none")))
    assert (fitted < 0.97 * bare).all()  # as near as an untrained decoder can get


# ---------------------------------------------------------------- the gradient step


def test_gradient_step_by_hand(case, gaussian):
    """Of a linear decoder: sqrt(a) A' r / |r| for each slice, in the unit of the model's longest ray."""
    problem = case.problem(gaussian, replace(CG, gradient_scale=0.7))
    z, z_0 = (torch.randn((2, 1, 16, 16), generator=torch.Generator().manual_seed(k)) for k in (1, 2))
    r = A(problem.decode(z_0)) - case.y
    low, high = gaussian.config.hu_range
    longest = float(A(torch.full_like(z_0[:1], (high - low) / 2 * MU_WATER_PER_MM / 1000)).max())
    slope = gaussian.scale_hu * MU_WATER_PER_MM / 1000 * A.T(r) / r.flatten(1).norm(dim=1).view(-1, 1, 1, 1) / longest
    expected = z - 0.7 * 0.3**0.5 * slope
    assert torch.allclose(problem.gradient_step(z, z_0, 0.3), expected, atol=1e-6)


def test_gradient_steps_do_not_depend_on_dose_or_batch(case, toy_prior):
    prior, settings = toy_prior.random_prior(), replace(CG, gradient_scale=0.7)
    z, z_0 = (torch.randn((2, 4, 8, 8), generator=torch.Generator().manual_seed(k)) for k in (1, 2))
    step = case.problem(prior, settings).gradient_step(z, z_0, 0.3)
    lower = Case()
    lower.sigma = 10 * lower.sigma
    assert torch.allclose(lower.problem(prior, settings).gradient_step(z, z_0, 0.3), step, atol=1e-5)
    lower.y, lower.sigma = case.y[1:], case.sigma[1:]
    assert torch.allclose(lower.problem(prior, settings).gradient_step(z[1:], z_0[1:], 0.3), step[1:], atol=1e-5)


def test_gradient_steps_alone_bring_a_run_nearer_to_the_data(case, toy_prior):
    prior = toy_prior.random_prior()
    unguided = replace(CG, pixel_level=0.0, n_steps=50)
    ratios = [case.ratio(case.run(prior, replace(unguided, gradient_scale=scale))) for scale in (0.0, 1.0, 5.0)]
    assert (ratios[0] > ratios[1]).all()
    assert (ratios[1] > ratios[2]).all()


# ---------------------------------------------------------------- chains and the final step


def test_chains_are_averaged(case, gaussian):
    """They draw on from the same generators, one after the other, and are averaged as images."""
    three = case.run(gaussian, replace(CG, chains=3))
    sources = generators(5, 6)
    alone = [case.run(gaussian, CG, generators=sources) for _ in range(3)]
    assert torch.allclose(three, torch.stack(alone).mean(0), atol=1e-7)
    assert not torch.allclose(alone[0], alone[1], atol=1e-4)


def test_chains_are_told_and_stopped_as_one_run(case, gaussian):
    seen = []
    case.run(gaussian, replace(CG, chains=2), callback=lambda status: seen.append((status.step, status.n_steps)))
    assert seen == [(step, 24) for step in range(1, 25)]
    seen.clear()
    case.run(gaussian, replace(CG, chains=2), callback=lambda status: seen.append(status.step) or len(seen) < 5)
    assert seen == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("sigma", [1e-3, 0.02, 0.2])
@pytest.mark.parametrize("final", ["latent", "none"])
def test_the_output_is_at_the_noise_where_asked(final, sigma, toy_prior):
    case, prior = Case(sigma), toy_prior.random_prior()
    settings = replace(CG, final=final, latent_optimiser="gauss-newton", residual_target=1.0)
    ratios = case.ratio(case.run(prior, settings))
    assert ((ratios > 0.99) & (ratios < 1.01)).all()


@pytest.mark.parametrize(("sigma", "fits_noise"), [(1e-3, True), (0.02, False), (0.2, False)])
def test_after_the_proximal_step_only_what_fits_noise_is_moved(sigma, fits_noise, toy_prior):
    """What total variation does not fit may be an error of the model, which conjugate gradients would fit."""
    case, prior = Case(sigma), toy_prior.random_prior()
    step = case.run(prior, replace(CG, final="pixel", residual_target=None))
    x = case.run(prior, replace(CG, final="pixel", residual_target=1.0))
    assert ((case.ratio(step) < 1) == fits_noise).all()
    if fits_noise:
        assert ((case.ratio(x) - 1).abs() < 0.01).all()
    else:
        assert torch.equal(x, step)


def test_counts_are_matched_too(toy_prior):
    case, F = Case(), Transmission(A, 2000.0)
    sigma = F.sigma(F(case.truth))
    counts = torch.poisson(F(case.truth), generator=torch.Generator().manual_seed(1))
    x = resample(
        counts,
        F,
        toy_prior.random_prior(),
        sigma=sigma,
        settings=replace(CG, final="pixel", residual_target=3.0),
        generators=generators(5, 6),
    )
    ratios = residual_ratio((F(x) - counts) / sigma)
    assert ((ratios / 3 > 0.97) & (ratios / 3 < 1.03)).all()


# ---------------------------------------------------------------- what cannot go well


def test_divergence_names_the_step_and_the_slice(case, gaussian):
    predict, calls = gaussian.predict, []

    def diverging(z, t):
        calls.append(t)
        z_0, epsilon = predict(z, t)
        if len(calls) == 4:
            z_0 = z_0 * torch.tensor([1.0, float("inf")]).view(-1, 1, 1, 1)
        return z_0, epsilon

    gaussian.predict = diverging
    with pytest.raises(PriorError, match="diverged at step 4 of 12 in slice 2 of a batch of 2"):
        case.run(gaussian, CG)


def test_a_start_far_outside_the_hu_range(case, toy_prior):
    """Such as an image whose unit is not what the prior was told."""
    prior, settings = toy_prior.random_prior(), replace(CG, start_level=0.5)
    case.run(prior, settings, start=case.truth)
    with pytest.raises(PriorError, match=r"prior toy knows -1000 to 2000 HU, but \d+ % of the start image lies far"):
        case.run(prior, settings, start=10 * case.truth)
    one = torch.stack([case.truth[0], case.truth[1] + MU_WATER_PER_MM * torch.tensor([0.0, 0.0, 0.0, 4.0]).repeat(4)])
    with pytest.raises(PriorError, match="25 % of the start image lies far outside .* in slice 2 of a batch of 2"):
        case.run(prior, settings, start=one)
    one[1, ..., 3::8] = case.truth[1, ..., 3::8]
    with pytest.raises(PriorError, match="12 % .* in slice 2"):  # as it would be alone, though 6 % of the batch
        case.run(prior, settings, start=one)
    metal = case.truth.clone()
    metal[..., :4, :4] *= 20  # a sixteenth of the image
    case.run(prior, settings, start=metal)
