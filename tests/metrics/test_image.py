"""Metrics against values worked out by hand and against SSIM written out from the paper."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import convolve2d
from skimage.metrics import structural_similarity

from ctresample.errors import CTResampleError, GeometryError, UsageError
from ctresample.metrics import DATA_RANGE_HU, flicker, psnr_db, rmse_hu, ssim


def noisy_pair(sd_hu: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A disk of water in air, and the same with white noise."""
    y, x = np.mgrid[-32:32, -40:40]
    truth = np.where(x**2 + y**2 < 25**2, 40.0, -1000.0)
    return truth + np.random.default_rng(seed).normal(0, sd_hu, truth.shape), truth


def wang_ssim(a: np.ndarray, b: np.ndarray, data_range: float) -> float:
    """Equations (13) to (17) of Wang et al. (2004), over the places where the 11 x 11 window fits."""
    line = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2

    def mean(values: np.ndarray) -> np.ndarray:
        return convolve2d(values, window, mode="valid")

    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b, cov = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2, mean(a * b) - mean_a * mean_b
    brightness = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return float(np.mean(brightness * (2 * cov + c2) / (var_a + var_b + c2)))


def test_rmse_by_hand() -> None:
    assert rmse_hu(np.array([[3.0, 4.0], [0.0, 0.0]]), np.zeros((2, 2))) == pytest.approx(2.5)


def test_psnr_by_hand() -> None:
    # An error of 30 HU everywhere is a hundredth of 3000 HU: 40 dB.
    assert psnr_db(np.full((4, 5), 30.0), np.zeros((4, 5)), data_range_hu=DATA_RANGE_HU) == pytest.approx(40)


def test_psnr_of_identical_slices_is_infinite() -> None:
    _, truth = noisy_pair(0)
    assert psnr_db(truth, truth.copy(), data_range_hu=3000) == math.inf


def test_a_wider_data_range_flatters() -> None:
    image, truth = noisy_pair(50)
    gain = psnr_db(image, truth, data_range_hu=3000) - psnr_db(image, truth, data_range_hu=2000)
    assert gain == pytest.approx(20 * math.log10(1.5))


def test_values_outside_the_range_count_in_full() -> None:
    truth = np.zeros((10, 10))
    image = truth.copy()
    image[0, 0], image[0, 1] = 6000.0, -8000.0
    assert rmse_hu(image, truth) == pytest.approx(1000)
    assert psnr_db(image, truth, data_range_hu=2000) == pytest.approx(20 * math.log10(2))


def test_stored_integers_do_not_wrap_around() -> None:
    high, low = np.full((3, 3), 30000, dtype=np.int16), np.full((3, 3), -30000, dtype=np.int16)
    assert rmse_hu(high, low) == pytest.approx(60000)


def test_ssim_of_identical_slices_is_one() -> None:
    image, _ = noisy_pair(100)
    assert ssim(image, image.copy(), data_range_hu=3000) == pytest.approx(1, abs=1e-12)


def test_ssim_of_two_constants_by_hand() -> None:
    # No variance: only the brightness term is left, with c1 = (0.01 * 3000)^2 = 900.
    a, b = np.full((16, 16), 100.0), np.full((16, 16), 200.0)
    assert ssim(a, b, data_range_hu=3000) == pytest.approx((2 * 1100 * 1200 + 900) / (1100**2 + 1200**2 + 900))


@pytest.mark.parametrize("data_range_hu", [400.0, 3000.0])
@pytest.mark.parametrize("sd_hu", [5.0, 200.0])
def test_ssim_is_that_of_the_paper(sd_hu: float, data_range_hu: float) -> None:
    image, truth = noisy_pair(sd_hu)
    assert ssim(image, truth, data_range_hu=data_range_hu) == pytest.approx(
        wang_ssim(truth + 1000, image + 1000, data_range_hu), abs=1e-9
    )


def test_ssim_of_float32_is_computed_in_double() -> None:
    image, truth = (values.astype(np.float32) for values in noisy_pair(20))
    expected = wang_ssim(truth.astype(np.float64) + 1000, image.astype(np.float64) + 1000, 3000)
    assert ssim(image, truth, data_range_hu=3000) == pytest.approx(expected, abs=1e-9)


def test_ssim_is_that_of_images_in_0_to_1() -> None:
    """The scale of papers: -1000 to 2000 HU as 0 to 1, and a data range of 1."""
    image, truth = noisy_pair(100)
    scaled = structural_similarity(
        (truth + 1000) / 3000,
        (image + 1000) / 3000,
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert ssim(image, truth, data_range_hu=3000) == pytest.approx(scaled, abs=1e-9)


def test_ssim_falls_as_noise_grows() -> None:
    values = [ssim(*noisy_pair(sd), data_range_hu=3000) for sd in (0, 10, 30, 100, 300)]
    assert all(more > less for more, less in zip(values, values[1:], strict=False))


@pytest.mark.parametrize(
    ("image", "truth"),
    [
        (np.zeros((16, 16)), np.zeros((16, 17))),
        (np.zeros((1, 16, 16)), np.zeros((1, 16, 16))),
        (np.zeros((0, 16)), np.zeros((0, 16))),
        (np.zeros(16), np.zeros((16, 16))),  # would broadcast
    ],
)
def test_shapes_that_do_not_fit_are_refused(image: np.ndarray, truth: np.ndarray) -> None:
    with pytest.raises(GeometryError, match="shape"):
        rmse_hu(image, truth)
    with pytest.raises(GeometryError, match="shape"):
        psnr_db(image, truth, data_range_hu=3000)
    with pytest.raises(GeometryError, match="shape"):
        ssim(image, truth, data_range_hu=3000)


def test_ssim_refuses_a_slice_smaller_than_its_window() -> None:
    with pytest.raises(GeometryError, match="at least 11"):
        ssim(np.zeros((10, 64)), np.zeros((10, 64)), data_range_hu=3000)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_refused(bad: float) -> None:
    image, truth = noisy_pair(10)
    image[3, 4] = bad
    with pytest.raises(CTResampleError, match="the slice has 1 of 5120 values"):
        rmse_hu(image, truth)
    with pytest.raises(CTResampleError, match="the true slice has 1 of"):
        psnr_db(truth, image, data_range_hu=3000)
    with pytest.raises(CTResampleError, match="not finite"):
        ssim(image, truth, data_range_hu=3000)


@pytest.mark.parametrize("data_range_hu", [0.0, -3000.0, math.nan, math.inf])
def test_a_data_range_that_is_none_is_refused(data_range_hu: float) -> None:
    image, truth = noisy_pair(10)
    with pytest.raises(UsageError, match="data_range_hu"):
        psnr_db(image, truth, data_range_hu=data_range_hu)
    with pytest.raises(UsageError, match="data_range_hu"):
        ssim(image, truth, data_range_hu=data_range_hu)


def test_flicker():
    """Neighbours that differ half as much, and noise of each slice on top; nothing where the truth stands still."""
    truth = np.cumsum(np.ones((6, 8, 8), np.float32), axis=0)
    assert flicker(0.5 * truth, truth) == pytest.approx(0.5)
    assert flicker(truth + 40 * (np.arange(6) % 2)[:, None, None], truth) > 10
    assert np.isnan(flicker(truth, np.zeros_like(truth)))
