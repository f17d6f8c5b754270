"""Scans by name: beams, arcs, offsets and distances, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ctresample.choices import BEAMS, VOLUME_BEAMS
from ctresample.errors import GeometryError, UsageError
from ctresample.geometry import ConeBeam, FanBeam, ImageGrid, ParallelBeam, VolumeGrid
from ctresample.geometry.coverage import unseen_share
from ctresample.geometry.turns import helix_over
from ctresample.pipelines.scan.geometry import reconstruction_grid, scan_geometry
from ctresample.volume import Volume

GRID = ImageGrid((32, 32), 5.0)
VOLUME_GRID = VolumeGrid((4, 32, 32), 5.0, 2.0)
KINDS = {
    "parallel": ParallelBeam.for_grid(GRID, 9),
    "fan": FanBeam.for_grid(GRID, 9),
    "fan-curved": FanBeam.for_grid(GRID, 9, detector_shape="curved"),
    "cone": ConeBeam.for_grid(VOLUME_GRID, 9),
    "helical": helix_over(VOLUME_GRID, 9),
}
CIRCLES = pytest.mark.parametrize("beam", [beam for beam in BEAMS if beam != "helical"])


def grid_of(beam: str):
    return VOLUME_GRID if beam in VOLUME_BEAMS else GRID


def arc_of(geometry) -> float:
    return geometry.angles_rad[1] * geometry.n_views


@pytest.mark.parametrize("beam", BEAMS)
def test_names(beam):
    assert scan_geometry(grid_of(beam), beam=beam, n_views=9) == KINDS[beam]
    assert KINDS[beam].name == beam


@CIRCLES
def test_arc(beam):
    geometry = scan_geometry(grid_of(beam), beam=beam, n_views=9, arc_rad=1.8)
    assert geometry.angles_rad == pytest.approx([0.2 * k for k in range(9)])


@CIRCLES
@pytest.mark.parametrize("detector_offset_mm", [0.0, 12.0])
def test_short_scan(beam, detector_offset_mm):
    geometry = scan_geometry(
        grid_of(beam), beam=beam, n_views=9, arc_rad="short", detector_offset_mm=detector_offset_mm
    )
    fan_rad = 0.0
    if beam != "parallel":
        edge = np.abs(geometry.detector_mm).max() / geometry.source_to_detector_mm
        fan_rad = 2 * (edge if beam == "fan-curved" else math.atan(edge))
    assert arc_of(geometry) == pytest.approx(math.pi + fan_rad)


@pytest.mark.parametrize("beam", BEAMS)
def test_offsets_keep_the_detector(beam):
    axis = {} if beam in ("parallel", "helical") else {"axis_offset_mm": -1.5}
    geometry = scan_geometry(grid_of(beam), beam=beam, n_views=9, detector_offset_mm=4.0, **axis)
    assert geometry.detector_offset_mm == 4.0
    assert getattr(geometry, "axis_offset_mm", 0.0) == axis.get("axis_offset_mm", 0.0)
    assert geometry.shape == KINDS[beam].shape


def test_a_helix_sees_its_first_and_last_slice_whole():
    for pitch, n_rows in ((0.5, 16), (1.2, 8)):
        scan = scan_geometry(VOLUME_GRID, beam="helical", n_views=36, pitch=pitch, n_detector_rows=n_rows)
        assert (scan.pitch, scan.n_detector_rows) == (pytest.approx(pitch), n_rows)
        assert scan.detector_row_pitch_mm / scan.magnification == pytest.approx(2.0)
        for radius_mm in (0.0, VOLUME_GRID.radius_mm):
            assert unseen_share(scan, VOLUME_GRID.z_mm[[0, -1]], radius_mm).max() == 0
        # and not for long before
        assert np.ptp(scan.centre_z_mm) < 6.0 + 2.5 * abs(scan.feed_mm)


def test_distances():
    geometry = scan_geometry(GRID, beam="fan", n_views=9, source_to_axis_mm=400.0, source_to_detector_mm=900.0)
    assert geometry == FanBeam.for_grid(GRID, 9, 400.0, 900.0)


def test_grid_covers_the_volume():
    affine = np.diag([2.0, 2.0, 3.0, 1.0])
    volume = Volume(np.zeros((5, 20, 30), np.float32), affine)
    grid, first = reconstruction_grid(volume, 12)
    assert grid == ImageGrid((12, 12), 5.0)
    assert first.hu.shape == (1, 12, 12)
    cone, _ = reconstruction_grid(volume, 12, "cone")
    assert cone == VolumeGrid((5, 12, 12), 5.0, 3.0)


def test_a_cone_needs_even_steps():
    volume = Volume(np.zeros((3, 20, 30), np.float32), np.eye(4), slice_offsets_mm=(0.0, 1.0, 4.0))
    assert reconstruction_grid(volume, 12)[0].shape == (12, 12)
    with pytest.raises(UsageError, match="a cone beam needs evenly spaced slices"):
        reconstruction_grid(volume, 12, "cone")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"beam": "helix"}, UsageError, "'helix'; expected one of parallel, fan, fan-curved, cone"),
        ({"n_views": 0}, UsageError, "views is 0"),
        ({"axis_offset_mm": 1.0}, UsageError, "axis_offset_mm is of a fan or cone.*use detector_offset_mm"),
        ({"source_to_axis_mm": 500.0}, UsageError, "source_to_axis_mm is of a fan"),
        ({"source_to_detector_mm": 500.0}, UsageError, "source_to_detector_mm is of a fan"),
        ({"beam": "fan", "source_to_axis_mm": 60.0}, GeometryError, "past the source"),
        ({"beam": "fan", "source_to_detector_mm": 60.0}, GeometryError, "source_to_detector_mm is 60"),
        ({"pitch": 1.0}, UsageError, "pitch is of a helix, but the geometry is 'parallel'"),
        ({"n_detector_rows": 8}, UsageError, "n_detector_rows is of a helix"),
        ({"beam": "helical", "arc_rad": 3.0}, UsageError, "arc_rad is of a circle"),
        ({"beam": "helical", "axis_offset_mm": 3.0}, UsageError, "not of a helix"),
        ({"beam": "helical", "pitch": 3.0}, GeometryError, "choose a smaller pitch"),
        ({"beam": "helical", "pitch": math.nan}, GeometryError, "pitch is nan"),
        ({"arc_rad": 0.0}, GeometryError, "arc_rad is 0"),
        ({"arc_rad": math.nan}, GeometryError, "arc_rad is nan"),
        ({"detector_offset_mm": math.inf}, GeometryError, "detector_offset_mm is inf"),
    ],
    ids=str,
)
def test_what_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        scan_geometry(grid_of(options.get("beam", "")), **({"beam": "parallel", "n_views": 9} | options))
