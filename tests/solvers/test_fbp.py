"""Filtered back projection of line integrals known exactly: HU, place and orientation."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ctresample.errors import UsageError
from ctresample.geometry import FanBeam, ImageGrid, ParallelBeam
from ctresample.solvers.fbp import fbp
from ctresample.units import MU_WATER_PER_MM, mu_to_hu

BEAMS = pytest.mark.parametrize("beam", [ParallelBeam, FanBeam])


def reconstruct(geometry, grid, ellipses, phantoms, **options) -> np.ndarray:
    y = phantoms.as_batch(phantoms.line_integrals(geometry, ellipses))
    return mu_to_hu(fbp(y, geometry, grid, **options))[0, 0].numpy()


def distance_mm(grid: ImageGrid, centre_mm: tuple[float, float]) -> np.ndarray:
    return np.hypot(grid.x_mm[None] - centre_mm[0], grid.y_mm[:, None] - centre_mm[1])


@BEAMS
@pytest.mark.parametrize("pixel_size_mm", [0.5, 0.9, 2.0])
@pytest.mark.parametrize("n_views", [180, 361])
@pytest.mark.parametrize("shape", [(64, 64), (60, 97)])
def test_water_disk(beam, pixel_size_mm, n_views, shape, phantoms):
    grid = ImageGrid(shape, pixel_size_mm)
    side = min(shape) * pixel_size_mm
    centre, radius = (0.1 * side, 0.06 * side), 0.3 * side
    hu = reconstruct(beam.for_grid(grid, n_views), grid, [phantoms.disk(MU_WATER_PER_MM, centre, radius)], phantoms)
    distance = distance_mm(grid, centre)
    inside = hu[distance < radius - 4 * pixel_size_mm]
    assert np.abs(inside).max() < 5
    assert abs(inside.mean()) < 0.5
    in_circle = distance_mm(grid, (0.0, 0.0)) < side / 2
    outside = hu[(distance > radius + 4 * pixel_size_mm) & in_circle]
    assert abs(outside.mean() + 1000) < 0.5


@pytest.mark.parametrize("source_to_axis_mm", [60.0, 100.0])
def test_wide_fan(source_to_axis_mm, phantoms):
    """A source so near that rays are far from parallel: up to 43 degrees off the axis."""
    grid = ImageGrid((64, 64), 0.9)
    geometry = FanBeam.for_grid(grid, 360, source_to_axis_mm, 2 * source_to_axis_mm)
    centre, radius = (4.0, -7.0), 17.0
    hu = reconstruct(geometry, grid, [phantoms.disk(MU_WATER_PER_MM, centre, radius)], phantoms)
    distance = distance_mm(grid, centre)
    inside = hu[distance < radius - 4]
    assert abs(inside.mean()) < 1
    assert np.abs(inside).max() < 10
    outside = hu[(distance > radius + 4) & (distance_mm(grid, (0.0, 0.0)) < 28)]
    assert abs(outside.mean() + 1000) < 1


@BEAMS
@pytest.mark.parametrize("place", [(5, 8), (5, 40), (30, 44), (20, 3)])
def test_a_point_stays_in_place(beam, place, phantoms):
    grid = ImageGrid((40, 50), 1.5)
    centre = (float(grid.x_mm[place[1]]), float(grid.y_mm[place[0]]))
    geometry = beam.for_grid(grid, 90)
    hu = reconstruct(geometry, grid, [phantoms.disk(MU_WATER_PER_MM, centre, 1.5)], phantoms)
    assert np.unravel_index(hu.argmax(), hu.shape) == place


@BEAMS
def test_hann_window_keeps_the_mean_and_damps_noise(beam, phantoms):
    grid = ImageGrid((64, 64), 2.0)
    geometry = beam.for_grid(grid, 120)
    sinogram = phantoms.line_integrals(geometry, [phantoms.disk(MU_WATER_PER_MM, (0.0, 0.0), 45.0)])
    y = phantoms.as_batch(sinogram + np.random.default_rng(0).normal(0, 0.02, sinogram.shape))
    inside = distance_mm(grid, (0.0, 0.0)) < 35
    ramp, hann = (mu_to_hu(fbp(y, geometry, grid, window=window))[0, 0].numpy()[inside] for window in ("ramp", "hann"))
    assert abs(hann.mean()) < 5
    assert hann.std() < 0.6 * ramp.std()


@BEAMS
def test_order_of_views_does_not_matter(beam, phantoms):
    grid = ImageGrid((32, 32), 2.0)
    geometry = beam.for_grid(grid, 60)
    order = np.random.default_rng(0).permutation(60)
    shuffled = replace(geometry, angles_rad=tuple(geometry.angles_rad[k] for k in order))
    head = phantoms.head(grid)
    expected = reconstruct(geometry, grid, head, phantoms)
    assert reconstruct(shuffled, grid, head, phantoms) == pytest.approx(expected, abs=0.05)


@BEAMS
@pytest.mark.parametrize("turns", [2, 3, 4])
def test_views_measured_several_times_share_their_arc(beam, turns, phantoms):
    grid = ImageGrid((32, 32), 2.0)
    geometry = beam.for_grid(grid, 60)
    arc = 2 * math.pi if beam is FanBeam else math.pi
    angles = tuple(angle + turn * arc for turn in range(turns) for angle in geometry.angles_rad)
    head = phantoms.head(grid)
    expected = reconstruct(geometry, grid, head, phantoms)
    assert reconstruct(replace(geometry, angles_rad=angles), grid, head, phantoms) == pytest.approx(expected, abs=0.05)


def test_parallel_views_over_the_full_circle(phantoms):
    grid = ImageGrid((32, 32), 2.0)
    half = ParallelBeam.for_grid(grid, 90)
    full = replace(half, angles_rad=tuple(2 * math.pi * k / 180 for k in range(180)))
    head = phantoms.head(grid)
    assert reconstruct(full, grid, head, phantoms) == pytest.approx(reconstruct(half, grid, head, phantoms), abs=0.05)


def test_unequal_steps_between_views(phantoms):
    grid = ImageGrid((48, 48), 2.0)
    dense = np.linspace(0, math.pi / 2, 120, endpoint=False)
    sparse = np.linspace(math.pi / 2, math.pi, 90, endpoint=False)
    geometry = replace(ParallelBeam.for_grid(grid, 1), angles_rad=(*dense, *sparse))
    hu = reconstruct(geometry, grid, [phantoms.disk(MU_WATER_PER_MM, (5.0, -8.0), 28.0)], phantoms)
    inside = hu[distance_mm(grid, (5.0, -8.0)) < 20]
    assert np.abs(inside).max() < 5


def test_detector_at_the_axis_sees_what_a_magnified_one_sees(phantoms):
    grid = ImageGrid((48, 48), 2.0)
    far = FanBeam.for_grid(grid, 180)
    pitch = far.detector_pitch_mm / far.magnification
    near = replace(far, detector_pitch_mm=pitch, source_to_detector_mm=far.source_to_axis_mm)
    head = phantoms.head(grid)
    assert reconstruct(near, grid, head, phantoms) == pytest.approx(reconstruct(far, grid, head, phantoms), abs=0.05)


@BEAMS
def test_batch_is_its_slices(beam, phantoms):
    grid = ImageGrid((24, 20), 2.0)
    geometry = beam.for_grid(grid, 30)
    y = torch.rand((3, 1, *geometry.shape), generator=torch.Generator().manual_seed(0))
    together = fbp(y, geometry, grid)
    assert phantoms.relative(together, torch.cat([fbp(one[None], geometry, grid) for one in y])) < 1e-6
    assert together.shape == (3, 1, 24, 20)


def test_double_precision_stays():
    grid = ImageGrid((8, 8), 2.0)
    geometry = ParallelBeam.for_grid(grid, 4)
    assert fbp(torch.zeros((1, 1, *geometry.shape), dtype=torch.float64), geometry, grid).dtype == torch.float64


def test_unknown_window():
    grid = ImageGrid((8, 8), 2.0)
    geometry = ParallelBeam.for_grid(grid, 4)
    with pytest.raises(UsageError, match="expected one of ramp, shepp-logan, cosine, hamming, hann"):
        fbp(torch.zeros(1, 1, *geometry.shape), geometry, grid, window="boxcar")
