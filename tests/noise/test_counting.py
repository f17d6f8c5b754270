"""Simulated counts against the distributions they claim, and the variance that solvers rely on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ctresample.errors import UsageError
from ctresample.noise import COUNT_FLOOR, add_noise, line_integral_variance
from ctresample.units import MU_WATER_PER_MM

SURPRISING = 1e-4
"""Probability below which a test statistic counts as wrong; the seeds are fixed, so no test fails by chance."""


def measure(path: float, n: int, *, photons: float, electronic_noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """``n`` readings of one line integral."""
    generator = np.random.default_rng(seed)
    transmission = np.full(n, np.exp(-path))
    return add_noise(transmission, photons=photons, electronic_noise=electronic_noise, generator=generator)


def two_sided(statistic: float, distribution: stats.rv_continuous) -> float:
    return 2 * min(distribution.cdf(statistic), distribution.sf(statistic))


@pytest.mark.parametrize("expected", [4.0, 20.0, 100.0])
def test_counts_are_poisson(expected):
    photons, n = 1000.0, 20_000
    counts = photons * np.exp(-measure(np.log(photons / expected), n, photons=photons).astype(np.float64))
    assert counts == pytest.approx(np.round(counts), abs=1e-3)
    poisson = stats.poisson(expected)
    # equally likely classes but for rounding; the lowest also holds the readings that the floor raised to one
    edges = np.unique(poisson.ppf(np.linspace(0.05, 0.95, 15)))
    edges = edges[edges >= COUNT_FLOOR]
    found = np.bincount(np.searchsorted(edges, np.round(counts)), minlength=len(edges) + 1)
    share = np.diff(poisson.cdf(edges), prepend=0)
    wanted = n * np.append(share, poisson.sf(edges[-1]))
    assert stats.chisquare(found, wanted).pvalue > SURPRISING


@pytest.mark.parametrize(("expected", "electronic_noise"), [(500.0, 0.0), (500.0, 30.0), (2000.0, 100.0)])
def test_mean_and_variance_of_counts(expected, electronic_noise):
    photons, n = 1e5, 40_000
    path = np.log(photons / expected)
    values = measure(path, n, photons=photons, electronic_noise=electronic_noise)
    counts = photons * np.exp(-values.astype(np.float64))
    variance = expected + electronic_noise**2
    z = (counts.mean() - expected) / np.sqrt(variance / n)
    assert two_sided(z, stats.norm) > SURPRISING
    assert two_sided((n - 1) * counts.var(ddof=1) / variance, stats.chi2(n - 1)) > SURPRISING


@pytest.mark.parametrize(("photons", "electronic_noise", "path"), [(1e5, 0.0, 0.0), (1e5, 10.0, 4.0), (1e4, 5.0, 2.0)])
def test_predicted_variance_of_line_integrals(photons, electronic_noise, path):
    n = 40_000
    values = measure(path, n, photons=photons, electronic_noise=electronic_noise)
    true = np.full(1, path, np.float32)
    predicted = float(line_integral_variance(true, photons=photons, electronic_noise=electronic_noise)[0])
    # the logarithm adds a share of the order of one over the count to the variance
    assert values.var(ddof=1) == pytest.approx(predicted, rel=5 / np.sqrt(n) + 2 / (photons * np.exp(-path)))
    from_readings = line_integral_variance(values, photons=photons, electronic_noise=electronic_noise)
    assert from_readings.mean() == pytest.approx(predicted, rel=0.02)


@pytest.mark.parametrize("water_mm", [50, 150, 250, 300])
def test_no_bias_in_hu(water_mm):
    path = water_mm * MU_WATER_PER_MM
    bias = measure(path, 200_000, photons=1e5, electronic_noise=5.0).astype(np.float64).mean() - path
    assert abs(1000 * bias / path) < 2  # HU, if the whole path were off by it


def test_a_starved_ray_reads_the_logarithm_of_the_photons():
    values = measure(60.0, 10, photons=1e5)
    assert values == pytest.approx(np.log(1e5))
    assert measure(60.0, 1000, photons=1e5, electronic_noise=20.0).max() == pytest.approx(np.log(1e5))


def test_variance_of_a_starved_ray_is_finite():
    variance = line_integral_variance(np.array([60.0, 1e4], np.float32), photons=1e5, electronic_noise=5.0)
    assert variance == pytest.approx(COUNT_FLOOR + 25)


def test_same_generator_same_noise():
    once, again = (measure(3.0, 50, photons=1e4, electronic_noise=4.0, seed=3) for _ in range(2))
    assert np.array_equal(once, again)
    assert not np.array_equal(once, measure(3.0, 50, photons=1e4, electronic_noise=4.0, seed=4))
    assert once.dtype == np.float32


@pytest.mark.parametrize("photons", [0, -1.0, np.nan, np.inf])
def test_photons(photons):
    with pytest.raises(UsageError, match="photons is"):
        measure(1.0, 1, photons=photons)


@pytest.mark.parametrize("electronic_noise", [-1.0, np.nan, np.inf])
def test_electronic_noise(electronic_noise):
    with pytest.raises(UsageError, match="electronic_noise is"):
        measure(1.0, 1, photons=1e5, electronic_noise=electronic_noise)


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), st.data())
def test_photons_of_each_ray_or_one_for_all(n_slices, n_views, n_detectors, data):
    shape = (n_slices, n_views, n_detectors)
    of_photons = data.draw(st.sampled_from([(), (n_detectors,), (n_views, 1), shape[1:]]))
    photons = np.random.default_rng(0).uniform(1e3, 1e6, of_photons)
    options = {"photons": photons, "electronic_noise": 2.0}
    values = add_noise(np.full(shape, 0.5), generator=np.random.default_rng(1), **options)
    whole = {"photons": np.broadcast_to(photons, shape), "electronic_noise": 2.0}
    assert np.array_equal(values, add_noise(np.full(shape, 0.5), generator=np.random.default_rng(1), **whole))
    assert np.array_equal(line_integral_variance(values, **options), line_integral_variance(values, **whole))
    with pytest.raises(UsageError, match="photons have shape"):
        add_noise(
            np.full(shape, 0.5),
            photons=np.ones((n_views, n_detectors + 1)) if n_detectors > 1 else np.ones((n_views + 1, 2, 2, 1)),
            electronic_noise=0.0,
            generator=np.random.default_rng(1),
        )


def test_photons_of_a_ray_that_gets_none():
    for bad in (0.0, -1.0, np.nan):
        with pytest.raises(UsageError, match="photons is an array with a smallest value of"):
            measure(1.0, 2, photons=np.array([1e5, bad]))


@pytest.mark.parametrize(("expected", "electronic_noise"), [(30.0, 3.0), (200.0, 12.0)])
def test_counts_with_electronic_noise_are_poisson_plus_normal(expected, electronic_noise):
    photons, n = 1e4, 20_000
    values = measure(np.log(photons / expected), n, photons=photons, electronic_noise=electronic_noise)
    counts = photons * np.exp(-values.astype(np.float64))
    quanta = np.arange(4 * int(expected) + 1)
    spread = expected + electronic_noise**2
    edges = stats.norm(expected, np.sqrt(spread)).ppf(np.linspace(0.05, 0.95, 19))
    below = stats.norm.cdf((edges[:, None] - quanta) / electronic_noise) @ stats.poisson(expected).pmf(quanta)
    wanted = n * np.diff(below, prepend=0, append=1)
    found = np.bincount(np.searchsorted(edges, counts), minlength=len(edges) + 1)
    assert stats.chisquare(found, wanted).pvalue > SURPRISING


@pytest.mark.parametrize(("expected", "electronic_noise"), [(100.0, 0.0), (100.0, 10.0), (1000.0, 0.0)])
def test_mean_of_line_integrals_to_second_order(expected, electronic_noise):
    """The logarithm of few counts reads too high: E[-ln N] = -ln n + var / (2 n^2) + ..."""
    photons, n = 1e5, 200_000
    path = np.log(photons / expected)
    values = measure(path, n, photons=photons, electronic_noise=electronic_noise).astype(np.float64)
    relative_variance = (expected + electronic_noise**2) / expected**2
    higher = 2 * relative_variance**2
    error = 5 * np.sqrt(relative_variance / n)
    assert values.mean() - path == pytest.approx(relative_variance / 2, abs=higher + error)


def test_counts_behind_a_bow_tie():
    """Pearson's statistic over rays that all get photons of their own."""
    photons = np.random.default_rng(1).uniform(2e3, 1e5, (40, 200))
    transmission = np.random.default_rng(2).uniform(0.05, 1, (3, 40, 200))
    values = add_noise(transmission, photons=photons, electronic_noise=0.0, generator=np.random.default_rng(3))
    counts, expected = photons * np.exp(-values.astype(np.float64)), photons * transmission
    statistic = ((counts - expected) ** 2 / expected).sum()
    assert two_sided(statistic, stats.chi2(expected.size)) > SURPRISING
