"""The noise level of scans that state none: right on real slices, and refused where it cannot be told."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

import ctresample
from ctresample.data_tools.ct_slices import read_ct_slices
from ctresample.errors import SinogramError
from ctresample.noise import add_noise, blurred, estimate_photons, with_crosstalk
from ctresample.pipelines.scan.simulate import simulate

SLICES = Path(ctresample.__file__).parent / "demo_data"


@cache
def clean(number: int, beam: str, n_views: int) -> np.ndarray:
    """Line integrals of a real slice."""
    slices = read_ct_slices(SLICES, max_slices=number)
    return simulate(slices[number - 1], n_views=n_views, beam=beam).values


def noisy(values: np.ndarray, photons: float, electronic_noise: float = 0.0) -> np.ndarray:
    generator = np.random.default_rng(0)
    transmission = np.exp(-values.astype(np.float64))
    return add_noise(transmission, photons=photons, electronic_noise=electronic_noise, generator=generator)


@pytest.mark.parametrize("photons", [1e4, 1e5, 1e6])
@pytest.mark.parametrize(
    ("number", "beam", "n_views"),
    [(1, "parallel", 25), (5, "parallel", 25), (9, "parallel", 90), (12, "fan", 25), (2, "fan-curved", 90)],
)
def test_real_slices(number, beam, n_views, photons):
    assert estimate_photons(noisy(clean(number, beam, n_views), photons)) == pytest.approx(photons, rel=0.15)


def test_some_electronic_noise_does_not_matter():
    values = noisy(clean(1, "parallel", 25), 1e5, electronic_noise=10.0)
    assert estimate_photons(values) == pytest.approx(1e5, rel=0.15)


def test_dead_and_hot_bins_do_not_matter():
    values = noisy(clean(1, "parallel", 25), 1e5)
    values[:, :, 100], values[:, :, 200] = 0, 12
    values[:, :, -30:] = 0  # padding
    assert estimate_photons(values) == pytest.approx(1e5, rel=0.15)


def test_more_slices_more_precise():
    flat = np.full((20, 90, 200), 1.5, np.float32)
    assert estimate_photons(noisy(flat, 1e5)) == pytest.approx(1e5, rel=0.03)


# ---------------------------------------------------------------- what is refused


def test_no_noise():
    with pytest.raises(SinogramError, match="no noise level can be told"):
        estimate_photons(clean(1, "parallel", 25))


def test_noise_that_is_smoothed():
    values = noisy(clean(1, "parallel", 25), 1e5).astype(np.float64)
    for smoothed in (blurred(values, 2.0, 1.0), with_crosstalk(values, 0.2)):
        with pytest.raises(SinogramError, match="no noise level can be told"):
            estimate_photons(smoothed)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 5, 3), (2, 4, 30), (1, 1, 0)])
def test_too_few(shape):
    with pytest.raises(SinogramError, match="needs 1000 rays"):
        estimate_photons(np.random.default_rng(0).normal(size=shape))


def test_nothing_but_padding():
    with pytest.raises(SinogramError, match="found 0"):
        estimate_photons(np.zeros((2, 50, 100)))


@pytest.mark.parametrize("values", [np.zeros((50, 100)), np.full((2, 50, 100), np.nan)], ids=["shape", "nan"])
def test_not_a_sinogram(values):
    with pytest.raises(SinogramError, match="expected finite numbers"):
        estimate_photons(values)


def test_counts_instead_of_line_integrals():
    with pytest.raises(SinogramError, match="values reach 6.*expected line integrals"):
        estimate_photons(np.random.default_rng(0).poisson(6e4, (1, 50, 100)).astype(np.float32))
