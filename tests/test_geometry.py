"""Geometries and grids: what is refused, and what the documented axes promise."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ctresample.errors import GeometryError
from ctresample.geometry import FanBeam, ImageGrid, ParallelBeam

NOT_POSITIVE = [0, -1, math.nan, math.inf]
GRIDS = st.builds(ImageGrid, st.tuples(st.integers(1, 300), st.integers(1, 300)), st.floats(0.05, 3.0))
N_VIEWS = st.integers(1, 40)


def fan_beam(angles_rad, n_detectors, pitch_mm, to_axis_mm, to_detector_mm):
    return FanBeam(
        angles_rad, n_detectors, pitch_mm, source_to_axis_mm=to_axis_mm, source_to_detector_mm=to_detector_mm
    )


@st.composite
def scans(draw, beams=(ParallelBeam, FanBeam)):
    """A grid, and a scan made for it."""
    grid, beam = draw(GRIDS), draw(st.sampled_from(beams))
    assume(grid.radius_mm < 0.8 * 595)
    return grid, beam.for_grid(grid, draw(N_VIEWS))


@pytest.mark.parametrize("pixel_size_mm", NOT_POSITIVE)
def test_pixel_size(pixel_size_mm):
    with pytest.raises(GeometryError, match="pixel_size_mm"):
        ImageGrid((4, 4), pixel_size_mm)


@pytest.mark.parametrize(("shape", "name"), [((0, 4), "rows"), ((4, -1), "columns")])
def test_grid_shape(shape, name):
    with pytest.raises(GeometryError, match=name):
        ImageGrid(shape, 1.0)


@pytest.mark.parametrize("make", [ParallelBeam, lambda *args: fan_beam(*args, 500.0, 1000.0)])
def test_beam(make):
    with pytest.raises(GeometryError, match="0 views"):
        make((), 8, 1.0)
    for angle in (math.nan, math.inf):
        with pytest.raises(GeometryError, match="not finite"):
            make((0.0, angle), 8, 1.0)
    with pytest.raises(GeometryError, match=r"view angle is 1e\+17; expected radians, up to 1e\+06"):
        make((0.0, 1e17), 8, 1.0)
    for value in NOT_POSITIVE:
        with pytest.raises(GeometryError, match="detector_pitch_mm"):
            make((0.0,), 8, value)
    for value in (0, -3):
        with pytest.raises(GeometryError, match="n_detectors"):
            make((0.0,), value, 1.0)


@pytest.mark.parametrize("value", NOT_POSITIVE)
def test_fan_distances(value):
    with pytest.raises(GeometryError, match="source_to_axis_mm"):
        fan_beam((0.0,), 8, 1.0, value, 1000.0)
    with pytest.raises(GeometryError, match="source_to_detector_mm"):
        fan_beam((0.0,), 8, 1.0, 500.0, value)


def test_detector_before_the_axis():
    with pytest.raises(GeometryError, match=r"source_to_detector_mm is 499.*500"):
        fan_beam((0.0,), 8, 1.0, 500.0, 499.0)


def test_source_inside_the_image():
    grid = ImageGrid((100, 100), 1.0)
    fan = fan_beam((0.0,), 8, 1.0, 60.0, 100.0)
    with pytest.raises(GeometryError, match="inside the image"):
        fan.check_outside(grid)
    with pytest.raises(GeometryError, match="past the source"):
        FanBeam.for_grid(grid, 4, source_to_axis_mm=60.0, source_to_detector_mm=100.0)
    fan.check_outside(ImageGrid((50, 50), 1.0))
    ParallelBeam((0.0,), 8, 1.0).check_outside(grid)


@pytest.mark.parametrize("beam", [ParallelBeam, FanBeam])
@pytest.mark.parametrize("n_views", [0, -5])
def test_views(beam, n_views):
    with pytest.raises(GeometryError, match=f"views is {n_views}"):
        beam.for_grid(ImageGrid((8, 8), 1.0), n_views)


def test_frozen_and_comparable():
    grid = ImageGrid((8, 8), 1.0)
    assert hash(ParallelBeam.for_grid(grid, 4)) == hash(ParallelBeam.for_grid(grid, 4))
    assert ParallelBeam.for_grid(grid, 4) == ParallelBeam.for_grid(grid, 4) != ParallelBeam.for_grid(grid, 5)
    with pytest.raises(FrozenInstanceError):
        grid.pixel_size_mm = 2.0


def test_axes_of_the_image():
    grid = ImageGrid((2, 3), 10.0)
    assert grid.x_mm.tolist() == [-10, 0, 10]
    assert grid.y_mm.tolist() == [5, -5]
    assert grid.radius_mm == pytest.approx(math.hypot(10, 15))


def test_angles_are_spread_without_the_end_point():
    grid = ImageGrid((8, 8), 1.0)
    assert ParallelBeam.for_grid(grid, 4).angles_rad == pytest.approx([0, math.pi / 4, math.pi / 2, 3 * math.pi / 4])
    assert FanBeam.for_grid(grid, 4).angles_rad == pytest.approx([0, math.pi / 2, math.pi, 3 * math.pi / 2])


@given(scan=scans())
def test_detector_sees_the_whole_image(scan):
    grid, beam = scan
    half_x, half_y = grid.shape[1] * grid.pixel_size_mm / 2, grid.shape[0] * grid.pixel_size_mm / 2
    reach = (beam.n_detectors - 1) / 2 * beam.detector_pitch_mm
    for theta in beam.angles_rad:
        for x, y in ((half_x, half_y), (half_x, -half_y), (-half_x, half_y), (-half_x, -half_y)):
            s = x * math.cos(theta) + y * math.sin(theta)
            if isinstance(beam, FanBeam):
                s *= beam.source_to_detector_mm / (beam.source_to_axis_mm - x * math.sin(theta) + y * math.cos(theta))
            assert abs(s) <= reach * (1 + 1e-6)


@given(scan=scans())
def test_bins_are_a_pixel_wide_at_the_axis_and_not_wasted(scan):
    grid, beam = scan
    at_axis = beam.detector_pitch_mm / (beam.magnification if isinstance(beam, FanBeam) else 1)
    assert at_axis == pytest.approx(grid.pixel_size_mm)
    reach = 2 * grid.radius_mm / grid.pixel_size_mm
    if isinstance(beam, FanBeam):
        reach /= math.cos(math.asin(grid.radius_mm / beam.source_to_axis_mm))
    assert beam.n_detectors < reach + 3


@given(scan=scans(), view=st.integers(0, 39))
def test_rays_lie_on_the_documented_lines(scan, view):
    _, beam = scan
    view %= beam.n_views
    theta = beam.angles_rad[view]
    points, directions = beam.rays(view)
    assert np.linalg.norm(directions, axis=1) == pytest.approx(1)
    if isinstance(beam, ParallelBeam):
        for distance in (-7.0, 0.0, 30.0):
            x, y = (points + distance * directions).T
            assert x * math.cos(theta) + y * math.sin(theta) == pytest.approx(beam.detector_mm, abs=1e-9)
        return
    source = beam.source_to_axis_mm * np.array([math.sin(theta), -math.cos(theta)])
    assert points == pytest.approx(np.broadcast_to(source, points.shape))
    # where each ray has come as far as the detector
    forward = np.array([-math.sin(theta), math.cos(theta)])
    hits = source + directions * (beam.source_to_detector_mm / (directions @ forward))[:, None]
    assert hits @ [math.cos(theta), math.sin(theta)] == pytest.approx(beam.detector_mm, abs=1e-9)


@given(scan=scans(), factor=st.integers(1, 5))
def test_split_bins_fill_the_old_ones(scan, factor):
    _, beam = scan
    split = beam.with_bins_split(factor)
    assert split.detector_mm.reshape(-1, factor).mean(axis=1) == pytest.approx(beam.detector_mm, abs=1e-9)
    assert split.n_detectors * split.detector_pitch_mm == pytest.approx(beam.n_detectors * beam.detector_pitch_mm)
    assert split.angles_rad == beam.angles_rad
    assert type(split) is type(beam)


@given(grid=GRIDS, factor=st.integers(1, 5))
def test_refined_grid_covers_the_same_field(grid, factor):
    fine = grid.refined(factor)
    assert fine.radius_mm == pytest.approx(grid.radius_mm)
    assert fine.x_mm.reshape(-1, factor).mean(axis=1) == pytest.approx(grid.x_mm, abs=1e-9)
    assert fine.y_mm.reshape(-1, factor).mean(axis=1) == pytest.approx(grid.y_mm, abs=1e-9)


def test_angles_may_be_an_array():
    geometry = ParallelBeam(np.linspace(0, 1, 3), 5, 1.0)
    assert geometry == ParallelBeam((0.0, 0.5, 1.0), 5, 1.0)
    assert hash(geometry) == hash(ParallelBeam([0.0, 0.5, 1.0], 5, 1.0))
