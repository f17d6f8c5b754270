"""ReSample against diffusers' own sampler, the formulas of the paper and a posterior known in closed form."""

from __future__ import annotations

import importlib
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from ctresample.bad_rays import BAD_RAY_SIGMA
from ctresample.consistency import residual_ratio
from ctresample.errors import PriorError, UsageError
from ctresample.geometry import FanBeam, ImageGrid, ParallelBeam
from ctresample.operators import SparseProjector
from ctresample.solvers.diffusion.schedule import steps_of
from ctresample.solvers.resample import ReSampleSettings, resample
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
    pixel_optimiser="cg",
    encoding="corrected",
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


def timesteps_of(settings: ReSampleSettings, toy_prior) -> list[int]:
    scheduler = toy_prior.scheduler("epsilon")
    return [step.t for step in steps_of(scheduler, settings.n_steps, settings.start_level)]


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


def test_rays_that_are_not_known_do_not_count_in_the_residual(case, toy_prior):
    settings = replace(CG, n_steps=8, final="none", residual_target=0.9)
    case.sigma = torch.full_like(case.sigma, SIGMA)
    case.sigma[..., ::5] = BAD_RAY_SIGMA
    x = case.run(toy_prior.GaussianPrior(), settings)
    known = case.sigma[0, 0, 0] < BAD_RAY_SIGMA
    ratios = residual_ratio(((case.A(x) - case.y) / case.sigma)[..., known])
    torch.testing.assert_close(ratios, torch.full((2,), 0.9), rtol=0.02, atol=0)


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


# ---------------------------------------------------------------- hard consistency


@pytest.fixture
def consistency_steps(monkeypatch):
    """How often each of the three ways to agree with the data was taken, as resample goes on."""
    module = importlib.import_module("ctresample.solvers.resample.hard_consistency")
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
    for i, (t, taken) in enumerate(zip(timesteps_of(settings, toy_prior), seen, strict=True)):
        if t / 999 > settings.pixel_level or i % settings.skip:
            expected = {}
        else:
            latent = t / 999 <= settings.latent_level
            expected = {"fit_latent_by_adamw" if latent else "fit_pixels_by_adamw": 1}
        assert taken == expected, f"step {i} at schedule step {t}"
    assert {name for taken in seen for name in taken} == {"fit_latent_by_adamw", "fit_pixels_by_adamw"}


def test_conjugate_gradients_at_every_step(case, toy_prior, consistency_steps):
    case.run(toy_prior.random_prior(), CG)
    assert consistency_steps == {"proximal_step": len(timesteps_of(CG, toy_prior))}


def test_proximal_steps_are_as_wide_as_asked(case, toy_prior, monkeypatch):
    module = importlib.import_module("ctresample.solvers.resample.hard_consistency")
    prior, seen = toy_prior.random_prior(), []
    monkeypatch.setattr(module, "proximal_step", lambda x, y, A, **options: seen.append(options["spread"]) or x)
    settings = replace(CG, spread_scale=3.0, **NO_FINAL_FIT)
    case.run(prior, settings, mu_water_per_mm=2 * MU_WATER_PER_MM)
    expected = [3 * prior.spread_hu(t) * 2 * MU_WATER_PER_MM / 1000 for t in timesteps_of(settings, toy_prior)]
    assert seen == pytest.approx(expected)


def test_final_proximal_step_is_anchored_at_the_decoded_estimate(case, toy_prior, monkeypatch):
    module = importlib.import_module("ctresample.solvers.resample.final")
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
    module = importlib.import_module("ctresample.solvers.resample.hard_consistency")
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
    module = importlib.import_module("ctresample.solvers.resample.hard_consistency")
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


# ---------------------------------------------------------------- callback and errors


@SETTINGS
def test_callback_is_told_every_step_and_can_stop(settings, case, toy_prior):
    prior = toy_prior.random_prior()
    seen = []
    x = case.run(prior, settings, callback=seen.append)
    n = len(timesteps_of(settings, toy_prior))
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
