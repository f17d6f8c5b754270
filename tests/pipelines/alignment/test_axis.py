"""The rotation axis is found where it was planted: noisy, sparse, of every beam."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from ctresample.errors import SinogramError
from ctresample.geometry import ConeBeam, FanBeam, HelicalBeam, ImageGrid, ParallelBeam, VolumeGrid
from ctresample.pipelines.alignment.axis import find_axis
from ctresample.pipelines.alignment.helix import turned_round
from ctresample.sinogram import Sinogram

MU, PHOTONS = 0.02, 1e4
VIEWS = np.arange(60)
FAN = {"source_to_axis_mm": 400.0, "source_to_detector_mm": 750.0}
GRID = ImageGrid((72, 72), 2.0)
SCANS = {
    "parallel, half a turn": ParallelBeam(VIEWS * math.pi / 60, 72, 2.0),
    "parallel, a turn": ParallelBeam(VIEWS * 2 * math.pi / 60, 72, 2.0),
    "fan": FanBeam(VIEWS * 2 * math.pi / 60, 84, 3.6, **FAN),
    "curved fan": FanBeam(VIEWS * 2 * math.pi / 60, 84, 3.6, **FAN, detector_shape="curved"),
}


def noisy(line_integrals: np.ndarray) -> np.ndarray:
    counts = np.random.default_rng(5).poisson(PHOTONS * np.exp(-line_integrals))
    return -np.log(np.maximum(counts, 1) / PHOTONS)


def planted(geometry, off_bins: float, phantoms) -> Sinogram:
    """A scan whose file says nothing of the offset that it has."""
    name = "detector_offset_mm" if isinstance(geometry, ParallelBeam) else "axis_offset_mm"
    off_mm = off_bins * geometry.detector_pitch_mm / geometry.magnification
    body = [
        phantoms.Ellipse(MU, (5.0, -8.0), (50.0, 42.0)),
        phantoms.Ellipse(-0.7 * MU, (22.0, 5.0), (14.0, 20.0), 0.3),
        phantoms.disk(0.5 * MU, (-15.0, -18.0), 10.0),
    ]
    values = noisy(phantoms.line_integrals(replace(geometry, **{name: off_mm}), body))
    return Sinogram(values[None], geometry, GRID, np.eye(4), photons=PHOTONS)


@pytest.mark.parametrize("geometry", SCANS.values(), ids=SCANS.keys())
@pytest.mark.parametrize("off_bins", [2.37, -5.2])
def test_planted_offsets(geometry, off_bins, phantoms):
    found = find_axis(planted(geometry, off_bins, phantoms))
    assert found.moved_bins == pytest.approx(off_bins, abs=0.1)
    assert found.misfit[1] < found.misfit[0]


def test_a_cone_is_told_by_its_middle_row(phantoms):
    geometry = ConeBeam(
        VIEWS * 2 * math.pi / 60, 72, 4.2, **FAN, n_detector_rows=3, detector_row_pitch_mm=4.2, axis_offset_mm=3.1
    )
    body = [phantoms.Sphere(MU, (5.0, -8.0, 0.0), 50.0), phantoms.Sphere(-0.7 * MU, (22.0, 10.0, 0.0), 16.0)]
    values = noisy(phantoms.cone_integrals(geometry, body))
    grid = VolumeGrid((1, 72, 72), 2.0, 2.0)
    found = find_axis(Sinogram(values, replace(geometry, axis_offset_mm=0.0), grid, np.eye(4), photons=PHOTONS))
    assert found.found_mm == pytest.approx(3.1, abs=0.1 * found.bin_mm)


def test_what_does_not_tell_the_axis(phantoms):
    short = ParallelBeam(VIEWS * math.pi / 180, 72, 2.0)
    with pytest.raises(SinogramError, match="60 views over 60 degrees do not tell the axis"):
        find_axis(planted(short, 0.0, phantoms))
    scan = planted(SCANS["fan"], 0.0, phantoms)
    with pytest.raises(SinogramError, match="no axis within 10 bins"):
        find_axis(replace(scan, values=np.random.default_rng(1).normal(size=scan.values.shape)))


@pytest.fixture(scope="module")
def helix(phantoms):
    """Of pitch 0.5, whose detector is 1.3 bins from where the file says, with rows that tell up from down."""
    view = np.arange(210)
    geometry = HelicalBeam(
        view * 2 * math.pi / 90,
        64,
        8.0,
        10.4,
        source_to_axis_mm=595.0,
        source_to_detector_mm=1085.6,
        centre_z_mm=view * 8.0 / 90,
        n_detector_rows=8,
        detector_row_pitch_mm=4.0,
        spot_z_mm=-0.6 * (view % 2),
        spot_radial_mm=5.0 * (view % 2),
    )
    body = [phantoms.Sphere(MU, (20.0, -30.0, 9.0), 70.0), phantoms.Sphere(MU, (-20.0, 10.0, 6.0), 9.0)]
    values = noisy(phantoms.helical_integrals(geometry, body))
    grid = VolumeGrid((1, 64, 64), 4.0, 2.0, (0.0, 0.0, 9.0))
    return Sinogram(values, replace(geometry, detector_offset_mm=0.0), grid, np.eye(4), photons=PHOTONS)


def test_the_centre_of_a_helix_by_conjugate_rays(helix):
    found = find_axis(helix)
    assert found.moved_bins == pytest.approx(1.3, abs=0.1)
    assert find_axis(found.apply(helix)).moved_bins == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize(("turned", "said"), [((1, -1), "channels"), ((-1, 1), "detector rows")])
def test_a_helix_the_other_way_round_is_told(helix, turned, said):
    right = replace(helix, geometry=replace(helix.geometry, detector_offset_mm=10.4))
    wrong = replace(
        right,
        values=helix.values[:: turned[0], :, :: turned[1]],
        geometry=replace(right.geometry, detector_offset_mm=10.4 * turned[1]),
    )
    with pytest.raises(SinogramError, match=f"the {said} run the other way.*--calibrate"):
        find_axis(wrong)
    mended, what = turned_round(wrong)
    assert what == [said]
    assert np.array_equal(mended.values, right.values) and mended.geometry == right.geometry
    assert turned_round(mended) == (mended, [])
