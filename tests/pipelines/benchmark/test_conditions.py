"""Scans by name: their angles, dose and rings."""

import math
from dataclasses import replace

import numpy as np
import pytest

from ctresample.geometry import FanBeam, ImageGrid, ParallelBeam
from ctresample.pipelines.benchmark.conditions import CONDITIONS, Condition

GRID = ImageGrid((32, 32), 8.0)
VIEWS = {"i": 40, "ii": 20, "iii": 80, "iv": 80, "v": 40}
PHOTONS = {"i": None, "ii": 1e5, "iii": 1e4, "iv": 1e5, "v": None}


def test_the_paper():
    scan = CONDITIONS["paper-25"]
    angles = scan.geometry(GRID).angles_rad
    np.testing.assert_allclose(angles, np.linspace(0, np.pi, 25, endpoint=False))
    assert scan.photons == 1e5


@pytest.mark.parametrize("number", VIEWS)
def test_dm4ct(number):
    plain, doubled = CONDITIONS[f"dm4ct-{number}"], CONDITIONS[f"dm4ct-{number}-endpoint"]
    arc = 0.75 * math.pi if number == "v" else math.pi
    np.testing.assert_allclose(plain.geometry(GRID).angles_rad, np.arange(VIEWS[number]) * arc / VIEWS[number])
    np.testing.assert_allclose(doubled.geometry(GRID).angles_rad, np.linspace(0, arc, VIEWS[number]))
    for scan in (plain, doubled):
        assert isinstance(scan.geometry(GRID), ParallelBeam)
        assert scan.photons == PHOTONS[number]
        assert (scan.scanner.faulty_bins > 0) == (number == "iv")
    assert ("135°" in plain.words) == (number == "v")


@pytest.mark.parametrize("n_views", [18, 36, 72])
def test_cvg(n_views):
    scan = CONDITIONS[f"cvg-{n_views}"]
    geometry = scan.geometry(GRID)
    assert isinstance(geometry, FanBeam)
    assert (geometry.source_to_axis_mm, geometry.source_to_detector_mm) == (1075, 2150)
    np.testing.assert_allclose(geometry.angles_rad, np.arange(n_views) * 2 * np.pi / n_views)
    assert scan.photons is None


def test_the_doubled_end_point_is_the_first_view_from_behind():
    scan = CONDITIONS["dm4ct-i-endpoint"].geometry(GRID)
    (points, ways), (points_behind, ways_behind) = scan.rays(0), scan.rays(39)
    np.testing.assert_allclose(points_behind, points[::-1], atol=1e-9)
    np.testing.assert_allclose(ways_behind, -ways, atol=1e-9)


def test_names_tell_all_that_differs():
    scans = [Condition(n_views=n, beam=b, photons=p) for n in (8, 9) for b in ("parallel", "fan") for p in (None, 1e4)]
    assert len({scan.name for scan in scans}) == 8
    assert scans[-1].name == "9 views, fan, 10,000 photons a ray"
    assert replace(scans[-1], arc_rad=math.radians(120)).name == "9 views over 120°, fan, 10,000 photons a ray"
    assert isinstance(scans[-1].geometry(GRID), FanBeam)
    assert all(name == scan.name for name, scan in CONDITIONS.items())
