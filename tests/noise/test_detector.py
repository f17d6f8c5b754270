"""Blur and crosstalk: how far they spread, what they keep, and what crosstalk does to noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ctresample.noise import add_noise, blurred, with_crosstalk


def line(n: int = 401) -> np.ndarray:
    spike = np.zeros((1, n))
    spike[0, n // 2] = 1
    return spike


@pytest.mark.parametrize(("fwhm_mm", "pitch_mm"), [(4.0, 0.2), (10.0, 1.0)])
def test_blur_has_the_stated_width(fwhm_mm, pitch_mm):
    spread = blurred(line(), fwhm_mm, pitch_mm)[0]
    above_half = np.count_nonzero(spread > spread.max() / 2) * pitch_mm
    assert above_half == pytest.approx(fwhm_mm, abs=1.01 * pitch_mm)
    assert spread.sum() == pytest.approx(1)
    assert spread == pytest.approx(spread[::-1])


def test_blur_and_crosstalk_keep_the_mean():
    intensity = np.random.default_rng(0).uniform(0.2, 1, (2, 3, 64))
    intensity[..., :20] = intensity[..., -20:] = 1  # as beside any object
    for spread in (blurred(intensity, 3.0, 1.0), with_crosstalk(intensity, 0.1)):
        assert spread.shape == intensity.shape
        assert spread.mean(axis=-1) == pytest.approx(intensity.mean(axis=-1))
        assert spread.std() < intensity.std()


def test_none_changes_nothing():
    intensity = np.random.default_rng(0).uniform(0, 1, (2, 3, 16))
    assert np.array_equal(blurred(intensity, 0.0, 1.0), intensity)
    assert np.array_equal(with_crosstalk(intensity, 0.0), intensity)


def test_crosstalk_goes_to_both_neighbours():
    assert with_crosstalk(line(7), 0.1)[0] == pytest.approx([0, 0, 0.1, 0.8, 0.1, 0, 0])


def test_crosstalk_correlates_the_noise_of_photons_but_not_of_the_read_out():
    share, photons, electronic_noise = 0.1, 1e4, 150.0
    generator = np.random.default_rng(0)
    values = add_noise(
        np.ones((1, 300, 400)),
        photons=photons,
        electronic_noise=electronic_noise,
        crosstalk=share,
        generator=generator,
    )
    counts = photons * np.exp(-values[0, :, 1:-1].astype(np.float64))
    n = counts.size
    variance = photons * ((1 - 2 * share) ** 2 + 2 * share**2) + electronic_noise**2
    covariance = photons * 2 * share * (1 - 2 * share)
    assert counts.var() == pytest.approx(variance, rel=5 * (3 / n) ** 0.5)  # neighbours are not independent
    found = ((counts[:, 1:] - photons) * (counts[:, :-1] - photons)).mean()
    assert found == pytest.approx(covariance, abs=5 * variance / n**0.5)
    assert abs(stats.norm.ppf(0.5) - (counts.mean() - photons) / (variance / n) ** 0.5) < 5
