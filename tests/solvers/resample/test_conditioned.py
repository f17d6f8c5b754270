"""ReSample with a prior that is shown the last image that agrees with the data."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ctresample.consistency import residual_ratio
from ctresample.errors import PriorError, UsageError
from ctresample.geometry import FanBeam, ImageGrid, ParallelBeam
from ctresample.operators import SparseProjector, Transmission
from ctresample.solvers.resample import ReSampleSettings, resample

GRID = ImageGrid((32, 32), 6.0)
SETTINGS = ReSampleSettings(
    n_steps=4,
    start_level=0.1,
    stop_level=0.01,
    warm_start="coarse-tv",
    conditioned=True,
    rounds=2,
    pixel_level=1.0,
    latent_level=0.0,
    skip=1,
    inner_steps=0,
    pixel_optimiser="dual",
    cg_iterations=40,
    spread="misfit",
    resampling="encoding",
    moving_frame=True,
    averaged_steps=2,
    final="pixel",
    residual_target=0.95,
)


def run(prior, settings, phantoms, beam=ParallelBeam, slices=slice(0, 2), model=lambda A: A):
    A = SparseProjector(beam.for_grid(GRID, 10), GRID)
    image = phantoms.image(GRID, phantoms.head(GRID))
    truth = phantoms.as_batch(image, image.T, dtype=A.dtype)
    clean = A(truth)
    noise = 0.02 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    F = model(A)
    y, sigma = (clean + noise, torch.full_like(clean, 0.02)) if F is A else (F(truth), F.sigma(F(truth)))
    start = torch.nn.functional.avg_pool2d(truth, 5, 1, 2)
    generators = [torch.Generator().manual_seed(seed) for seed in (5, 6)][slices]
    found = resample(
        y[slices], F, prior, sigma=sigma[slices], settings=settings, start=start[slices], generators=generators
    )
    return found, residual_ratio((F(found) - y[slices]) / sigma[slices])


class Watched:
    """A conditioned prior that keeps what it was asked."""

    def __init__(self, prior):
        self._prior, self.asked = prior, []

    def __getattr__(self, name):
        return getattr(self._prior, name)

    def estimate(self, condition):
        self.asked.append(("estimate", condition))
        return self._prior.estimate(condition)

    def predict(self, z_t, t, condition=None):
        self.asked.append(("predict", z_t, t, condition))
        return self._prior.predict(z_t, t, condition)


@pytest.mark.parametrize("beam", [ParallelBeam, FanBeam])
def test_rounds_first_then_steps_that_are_shown_the_last_agreement(beam, phantoms, toy_prior):
    prior = Watched(toy_prior.random_prior(condition_spread=0.3))
    _, ratio = run(prior, SETTINGS, phantoms, beam)
    assert [one[0] for one in prior.asked] == ["estimate"] * 2 + ["predict"] * 4
    for _, z_t, t, condition in prior.asked[2:]:  # its noisy form is what is denoised, in the same frame
        a = float(prior.alpha_bar[t])
        noise = (z_t - a**0.5 * condition) / (1 - a) ** 0.5
        assert noise.std().item() == pytest.approx(1, abs=0.15)
        assert abs(float((noise * condition).mean() / (noise.std() * condition.std()))) < 0.15
    assert (ratio < 2.5).all()  # whatever an untrained network says


def test_a_slice_alone_is_as_in_a_batch(phantoms, toy_prior):
    prior = toy_prior.random_prior(condition_spread=0.3)
    few = replace(SETTINGS, cg_iterations=5)  # as `draft`; ten make much of rounding, which goes by the processor
    both, alone = (run(prior, few, phantoms, slices=part)[0] for part in (slice(0, 2), slice(0, 1)))
    torch.testing.assert_close(both[:1], alone, rtol=1e-2, atol=5e-4)


def test_counts(phantoms, toy_prior):
    prior = toy_prior.random_prior(condition_spread=0.3)
    found, ratio = run(prior, SETTINGS, phantoms, model=lambda A: Transmission(A, 1e4))
    assert torch.isfinite(found).all()
    assert (ratio < 4).all()


def test_without_a_condition_the_same_prior_is_one_of_images_alone(phantoms, toy_prior):
    plain = replace(SETTINGS, conditioned=False, rounds=0)
    conditioned, other = toy_prior.random_prior(condition_spread=0.3), toy_prior.random_prior()
    first, second = (run(prior, plain, phantoms)[0] for prior in (conditioned, other))
    torch.testing.assert_close(first, second)


def test_a_prior_without_condition_is_refused(phantoms, toy_prior):
    with pytest.raises(PriorError, match="toy takes no condition; use one that was trained on scans"):
        run(toy_prior.random_prior(), SETTINGS, phantoms)


@pytest.mark.parametrize(
    "change",
    [
        {"warm_start": None, "start_level": 1.0},
        {"encoding": "corrected", "moving_frame": False},
        {"resampling": "stochastic", "moving_frame": False},
        {"conditioned": False},
        {"rounds": -1},
        {"spread": "guessed"},
    ],
    ids=str,
)
def test_settings(change):
    with pytest.raises(UsageError, match="resample settings"):
        replace(SETTINGS, **change)
