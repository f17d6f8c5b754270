"""Task measures of images whose transfer function and noise are known."""

import math

import numpy as np
import pytest

from ctresample.errors import GeometryError, UsageError
from ctresample.observers import average_frequency, noise_power, task_detectability, task_transfer
from ctresample.observers.task import Curve

PIXEL_MM = 0.8


def blurred_disc(radius_mm, contrast, sigma_mm, at_px, n=96, parts=8):
    """A disc through a Gaussian and through the pixels."""
    from scipy.ndimage import gaussian_filter

    fine = (np.arange(n * parts) + 0.5) / parts - 0.5
    far = np.hypot(fine[:, None] - at_px[0], fine - at_px[1]) * PIXEL_MM
    image = gaussian_filter(contrast * (far < radius_mm).astype(float), sigma_mm / PIXEL_MM * parts)
    return image.reshape(n, parts, n, parts).mean((1, 3))


@pytest.mark.parametrize(("sigma_mm", "contrast"), [(0.8, 1000), (1.5, -35)])
def test_transfer_of_a_gaussian_and_square_pixels(sigma_mm, contrast):
    found = task_transfer(
        100 + blurred_disc(20.0, contrast, sigma_mm, (47.3, 48.9)), PIXEL_MM, radius_mm=20.0, at_px=(47.3, 48.9)
    )
    f = found.frequency_per_mm
    pixel = (np.sinc(f * PIXEL_MM) + 1) / 2  # of a square, averaged over directions, about
    expected = np.exp(-2 * (np.pi * sigma_mm * f) ** 2) * pixel
    strong = expected > 0.1
    np.testing.assert_allclose(found.values[strong], expected[strong], atol=0.02)
    half = math.sqrt(math.log(2) / 2) / (math.pi * sigma_mm)
    assert found.falls_to(0.5) == pytest.approx(half, rel=0.1)
    assert found.values[0] == 1


@pytest.mark.parametrize("sigma_mm", [0.8, 1.2, 1.6])
def test_half_of_the_transfer_is_where_theory_has_it_within_two_percent(sigma_mm):
    """A Gaussian, and square pixels seen along every direction of the edge."""
    image = blurred_disc(20.0, 1000, sigma_mm, (47.3, 48.9))
    found = task_transfer(image, PIXEL_MM, radius_mm=20.0, at_px=(47.3, 48.9)).falls_to(0.5)
    f, direction = np.linspace(0, 0.5, 2001), np.linspace(0, math.pi / 2, 91)[:, None]
    pixel = (np.sinc(f * PIXEL_MM * np.cos(direction)) * np.sinc(f * PIXEL_MM * np.sin(direction))).mean(0)
    exact = f[np.flatnonzero(np.exp(-2 * (np.pi * sigma_mm * f) ** 2) * pixel <= 0.5)[0]]
    assert found == pytest.approx(exact, rel=0.02)


def test_noise_power_agrees_with_scipy_within_two_percent():
    """Along an axis it is the power spectrum of the sums across, which SciPy estimates by its own code."""
    from scipy.ndimage import gaussian_filter
    from scipy.signal import periodogram

    n = 64
    noise = gaussian_filter(np.random.default_rng(3).normal(0, 20, (400, n, n)), (0, 0.8, 0.8), mode="wrap")
    found = noise_power(noise, PIXEL_MM)
    sums = np.concatenate([noise.sum(axis) * PIXEL_MM for axis in (1, 2)])
    f, power = periodogram(sums, fs=1 / PIXEL_MM, detrend=False, return_onesided=False)
    power, chosen = power.mean(0) / (n * PIXEL_MM), (f > 0) & (f < 0.4)
    assert found.at(f[chosen]).sum() == pytest.approx(power[chosen].sum(), rel=0.02)
    own, scipys = (np.sum(f[chosen] * one) / np.sum(one) for one in (found.at(f[chosen]), power[chosen]))
    assert own == pytest.approx(scipys, rel=0.02)


def test_transfer_needs_a_disc():
    with pytest.raises(UsageError, match="expected 4 pixels, 4 mm"):
        task_transfer(np.zeros((32, 32)), 1.0, radius_mm=2.0, at_px=(16, 16))
    with pytest.raises(UsageError, match="no contrast"):
        task_transfer(np.zeros((64, 64)), 1.0, radius_mm=12.0, at_px=(32, 32))


def test_noise_power_of_filtered_noise_under_anatomy():
    rng, n = np.random.default_rng(0), 64
    f = np.fft.fftfreq(n, PIXEL_MM)
    ring = np.hypot(f[:, None], f)
    response = ring * np.exp(-((ring / 0.3) ** 2))
    noise = np.fft.ifft2(np.fft.fft2(rng.normal(0, 20, (200, n, n))) * response).real
    found = noise_power(noise + 500 * rng.random((n, n)), PIXEL_MM)
    g = found.frequency_per_mm
    expected = 400 * PIXEL_MM**2 * (g * np.exp(-((g / 0.3) ** 2))) ** 2
    assert np.abs(found.values - expected).max() < 0.05 * expected.max()
    weights = g * np.exp(-((g / 0.3) ** 2))
    assert average_frequency(found) == pytest.approx(np.sum(g * weights**2) / np.sum(weights**2), rel=0.02)


def test_noise_power_sums_to_the_variance():
    noise = np.random.default_rng(1).normal(0, 12, (50, 32, 48))
    white = noise_power(noise, 0.5)
    np.testing.assert_allclose(white.values[1:], 144 * 0.25, rtol=0.1)
    with pytest.raises(GeometryError, match="two or more"):
        noise_power(noise[:1], 0.5)


def test_detectability_in_white_noise_is_that_of_the_disc():
    """``d'^2 = contrast^2 area / power`` where nothing is blurred."""
    f = np.linspace(0, 40, 2000)
    flat, power = Curve(f, np.ones_like(f)), Curve(f, np.full_like(f, 90.0))
    expected = 40 * math.sqrt(math.pi * 8**2 / 4 / 90)
    assert task_detectability(8.0, 40.0, flat, power) == pytest.approx(expected, rel=0.01)
    blurred = Curve(f, np.exp(-((f / 0.1) ** 2)))
    assert task_detectability(8.0, 40.0, blurred, power) < 0.95 * expected
