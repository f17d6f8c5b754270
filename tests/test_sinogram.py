"""What a sinogram refuses, and the noise level it states."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ctresample.errors import SinogramError, UsageError
from ctresample.geometry import ConeBeam, ImageGrid, ParallelBeam, VolumeGrid
from ctresample.sinogram import NOISE_FREE_SIGMA, Sinogram

GRID = ImageGrid((6, 6), 2.0)
GEOMETRY = ParallelBeam.for_grid(GRID, 5)


def sinogram(values: np.ndarray, **changes: object) -> Sinogram:
    return Sinogram(values.astype(np.float32), GEOMETRY, GRID, np.eye(4), **changes)


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 5, (3, *GEOMETRY.shape))


@pytest.mark.parametrize("cut", [np.s_[0], np.s_[:0], np.s_[:, 1:], np.s_[:, :, 1:], np.s_[:, :, :, None]])
def test_shape(values, cut):
    with pytest.raises(SinogramError, match=f"5 views, {GEOMETRY.n_detectors} detectors"):
        sinogram(values[cut])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite(values, bad):
    values[1, 2, 3] = values[2, 0, 0] = bad
    with pytest.raises(SinogramError, match=r"slice 1 holds NaN or infinite values \(2 of 3 slices do\)"):
        sinogram(values)


def test_headers(values):
    with pytest.raises(SinogramError, match="3 slices but 2 headers"):
        sinogram(values, headers=({}, {}))


@pytest.mark.parametrize("affine", [np.eye(3), np.diag([1.0, 1.0, np.nan, 1.0])])
def test_affine(values, affine):
    with pytest.raises(SinogramError, match="sinogram affine must be a finite 4 x 4 matrix"):
        replace(sinogram(values), affine=affine)


@pytest.mark.parametrize("shift", [np.nan, np.inf, 1e17])
def test_turns_of_slices_that_no_angle_has(values, shift):
    """Beyond some size a number no longer tells angles apart, and cosines of it are any."""
    with pytest.raises(SinogramError, match="angle_shifts_rad of slice 1 is .*; expected radians, up to 1e"):
        sinogram(values, angle_shifts_rad=(0.0, shift, 0.1))
    with pytest.raises(SinogramError, match="2 angle_shifts_rad for 3 slices"):
        sinogram(values, angle_shifts_rad=(0.0, 0.1))


def test_offsets_of_slices(values):
    assert sinogram(values, slice_offsets_mm=(0.0, 1.0, 4.0)).slice_origins_mm[:, 2].tolist() == [0, 1, 4]
    with pytest.raises(SinogramError, match="3 slices but 2 slice offsets"):
        sinogram(values, slice_offsets_mm=(0.0, 1.0))


def test_sigma_follows_the_photons(values):
    values[:] = values[..., :1]  # neighbours tell the noise of a ray, too
    sigma = sinogram(values, photons=1e5, electronic_noise=10.0).sigma()
    counts = 1e5 * np.exp(-values)
    assert sigma.shape == values.shape
    assert sigma.dtype == np.float32
    assert sigma == pytest.approx(np.sqrt((counts + 100) / counts**2), rel=1e-5)


def test_more_photons_less_noise(values):
    values[:] = values[..., :1]
    few = sinogram(values, photons=1e4)
    assert few.sigma() == pytest.approx(10 * replace(few, photons=1e6).sigma(), rel=1e-5)


def test_sigma_without_noise_is_a_share_of_each_slice(values):
    values[1] *= 10
    sigma = sinogram(values).sigma()
    level = np.sqrt((values**2).mean(axis=(1, 2)))
    assert sigma.shape == values.shape
    assert sigma[:, 0, 0] == pytest.approx(NOISE_FREE_SIGMA * level, rel=1e-5)
    assert all(len(np.unique(one)) == 1 for one in sigma)


def test_sigma_of_empty_air_is_above_zero():
    assert sinogram(np.zeros((1, *GEOMETRY.shape))).sigma().min() > 0


def test_every_other_view_goes_with_its_angle_and_photons(values):
    photons = np.arange(1, 6, dtype=np.float32)[:, None] * np.ones((1, GEOMETRY.n_detectors), np.float32)
    few = sinogram(values, photons=photons).every(2)
    assert np.array_equal(few.values, values.astype(np.float32)[:, ::2])
    assert few.geometry.angles_rad == GEOMETRY.angles_rad[::2]
    assert np.array_equal(few.photons[:, 0], [1, 3, 5])
    assert few.sigma().shape == few.values.shape
    whole = sinogram(values, photons=1e4)
    assert whole.every(1).geometry == GEOMETRY
    assert whole.every(99).geometry.n_views == 1
    with pytest.raises(UsageError, match="step is 0"):
        whole.every(0)


def test_photons_of_each_ray(values):
    for wrong in (np.ones((4, GEOMETRY.n_detectors)), np.zeros((5, GEOMETRY.n_detectors))):
        with pytest.raises(SinogramError, match="photons have shape"):
            sinogram(values, photons=wrong)


def test_cone_has_one_scan_for_all_slices(values):
    grid = VolumeGrid((4, 6, 6), 2.0, 2.0)
    geometry = ConeBeam.for_grid(grid, 5)
    panel = np.zeros(geometry.shape, np.float32)
    assert Sinogram(panel, geometry, grid, np.eye(4)).n_slices == 4
    with pytest.raises(SinogramError, match=f"{geometry.n_detector_rows} detector rows, 5 views"):
        Sinogram(panel[1:], geometry, grid, np.eye(4))
    with pytest.raises(SinogramError, match="leave slice_offsets_mm out"):
        Sinogram(panel, geometry, grid, np.eye(4), slice_offsets_mm=(0.0, 1.0, 2.0, 4.0))
