"""Resampling against the propositions and the equation of the paper."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ctresample.solvers.diffusion.schedule import Step
from ctresample.solvers.resample import ReSampleSettings
from ctresample.solvers.resample.resampling import (
    resampled,
    resampling_variance,
    stochastic_encode,
    stochastic_resample,
)


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


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


def posterior_by_weighting(prior_draws, observed, variance):
    """Mean and variance of normal ``prior_draws`` of a mean, seen with noise of ``variance`` as ``observed``."""
    weights = np.exp(-((observed - prior_draws) ** 2) / (2 * variance))
    mean = np.average(prior_draws, weights=weights)
    return mean, np.average((prior_draws - mean) ** 2, weights=weights), weights.sum() ** 2 / (weights**2).sum()


@pytest.mark.parametrize(("alpha_bar", "variance"), [(0.3, 0.5), (0.9, 0.4), (0.6, 0.1)])
def test_propositions_1_and_2_by_monte_carlo(alpha_bar, variance):
    """Proposition 2 is Bayes' rule with the draw of Proposition 1 for the prior: here by weighting such draws.

    The clean latents say where the noisy ones may be (Prop. 1); what the sampler made is an observation of them with
    ``variance``. Weighted draws have the moments of the posterior, which stochastic resampling must have.
    """
    n, z_0, z = 400_000, 0.8, 0.3
    clean = torch.full((1, 1, 1, n), z_0, dtype=torch.float64)
    encoded = stochastic_encode(clean, alpha_bar, generators(0)).flatten().numpy()
    of_mean = ((1 - alpha_bar) / n) ** 0.5
    assert encoded.mean() == pytest.approx(alpha_bar**0.5 * z_0, abs=4 * of_mean)
    assert encoded.var() == pytest.approx(1 - alpha_bar, rel=4 * (2 / n) ** 0.5)

    draws = np.random.default_rng(1).normal(alpha_bar**0.5 * z_0, (1 - alpha_bar) ** 0.5, n)
    mean, spread, n_effective = posterior_by_weighting(draws, z, variance)
    found = stochastic_resample(clean, torch.full_like(clean, z), alpha_bar, variance, generators(2)).flatten().numpy()
    n_both = 1 / (1 / n + 1 / n_effective)
    assert found.mean() == pytest.approx(mean, abs=4 * (spread / n_both) ** 0.5)
    assert found.var() == pytest.approx(spread, rel=4 * (2 / n_both) ** 0.5)


@given(alpha_bar=st.floats(0.01, 0.999), variance=st.floats(1e-6, 1e6))
def test_resampling_varies_less_than_encoding(alpha_bar, variance):
    """What it is for: the same fresh noise moves resampled latents less than encoded ones."""
    zero = torch.zeros(1, 1, 1, 1, dtype=torch.float64)
    encoded = stochastic_encode(zero, alpha_bar, generators(3)).abs()
    resampled_ = stochastic_resample(zero, zero, alpha_bar, variance, generators(3)).abs()
    assert resampled_ < encoded
    assert float(resampled_ / encoded) == pytest.approx((variance / (variance + 1 - alpha_bar)) ** 0.5)


def test_released_variance_by_hand():
    """The released code: gamma (1 - a_p) / (1 - a_t) (1 - a_t / a_p)."""
    assert resampling_variance(0.4, 0.5, 40.0, "released") == pytest.approx(40 * 0.5 / 0.6 * 0.2)


def test_the_two_variances_go_opposite_ways():
    """Weight on the consistent latents, 500 steps of the paper's schedule, at the first and last hard steps."""
    alpha_bar = np.cumprod(1 - np.linspace(0.0015**0.5, 0.0195**0.5, 1000) ** 2)
    weights = {}
    for kind in ("published", "released"):
        for index in (330, 10):
            now, following = alpha_bar[2 * index + 1], alpha_bar[2 * index - 1]
            variance = resampling_variance(now, following, 40.0, kind)
            weights[kind, index] = variance / (variance + 1 - following)
    assert weights["published", 330] > 0.9 > 0.2 > weights["published", 10]
    assert weights["released", 330] < 0.5 < 0.7 < weights["released", 10]


@pytest.mark.parametrize("variance", ["published", "released"])
def test_the_settings_choose(variance):
    z_0, z = torch.ones(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    step = Step(t=600, level=0.6, alpha_bar=0.2, alpha_bar_previous=0.3)
    settings = ReSampleSettings(n_steps=10, variance=variance, variance_scale=3.0)
    sigma_squared = 3.0 * 0.7 / (0.2 if variance == "published" else 0.8) * (1 - 0.2 / 0.3)
    expected = stochastic_resample(z_0, z, 0.3, sigma_squared, generators(1))
    assert torch.allclose(resampled(z_0, z, step, settings, generators(1)), expected)
    encoding = ReSampleSettings(n_steps=10, resampling="encoding")
    assert torch.equal(resampled(z_0, z, step, encoding, generators(1)), stochastic_encode(z_0, 0.3, generators(1)))


def test_the_ends_of_a_schedule():
    """From pure noise nothing of the path is kept; at a clean end (set_alpha_to_one) no noise is added."""
    z_0, z = torch.ones(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    settings = ReSampleSettings(n_steps=10)
    first = Step(t=999, level=1.0, alpha_bar=0.0, alpha_bar_previous=0.1)
    assert torch.equal(resampled(z_0, z, first, settings, generators(1)), stochastic_encode(z_0, 0.1, generators(1)))
    last = Step(t=1, level=0.001, alpha_bar=0.99, alpha_bar_previous=1.0)
    assert torch.equal(resampled(z_0, z, last, settings, generators(1)), z_0)
