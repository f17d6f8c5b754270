"""The rotation axis is found where it was planted: noisy, sparse, of every beam."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from ctresample.errors import SinogramError
from ctresample.geometry import ConeBeam, FanBeam, ImageGrid, ParallelBeam, VolumeGrid
from ctresample.pipelines.alignment.axis import find_axis
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
