"""ReSample against diffusers' own sampler, the formulas of the paper and a posterior known in closed form."""

from __future__ import annotations

import importlib
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from ctresample.consistency import residual_ratio
from ctresample.errors import PriorError, UsageError
from ctresample.geometry import FanBeam, ImageGrid, ParallelBeam
from ctresample.operators import SparseProjector
from ctresample.solvers.resample import PRESETS, ReSampleSettings, resample
from ctresample.solvers.resample.sampler import resampling_variance, stochastic_resample, timesteps
from ctresample.units import MU_WATER_PER_MM, hu_to_mu, mu_to_hu

GRID = ImageGrid((32, 32), 6.0)
SIGMA = 0.02
CG = ReSampleSettings(
    n_steps=24,
    start_level=0.5,
    warm_start="tv",
    pixel_level=1.0,
    latent_level=0.0,
    skip=1,
    inner_steps=0,
    optimiser="cg",
    cg_iterations=6,
    variance_scale=40.0,
    final="pixel",
    final_spread_hu=100.0,
    final_iterations=400,
)
ADAMW = ReSampleSettings(
    n_steps=30,
    pixel_level=2 / 3,
    latent_level=1 / 3,
    skip=5,
    inner_steps=2,
    optimiser="adamw",
    pixel_lr=1e-2,
    pixel_iterations=40,
    latent_lr=5e-3,
    latent_iterations=20,
    variance_scale=40.0,
    final="latent",
)
NO_FINAL_FIT = {"final": "latent", "latent_iterations": 0}
"""Hands back the decoded estimate as it is."""
UNCONDITIONAL = ReSampleSettings(n_steps=20, pixel_level=0.0, latent_level=0.0, **NO_FINAL_FIT)
SETTINGS = pytest.mark.parametrize("settings", [CG, ADAMW], ids=["cg", "adamw"])


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


class Case:
    """Two different slices, their data and a blurred start for each."""

    def __init__(self, phantoms, beam: type = ParallelBeam, dtype: torch.dtype = torch.float32) -> None:
        self.A = SparseProjector(beam.for_grid(GRID, 10), GRID, dtype=dtype)
        image = phantoms.image(GRID, phantoms.head(GRID))
        self.truth = phantoms.as_batch(image, image.T, dtype=dtype)
        clean = self.A(self.truth)
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0)).to(dtype)
        self.y, self.sigma = clean + SIGMA * noise, torch.full_like(clean, SIGMA)
        self.blurred = torch.nn.functional.avg_pool2d(self.truth, 5, 1, 2)

    def run(self, prior, settings: ReSampleSettings, slices=(0, 1), seeds=(5, 6), **options) -> torch.Tensor:
        k = list(slices)
        start = self.blurred[k] if settings.start_level < 1 else None
        options = {"start": start, "generators": generators(*(seeds[i] for i in k))} | options
        return resample(self.y[k], self.A, prior, sigma=self.sigma[k], settings=settings, **options)


@pytest.fixture
def case(phantoms) -> Case:
    return Case(phantoms)


# ---------------------------------------------------------------- the result


@SETTINGS
@pytest.mark.parametrize("beam", [ParallelBeam, FanBeam])
def test_residual_is_at_the_noise_level(settings, beam, phantoms, toy_prior):
    case = Case(phantoms, beam)
    prior = toy_prior.GaussianPrior()
    if settings is ADAMW:  # enough steps, through a decoder steep enough for their size
        prior.scale_hu = 1000.0
        settings = replace(settings, latent_lr=2e-2, latent_iterations=1000)
    x = case.run(prior, settings)
    ratios = residual_ratio((case.A(x) - case.y) / case.sigma)
    assert ((ratios > 0.8) & (ratios < 1.2)).all()


@SETTINGS
def test_the_end_brings_even_the_image_of_an_untrained_prior_nearer_to_the_data(settings, case, toy_prior):
    prior = toy_prior.random_prior()
    if settings is ADAMW:
        settings = replace(settings, latent_lr=2e-2, pixel_level=0.0, latent_level=0.0)

    def misfit(x: torch.Tensor) -> torch.Tensor:
        return residual_ratio((case.A(x) - case.y) / case.sigma)

    without = misfit(case.run(prior, replace(settings, **NO_FINAL_FIT)))
    assert (misfit(case.run(prior, settings)) < 0.9 * without).all()


