"""Lesions on a grid, and where they are put."""

import math

import numpy as np
import pytest

from ctresample.errors import UsageError
from ctresample.geometry import ImageGrid
from ctresample.pipelines.lesions.places import APART_MM, MARGIN_MM, check_lesions, places_mm
from ctresample.pipelines.scan.lesion import Lesion

GRID = ImageGrid((64, 64), 2.0)


def body():
    """A disc of water of 56 mm with a bone in the middle."""
    y, x = np.meshgrid(GRID.y_mm, GRID.x_mm, indexing="ij")
    hu = np.where(np.hypot(x, y) < 56, 40.0, -1000.0)
    hu[np.hypot(x, y) < 10] = 800
    return hu


@pytest.mark.parametrize("diameter", [4.0, 7.3, 12.0])
def test_a_disc_has_its_area_its_place_and_its_contrast(diameter):
    added = Lesion(diameter, -30.0, (11.3, -20.9)).on(GRID, 2.0)
    share = added / -30
    assert share.sum() * 4 == pytest.approx(math.pi * diameter**2 / 4, rel=0.02)
    assert share.max() <= 1 + 1e-6
    assert (share @ np.ones(64)) @ GRID.y_mm / share.sum() == pytest.approx(-20.9, abs=0.05)
    assert (np.ones(64) @ share) @ GRID.x_mm / share.sum() == pytest.approx(11.3, abs=0.05)


def test_a_sphere_in_a_thick_slice_has_its_volume():
    added = Lesion(10.0, 60.0, (0.0, 0.0), "sphere").on(GRID, 20.0)
    assert added.sum() * 4 * 20 / 60 == pytest.approx(math.pi * 1000 / 6, rel=0.02)
    thin = Lesion(10.0, 60.0, (0.0, 0.0), "sphere").on(GRID, 1.0)
    assert thin.max() == pytest.approx(60)
    assert thin.sum() < Lesion(10.0, 60.0, (0.0, 0.0)).on(GRID, 1.0).sum()


def test_a_lesion_outside_adds_nothing():
    assert not Lesion(10.0, 60.0, (500.0, 0.0)).on(GRID, 1.0).any()


def test_places_are_in_soft_tissue_and_far_apart():
    found = places_mm(body(), GRID, diameter_mm=12, at_most=5, generator=np.random.default_rng(0))
    assert len(found) == 5
    assert found == places_mm(body(), GRID, diameter_mm=12, at_most=5, generator=np.random.default_rng(0))
    for k, (x, y) in enumerate(found):
        assert 10 + 6 + MARGIN_MM - 3 < math.hypot(x, y) < 56 - 6 - MARGIN_MM + 3
        assert all(math.dist((x, y), other) >= APART_MM for other in found[:k])
    assert (
        places_mm(np.full((64, 64), -1000.0), GRID, diameter_mm=4, at_most=5, generator=np.random.default_rng(0)) == []
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (([], [40], "disc"), "at least one"),
        (([0.5], [40], "disc"), "0.5 mm; expected 1 to"),
        (([40], [40], "disc"), "40 mm; expected 1 to"),
        (([8], [0], "disc"), "not 0"),
        (([8], [float("nan")], "disc"), "nan HU"),
        (([8], [40], "star"), "expected one of disc, sphere"),
    ],
)
def test_lesions_that_cannot_be_are_refused(given, message):
    with pytest.raises(UsageError, match=message):
        check_lesions(*given)
