"""A lowered dose is, in distribution, a scan at that dose."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ctresample.errors import UsageError
from ctresample.noise import add_noise, thinned

SURPRISING = 1e-4
"""Probability below which a test statistic counts as wrong; the seeds are fixed, so no test fails by chance."""


def lowered(path: float, n: int, *, photons: float, electronic_noise: float, fraction: float) -> np.ndarray:
    """Counts of a scan at full dose, lowered."""
    generator = np.random.default_rng(0)
    noise = {"photons": photons, "electronic_noise": electronic_noise, "generator": generator}
    full = add_noise(np.full(n, np.exp(-path)), **noise)
    low = thinned(full, fraction=fraction, **noise)
    return fraction * photons * np.exp(-low.astype(np.float64))


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9])
@pytest.mark.parametrize(("path", "electronic_noise"), [(0.0, 0.0), (4.0, 0.0), (4.0, 20.0)])
def test_mean_and_variance_are_those_of_the_lower_dose(path, electronic_noise, fraction):
    photons, n = 1e5, 40_000
    counts = lowered(path, n, photons=photons, electronic_noise=electronic_noise, fraction=fraction)
    expected = fraction * photons * np.exp(-path)
    variance = expected + electronic_noise**2
    z = (counts.mean() - expected) / np.sqrt(variance / n)
    assert 2 * stats.norm.sf(abs(z)) > SURPRISING
    statistic = (n - 1) * counts.var(ddof=1) / variance
    chi2 = stats.chi2(n - 1)
    assert 2 * min(chi2.cdf(statistic), chi2.sf(statistic)) > SURPRISING


def test_few_counts_are_poisson():
    expected, n = 8.0, 20_000
    counts = np.round(lowered(np.log(1e3 / 32), n, photons=1e3, electronic_noise=0.0, fraction=0.25))
    poisson = stats.poisson(expected)
    edges = np.arange(3, 15)
    found = np.bincount(np.searchsorted(edges, counts), minlength=len(edges) + 1)
    wanted = n * np.append(np.diff(poisson.cdf(edges), prepend=0), poisson.sf(edges[-1]))
    assert stats.chisquare(found, wanted).pvalue > SURPRISING


def test_photons_of_each_ray():
    photons = np.array([[1e3, 1e5]], np.float32)
    values = np.zeros((30_000, 1, 2), np.float32)
    generator = np.random.default_rng(0)
    low = thinned(values, photons=photons, electronic_noise=0.0, fraction=0.5, generator=generator)
    # a count that was exact has only the noise of the thinning: f (1 - f) N
    assert low.var(axis=0)[0] == pytest.approx(0.5 / (0.5 * photons[0]), rel=0.05)


def test_the_whole_dose_changes_nothing():
    values = np.random.default_rng(0).uniform(0, 5, (2, 3, 4)).astype(np.float32)
    same = thinned(values, photons=1e5, electronic_noise=3.0, fraction=1.0, generator=np.random.default_rng(0))
    assert np.array_equal(same, values)


@pytest.mark.parametrize("fraction", [0.0, -0.5, 1.01, np.nan])
def test_fraction(fraction):
    with pytest.raises(UsageError, match="fraction is"):
        thinned(np.zeros(3), photons=1e5, electronic_noise=0.0, fraction=fraction, generator=np.random.default_rng(0))