@SETTINGS
def test_same_seed_same_image(settings, case, toy_prior):
    prior = toy_prior.random_prior()
    once = case.run(prior, settings)
    assert torch.equal(once, case.run(prior, settings))
    torch.manual_seed(1234)  # no other source of randomness
    assert torch.equal(once, case.run(prior, settings))
    other = case.run(prior, settings, seeds=(5, 7))
    assert torch.allclose(other[0], once[0], atol=1e-3)
    assert not torch.allclose(other[1], once[1], atol=1e-3)


@SETTINGS
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-10)], ids=str)
def test_batch_of_two_is_the_two_alone(settings, dtype, tolerance, phantoms, toy_prior):
    case, prior = Case(phantoms, dtype=dtype), toy_prior.random_prior()
    prior.vae.to(dtype), prior.unet.to(dtype)
    together = case.run(prior, settings)
    alone = torch.cat([case.run(prior, settings, slices=[k]) for k in range(2)])
    assert phantoms.relative(together, alone) < tolerance


def test_hu_refer_to_the_given_water(case, toy_prior):
    """Twice the attenuation of water and of everything else: the same image in HU."""
    prior, settings = toy_prior.random_prior(), replace(CG, **NO_FINAL_FIT)
    once = case.run(prior, settings)
    twice = resample(
        2 * case.y,
        case.A,
        prior,
        sigma=2 * case.sigma,
        settings=settings,
        generators=generators(5, 6),
        start=2 * case.blurred,
        mu_water_per_mm=2 * MU_WATER_PER_MM,
    )
    assert torch.allclose(twice / 2, once, atol=1e-3)


@pytest.mark.cuda
@SETTINGS
def test_cuda_draws_the_noise_of_the_cpu(settings, phantoms, toy_prior):
    case = Case(phantoms)
    expected = case.run(toy_prior.random_prior(), settings)
    case.A = SparseProjector(case.A.geometry, GRID, device="cuda")
    case.y, case.sigma, case.blurred = case.y.cuda(), case.sigma.cuda(), case.blurred.cuda()
    found = case.run(toy_prior.random_prior().to("cuda"), settings).cpu()
    assert phantoms.relative(found, expected) < 0.05


# ---------------------------------------------------------------- the sampler


@pytest.mark.parametrize("n_steps", [20, 50, 200, 333, 500, 1000])
def test_timesteps_are_those_of_diffusers(n_steps, toy_prior):
    scheduler = toy_prior.scheduler("epsilon")
    assert scheduler.config["timestep_spacing"] == "leading"
    scheduler.set_timesteps(n_steps)
    expected = [int(t) for t in scheduler.timesteps]
    if n_steps == 1000:
        assert expected[0] == 1000  # past the end of the schedule: diffusers could not take this one either
        expected = expected[1:]
    assert timesteps(1000, ReSampleSettings(n_steps=n_steps)) == expected


@pytest.mark.parametrize("n_steps", [7, 60, 999])
def test_timesteps_that_do_not_divide_the_schedule_still_span_it(n_steps):
    steps = timesteps(1000, ReSampleSettings(n_steps=n_steps))
    assert len(steps) == n_steps
    gaps = -np.diff(steps)
    assert gaps.min() > 0
    assert gaps.max() - gaps.min() <= 1
    assert steps[-1] == 1
    assert steps[0] + gaps.min() >= 1000 - 1


@pytest.mark.parametrize("level", [1.0, 0.5, 0.35, 0.1])
def test_timesteps_begin_at_the_start_level(level):
    every = timesteps(1000, ReSampleSettings(n_steps=100))
    steps = timesteps(1000, ReSampleSettings(n_steps=100, start_level=level))
    assert steps == [t for t in every if t <= level * 999]


