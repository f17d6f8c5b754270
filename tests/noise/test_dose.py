"""Where the photons go: the bow-tie filter behind its own cylinder, and a current that keeps the dose."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctresample.geometry import ConeBeam, FanBeam, ImageGrid, ParallelBeam, VolumeGrid
from ctresample.noise import bow_tie, tube_current

GRID = ImageGrid((101, 101), 4.0)
MU = 0.02
FANS = {
    "parallel": ParallelBeam.for_grid(GRID, 3),
    "fan": FanBeam.for_grid(GRID, 3),
    "fan-curved": FanBeam.for_grid(GRID, 3, detector_shape="curved"),
    "cone": ConeBeam.for_grid(VolumeGrid((5, 101, 101), 4.0, 4.0), 3),
}
BEAMS = pytest.mark.parametrize("geometry", FANS.values(), ids=FANS)


def distance_from_axis(geometry) -> np.ndarray:
    """Of each ray of the first view, in the plane of the slice: the cross product with its direction."""
    points, directions = geometry.rays(0)
    if points.ndim == 3:
        points, directions = points[2, :, :2], directions[2, :, :2]
    directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    return np.abs(points[:, 0] * directions[:, 1] - points[:, 1] * directions[:, 0])


@BEAMS
def test_all_bins_count_alike_behind_the_cylinder(geometry):
    distance = distance_from_axis(geometry)
    chord = 2 * np.sqrt(np.maximum(150.0**2 - distance**2, 0))
    behind = bow_tie(geometry, 300.0, MU) * np.exp(-MU * chord)
    assert behind == pytest.approx(np.exp(-MU * 300.0), rel=1e-9)


@BEAMS
def test_bow_tie_is_symmetric_and_open_in_the_middle(geometry):
    share = bow_tie(geometry, 300.0, MU)
    assert share == pytest.approx(share[::-1], rel=1e-9)
    middle = (geometry.n_detectors - 1) // 2
    assert share.argmax() in (middle, geometry.n_detectors - 1 - middle)
    assert share.max() == pytest.approx(1, abs=2e-3)
    outside = distance_from_axis(geometry) > 150
    assert outside.any()
    assert share[outside] == pytest.approx(np.exp(-MU * 300))


def test_bow_tie_stays_on_the_axis_when_the_detector_is_shifted():
    geometry = ParallelBeam((0.0,), 101, 4.0, detector_offset_mm=40.0)
    assert bow_tie(geometry, 300.0)[40] == pytest.approx(1)
    shifted = FanBeam((0.0,), 101, 4.0, source_to_axis_mm=500, source_to_detector_mm=1000, axis_offset_mm=40.0)
    assert bow_tie(shifted, 300.0)[30] == pytest.approx(1, abs=1e-3)  # 80 mm at the detector


@given(st.lists(st.floats(0, 60), min_size=1, max_size=50), st.floats(0, 1))
def test_modulation_keeps_the_dose(attenuation, strength):
    current = tube_current(np.array(attenuation), strength)
    assert current.mean() == pytest.approx(1)
    assert (current > 0).all()


def test_modulation_follows_the_square_root():
    attenuation = np.log([4.0, 16.0, 100.0])  # of the intensity
    assert tube_current(attenuation, 0.5) == pytest.approx(np.array([2, 4, 10]) / (16 / 3))
    assert tube_current(attenuation, 1.0) * np.exp(-attenuation) == pytest.approx(1 / 40)
    assert tube_current(attenuation, 0.0) == pytest.approx(1)
