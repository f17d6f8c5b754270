"""What a volume refuses, and what it knows of its place."""

from __future__ import annotations

import numpy as np
import pytest

from ctresample.errors import GeometryError
from ctresample.volume import Volume

HU = np.zeros((2, 3, 4), np.float32)


@pytest.mark.parametrize("shape", [(3, 4), (0, 3, 4), (2, 3, 0), (1, 2, 3, 4)])
def test_shape(shape):
    with pytest.raises(GeometryError, match="expected"):
        Volume(np.zeros(shape, np.float32), np.eye(4))


@pytest.mark.parametrize("affine", [np.eye(3), np.full((4, 4), np.nan)])
def test_affine(affine):
    with pytest.raises(GeometryError, match="affine"):
        Volume(HU, affine)


def test_headers():
    with pytest.raises(GeometryError, match="2 slices but 1 headers"):
        Volume(HU, np.eye(4), ({},))


def test_spacing_of_an_oblique_volume():
    turn = np.array([[0.6, -0.8, 0], [0.8, 0.6, 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn * [0.7, 0.9, 2.5]
    assert Volume(HU, affine).spacing_mm == pytest.approx((0.7, 0.9, 2.5))


def test_origins_of_slices():
    affine = np.diag([1.0, 1.0, -2.0, 1.0])
    affine[:3, 3] = 5, 6, 7
    assert Volume(HU, affine).slice_origins_mm.tolist() == [[5, 6, 7], [5, 6, 5]]
    uneven = Volume(HU, affine, slice_offsets_mm=(0.0, 3.5))
    assert uneven.slice_origins_mm.tolist() == [[5, 6, 7], [5, 6, 3.5]]


@pytest.mark.parametrize("offsets", [(0.0,), (1.0, 2.0), (0.0, 0.0), (0.0, -1.0), (0.0, np.inf)])
def test_offsets_of_slices(offsets):
    with pytest.raises(GeometryError, match="slice offsets"):
        Volume(HU, np.eye(4), slice_offsets_mm=offsets)


def test_a_part_has_its_own_median_step():
    whole = Volume(np.zeros((7, 2, 2)), np.diag([1.0, 1.0, -2.0, 1.0]))
    every_second = whole.part([1, 3, 5])
    assert every_second.slice_offsets_mm is None
    assert every_second.spacing_mm[2] == 4
    assert every_second.slice_origins_mm[:, 2].tolist() == [-2, -6, -10]
    gap = whole.part([0, 2, 4, 5])
    assert gap.slice_offsets_mm == (0, 4, 8, 10)
    assert gap.spacing_mm[2] == 4
    assert gap.slice_origins_mm[:, 2].tolist() == [0, -4, -8, -10]
    assert gap.part([2, 3]).spacing_mm[2] == 2
    assert gap.part([2]).spacing_mm[2] == 4  # of one slice, what it was


def test_other_values_in_the_same_place():
    volume = Volume(HU, np.diag([1.0, 2.0, 3.0, 1.0]), ({"a": 1}, {}))
    other = volume.with_hu(HU + 7)
    assert other.hu.max() == 7
    assert other.affine is volume.affine
    assert other.headers == volume.headers
    with pytest.raises(GeometryError, match="expected"):
        volume.with_hu(HU[:1])