def test_there_is_always_a_timestep():
    assert timesteps(1000, ReSampleSettings(n_steps=5, start_level=1e-6)) == [1]


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction", "sample"])
def test_unconditional_steps_are_those_of_diffusers(prediction_type, case, toy_prior):
    """Without hard consistency what is left is DDIM with eta = 0."""
    prior = toy_prior.random_prior(prediction_type)
    found = case.run(prior, UNCONDITIONAL)
    scheduler = toy_prior.scheduler(prediction_type)
    scheduler.set_timesteps(UNCONDITIONAL.n_steps)
    z = torch.stack([torch.randn((toy_prior.CHANNELS, 16, 16), generator=g) for g in generators(5, 6)])
    with torch.no_grad():
        for t in scheduler.timesteps:
            step = scheduler.step(prior.unet(z, t).sample, t, z, eta=0.0)
            z = step.prev_sample
        expected = hu_to_mu(prior.decode(step.pred_original_sample))
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_start_image_is_noised_to_its_level(case, toy_prior):
    """With one step from the lowest level the start comes back but for the autoencoder's error and little noise."""

    class Perfect(toy_prior.GaussianPrior):
        def predict(self, z_t, t):
            level.append(float((z_t - clean).square().mean().sqrt()))
            return clean, (z_t - clean) / (1 - float(self.alpha_bar[t])) ** 0.5

    prior, level = Perfect(), []
    clean = prior.encode(mu_to_hu(case.blurred))
    settings = replace(UNCONDITIONAL, n_steps=10, start_level=0.35)
    found = case.run(prior, settings)
    assert torch.allclose(found, case.blurred, atol=1e-6)
    a = float(prior.alpha_bar[301])
    expected = ((a**0.5 - 1) * clean).square().mean() + 1 - a
    assert level[0] == pytest.approx(float(expected) ** 0.5, rel=0.1)


# ---------------------------------------------------------------- stochastic resampling


@pytest.mark.parametrize(("alpha_bar", "variance"), [(0.3, 0.05), (0.9, 0.4), (0.999, 1e-4), (0.5, 40.0)])
def test_resampling_draws_from_the_product_of_two_gaussians(alpha_bar, variance):
    n = 60_000
    z_0, z = 1.7, -0.4
    narrow = torch.full((1, 1, 1, n), z_0), torch.full((1, 1, 1, n), z)
    draws = stochastic_resample(*narrow, alpha_bar, variance, generators(0)).double().flatten().numpy()
    # precisions add, means are weighted by them
    precisions = np.array([1 / (1 - alpha_bar), 1 / variance])
    mean = precisions @ [alpha_bar**0.5 * z_0, z] / precisions.sum()
    standardised = (draws - mean) * precisions.sum() ** 0.5
    assert abs(standardised.mean()) * n**0.5 < 4
    chi2 = stats.chi2(n - 1)
    assert chi2.ppf(1e-5) < (n - 1) * standardised.var(ddof=1) < chi2.ppf(1 - 1e-5)


def test_resampling_trusts_the_consistent_latent_when_the_variance_is_large():
    z_0, z = torch.ones(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    assert torch.allclose(stochastic_resample(z_0, z, 1 - 1e-12, 10.0, generators(0)), z_0, atol=1e-4)
    assert torch.allclose(stochastic_resample(z_0, z, 0.5, 1e-12, generators(0)), z, atol=1e-4)


def test_resampling_variance_by_hand():
    """Equation 13: gamma (1 - a_{t-1}) / a_t (1 - a_t / a_{t-1})."""
    assert resampling_variance(0.4, 0.5, 40.0) == pytest.approx(40 * 0.5 / 0.4 * 0.2)
    assert resampling_variance(0.5, 0.5, 40.0) == 0


def test_each_slice_draws_from_its_own_generator():
    zero = torch.zeros(2, 1, 8, 8)
    draws = stochastic_resample(zero, zero, 0.5, 1.0, generators(1, 2))
    swapped = stochastic_resample(zero, zero, 0.5, 1.0, generators(2, 1))
    assert torch.equal(draws, swapped.flip(0))
    assert not torch.equal(draws[0], draws[1])


# ---------------------------------------------------------------- hard consistency


@pytest.fixture
def consistency_steps(monkeypatch):
    """How often each of the three ways to agree with the data was taken, as resample goes on."""
    module = importlib.import_module("ctresample.solvers.resample.sampler")  # the name alone is the function
    taken = Counter()

    def counting(name):
        original = getattr(module, name)

        def wrapper(*args, **options):
            taken[name] += 1
            return original(*args, **options)

        return wrapper

    for name in ("fit_pixels_by_adamw", "fit_latent_by_adamw", "proximal_step"):
        monkeypatch.setattr(module, name, counting(name))
    return taken


def test_stages_follow_the_level(case, toy_prior, consistency_steps):
    settings = replace(ADAMW, skip=3, pixel_iterations=1, latent_iterations=1)
    seen = []

    def watch(_):
        seen.append(dict(consistency_steps))
        consistency_steps.clear()

    case.run(toy_prior.random_prior(), settings, callback=watch)
    for i, (t, taken) in enumerate(zip(timesteps(1000, settings), seen, strict=True)):
        if t / 999 > settings.pixel_level or i % settings.skip:
            expected = {}
        else:
            latent = t / 999 <= settings.latent_level
            expected = {"fit_latent_by_adamw" if latent else "fit_pixels_by_adamw": 1}
        assert taken == expected, f"step {i} at schedule step {t}"
    assert {name for taken in seen for name in taken} == {"fit_latent_by_adamw", "fit_pixels_by_adamw"}


def test_conjugate_gradients_at_every_step(case, toy_prior, consistency_steps):
    case.run(toy_prior.random_prior(), CG)
    assert consistency_steps == {"proximal_step": len(timesteps(1000, CG))}


def test_proximal_steps_are_as_wide_as_asked(case, toy_prior, monkeypatch):
    module = importlib.import_module("ctresample.solvers.resample.sampler")
    prior, seen = toy_prior.random_prior(), []
    monkeypatch.setattr(module, "proximal_step", lambda x, y, A, **options: seen.append(options["spread"]) or x)
    settings = replace(CG, spread_scale=3.0, **NO_FINAL_FIT)
    case.run(prior, settings, mu_water_per_mm=2 * MU_WATER_PER_MM)
    expected = [3 * prior.spread_hu(t) * 2 * MU_WATER_PER_MM / 1000 for t in timesteps(1000, settings)]
    assert seen == pytest.approx(expected)


def test_final_proximal_step_is_anchored_at_the_decoded_estimate(case, toy_prior, monkeypatch):
    module = importlib.import_module("ctresample.solvers.resample.sampler")
    prior, called = toy_prior.random_prior(), {}
    monkeypatch.setattr(module, "tv", lambda y, A, **options: called.update(options) or options["anchor"])
    settings = replace(CG, final_spread_hu=70.0, final_iterations=33)
    x = case.run(prior, settings, mu_water_per_mm=2 * MU_WATER_PER_MM)
    assert called["spread"] == pytest.approx(0.07 * 2 * MU_WATER_PER_MM)
    assert called["max_iterations"] == 33
    assert called["sigma"] is not None
    bare = case.run(prior, replace(settings, **NO_FINAL_FIT), mu_water_per_mm=2 * MU_WATER_PER_MM)
    assert torch.equal(x, bare)


def test_final_latent_fit_takes_its_iterations(case, toy_prior, consistency_steps):
    last = []
    case.run(toy_prior.random_prior(), ADAMW, callback=lambda _: last.append(consistency_steps["fit_latent_by_adamw"]))
    assert consistency_steps["fit_latent_by_adamw"] == last[-1] + 1


def test_no_stage_no_consistency(case, toy_prior, consistency_steps):
    seen = []
    case.run(toy_prior.random_prior(), UNCONDITIONAL, callback=lambda _: seen.append(sum(consistency_steps.values())))
    assert seen == [0] * UNCONDITIONAL.n_steps


@pytest.mark.parametrize(("stop_at", "inner_steps", "used"), [(1, 0, 0), (1, 2, 2), (4, 5, 8), (20, 5, 19)])
def test_consistency_is_imposed_on_the_estimate_some_steps_ahead(
    stop_at, inner_steps, used, case, toy_prior, monkeypatch
):
    """Those steps are DDIM as well; at the end of the schedule there are fewer of them left."""
    module = importlib.import_module("ctresample.solvers.resample.sampler")
    given = []
    monkeypatch.setattr(module, "fit_pixels_by_adamw", lambda x, *_, **__: given.append(x) or x)
    prior = toy_prior.random_prior()
    n_steps = 20
    settings = ReSampleSettings(n_steps=n_steps, pixel_level=1.0, latent_level=0.0, skip=1, inner_steps=inner_steps)
    # resampling with no variance goes on from the unconditional latents
    settings = replace(settings, variance_scale=0.0, **NO_FINAL_FIT)
    case.run(prior, settings, callback=lambda status: status.step < stop_at)
    scheduler = toy_prior.scheduler("v_prediction")
    scheduler.set_timesteps(n_steps)
    z = torch.stack([torch.randn((toy_prior.CHANNELS, 16, 16), generator=g) for g in generators(5, 6)])
    with torch.no_grad():
        for t in scheduler.timesteps[: used + 1]:
            step = scheduler.step(prior.unet(z, t).sample, t, z, eta=0.0)
            z = step.prev_sample
        expected = hu_to_mu(prior.decode(step.pred_original_sample))
    assert len(given) == stop_at
    assert torch.allclose(given[-1], expected, rtol=1e-3, atol=1e-5)


def test_pixel_steps_are_taken_in_units_of_half_the_hu_range(case, toy_prior, monkeypatch):
    module = importlib.import_module("ctresample.solvers.resample.sampler")
    units = []
    monkeypatch.setattr(module, "fit_pixels_by_adamw", lambda x, *_, unit, **__: units.append(unit) or x)
    case.run(toy_prior.random_prior(), ADAMW)
    assert units[0] == pytest.approx(hu_to_mu(500.0) - hu_to_mu(-1000.0))  # its range is from -1000 to 2000 HU


def test_the_error_of_the_encoder_does_not_add_up(case, toy_prior):
    """With conjugate gradients only the correction is encoded, so what the encoder gets wrong cancels."""

    class Biased(toy_prior.GaussianPrior):
        def encode(self, hu):
            return super().encode(hu) + 0.3

    settings = replace(CG, start_level=1.0, warm_start=None, **NO_FINAL_FIT)
    exact, biased = (case.run(prior, settings) for prior in (toy_prior.GaussianPrior(), Biased()))
    assert torch.allclose(biased, exact, rtol=1e-2, atol=1e-5)


@pytest.mark.parametrize("beam", [ParallelBeam, FanBeam])
@pytest.mark.parametrize("sigma", [0.003, 0.02])
def test_mean_over_seeds_is_the_posterior_mean(beam, sigma, phantoms, toy_prior):
    """Pixels known to be normal and independent, measured in few views: linear algebra has the answer.

    Every pixel's mean over the seeds must be right within what so few draws allow, as tested by chi square.
    """
    prior, n_seeds = toy_prior.GaussianPrior(), 256
    grid = ImageGrid((6, 6), 4.0)
    A = SparseProjector(beam.for_grid(grid, 4), grid, dtype=torch.float64)
    rng = np.random.default_rng(0)
    M = phantoms.matrix_of(A)
    sigmas = sigma * rng.uniform(0.5, 2, len(M))
    spread, mean = prior.scale_hu * MU_WATER_PER_MM / 1000, hu_to_mu(0.0)
    truth = mean + spread * rng.standard_normal(grid.shape[0] * grid.shape[1])
    y = M @ truth + sigmas * rng.standard_normal(len(M))
    W = M / sigmas[:, None]
    posterior = np.linalg.solve(W.T @ W + np.eye(len(truth)) / spread**2, W.T @ (y / sigmas) + mean / spread**2)
    draws = resample(
        phantoms.as_batch(y.reshape(A.range_shape), dtype=A.dtype).expand(n_seeds, -1, -1, -1),
        A,
        prior,
        sigma=phantoms.as_batch(sigmas.reshape(A.range_shape), dtype=A.dtype),
        settings=replace(
            CG, n_steps=50, start_level=1.0, warm_start=None, cg_iterations=40, variance_scale=1e4, **NO_FINAL_FIT
        ),
        generators=generators(*range(n_seeds)),
    )
    draws = draws.flatten(1).numpy()
    of_mean = draws.std(axis=0, ddof=1) / n_seeds**0.5
    surprise = (((draws.mean(axis=0) - posterior) / of_mean) ** 2).sum()
    # pixels are correlated, which widens the distribution of the sum: hence twice its expectation and no quantile
    assert surprise < 2 * len(truth)
    # and that is sharp: neither the prior's mean nor the truth would pass
    for other in (mean, truth):
        assert (((draws.mean(axis=0) - other) / of_mean) ** 2).sum() > 10 * len(truth)


# ---------------------------------------------------------------- callback and errors


@SETTINGS
def test_callback_is_told_every_step_and_can_stop(settings, case, toy_prior):
    prior = toy_prior.random_prior()
    seen = []
    x = case.run(prior, settings, callback=seen.append)
    n = len(timesteps(1000, settings))
    assert [(status.solver, status.step, status.n_steps) for status in seen] == [
        ("resample", step, n) for step in range(1, n + 1)
    ]
    assert np.isfinite(seen[-1].residual_ratio)
    seen.clear()
    stopped = case.run(prior, settings, callback=lambda status: seen.append(status) or len(seen) < 3)
    assert len(seen) == 3
    assert not torch.allclose(stopped, x, atol=1e-3)


@SETTINGS
def test_a_prior_gone_mad(settings, case, toy_prior):
    prior = toy_prior.random_prior()
    prior.unet.conv_out.bias.fill_(float("nan"))
    with pytest.raises(PriorError, match="diverged at step 1 of"):
        case.run(prior, settings)


def test_images_that_do_not_fit_the_networks(toy_prior):
    grid = ImageGrid((30, 32), 6.0)
    A = SparseProjector(ParallelBeam.for_grid(grid, 5), grid)
    y = torch.zeros(1, 1, *A.range_shape)
    with pytest.raises(PriorError, match="multiples of 4; the image grid is 30 x 32"):
        resample(
            y,
            A,
            toy_prior.random_prior(),
            sigma=torch.ones_like(y),
            settings=UNCONDITIONAL,
            generators=generators(0),
        )


@pytest.mark.parametrize("seeds", [(), (1,), (1, 2, 3)])
def test_one_generator_a_slice(case, toy_prior, seeds):
    with pytest.raises(UsageError, match=f"{len(seeds)} generators for 2 slices"):
        case.run(toy_prior.random_prior(), ADAMW, generators=generators(*seeds))


def test_a_low_start_level_needs_a_start(case, toy_prior):
    with pytest.raises(UsageError, match=r"start_level is 0\.5"):
        case.run(toy_prior.random_prior(), CG, start=None)


@pytest.mark.parametrize(
    "changes",
    [
        {"n_steps": 0},
        {"skip": 0},
        {"inner_steps": -1},
        {"latent_level": 0.8},
        {"latent_level": -0.1},
        {"pixel_level": 1.1},
        {"start_level": 0.0},
        {"start_level": 1.5},
        {"start_level": 1.0, "warm_start": "tv"},
        {"spread_scale": 0.0},
        {"variance_scale": -1.0},
        {"final_spread_hu": 0.0},
        {"final_iterations": 0},
    ],
    ids=str,
)
def test_settings(changes):
    with pytest.raises(UsageError, match="resample settings"):
        replace(ReSampleSettings(n_steps=10), **changes)


def test_presets_by_name():
    assert {"fast", "paper"} <= set(PRESETS)
    assert PRESETS["paper"].optimiser == "adamw"
    assert PRESETS["fast"].n_steps < PRESETS["paper"].n_steps
