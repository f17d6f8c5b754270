"""Area averages: nothing is lost, and everything stays where it was in the patient."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctresample.errors import UsageError
from ctresample.regrid import to_square_grid
from ctresample.units import AIR_HU
from ctresample.volume import Volume

SIDES = st.integers(1, 24)
SPACINGS = st.floats(0.3, 3.0)


def placed(hu: np.ndarray, dx: float, dy: float, turn_rad: float = 0.0) -> Volume:
    """Turned about z and away from the origin."""
    cos, sin = np.cos(turn_rad), np.sin(turn_rad)
    affine = np.eye(4)
    affine[:3, :3] = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) * [dx, dy, 2.5]
    affine[:3, 3] = (-120.0, 35.0, 7.0)
    return Volume(hu.astype(np.float32), affine)


def points_lps(volume: Volume) -> np.ndarray:
    """LPS position of each pixel of the first slice, ``[row, column, 3]``."""
    rows, columns = np.indices(volume.hu.shape[1:])
    index = np.stack([columns, rows, np.zeros_like(rows), np.ones_like(rows)], axis=-1)
    return (index @ volume.affine.T)[..., :3]


@st.composite
def volumes(draw):
    rows, columns, seed = draw(SIDES), draw(SIDES), draw(st.integers(0, 99))
    hu = np.random.default_rng(seed).uniform(-1000, 2000, (2, rows, columns))
    return placed(hu, draw(SPACINGS), draw(SPACINGS), draw(st.floats(-3, 3)))


@given(volume=volumes(), size=st.integers(1, 40))
def test_mass_is_kept(volume, size):
    new = to_square_grid(volume, size)

    def mass(v: Volume) -> np.ndarray:
        return (v.hu.astype(np.float64) - AIR_HU).sum(axis=(1, 2)) * v.spacing_mm[0] * v.spacing_mm[1]

    assert mass(new) == pytest.approx(mass(volume), rel=1e-5, abs=1e-2)


@given(volume=volumes(), size=st.integers(1, 40))
def test_pixels_are_square_and_cover_the_longer_side(volume, size):
    new = to_square_grid(volume, size)
    (_, rows, columns), (dx, dy, dz) = volume.hu.shape, volume.spacing_mm
    assert new.hu.shape == (2, size, size)
    assert new.hu.dtype == np.float32
    assert new.spacing_mm == pytest.approx((max(rows * dy, columns * dx) / size,) * 2 + (dz,))


@given(volume=volumes(), size=st.integers(1, 40))
def test_centre_and_directions_stay(volume, size):
    new = to_square_grid(volume, size)
    assert points_lps(new).mean(axis=(0, 1)) == pytest.approx(points_lps(volume).mean(axis=(0, 1)), abs=1e-9)
    for axis in range(3):
        old_axis, new_axis = volume.affine[:3, axis], new.affine[:3, axis]
        assert new_axis / np.linalg.norm(new_axis) == pytest.approx(old_axis / np.linalg.norm(old_axis))


@given(volume=volumes(), size=st.integers(1, 40))
def test_no_value_outside_the_old_ones_and_air(volume, size):
    new = to_square_grid(volume, size)
    assert new.hu.min() >= AIR_HU - 1e-3
    assert new.hu.max() <= volume.hu.max() + 1e-3


@given(n=st.integers(2, 12), factor=st.integers(1, 4), d=SPACINGS, turn=st.floats(-3, 3), shrink=st.booleans())
def test_affine_maps_to_the_same_physical_points(n, factor, d, turn, shrink):
    """A ramp along patient x and y: whole blocks of pixels have the value of their centre's position."""
    old = placed(np.zeros((1, n * factor, n * factor)), d, d, turn)
    ramp = points_lps(old) @ [3.0, 2.0, 0.0]
    old = old.with_hu(ramp[None].astype(np.float32))
    new = to_square_grid(old, n if shrink else n * factor * 2)
    expected = points_lps(new) @ [3.0, 2.0, 0.0]
    # when pixels are cut in four, a quarter lies a quarter of the old edge off its old centre, along x and y
    slack = 1e-2 if shrink else 1e-2 + np.hypot(3, 2) * np.sqrt(2) * d / 4
    assert np.abs(new.hu[0] - expected).max() <= slack


@given(rows=SIDES, columns=SIDES, dx=SPACINGS, dy=SPACINGS, size=st.integers(1, 40), data=st.data())
def test_a_bright_pixel_stays_in_place(rows, columns, dx, dy, size, data):
    row, column = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))
    hu = np.full((1, rows, columns), AIR_HU)
    hu[0, row, column] = 1000
    old = placed(hu, dx, dy, 0.4)
    new = to_square_grid(old, size)
    weight = new.hu[0].astype(np.float64) - AIR_HU
    found = np.tensordot(weight, points_lps(new), 2) / weight.sum()
    assert np.linalg.norm(found - points_lps(old)[row, column]) <= np.sqrt(0.5) * new.spacing_mm[0] + 1e-3


def test_the_same_grid_again():
    volume = placed(np.random.default_rng(0).uniform(-1000, 2000, (1, 9, 9)), 0.7, 0.7)
    new = to_square_grid(volume, 9)
    assert new.hu == pytest.approx(volume.hu, abs=1e-3)
    assert new.affine == pytest.approx(volume.affine)


def test_a_long_image_gets_air_around():
    new = to_square_grid(placed(np.zeros((1, 2, 4)), 1.0, 1.0), 4)
    assert new.hu[0].tolist() == [[-1000] * 4, [0] * 4, [0] * 4, [-1000] * 4]


def test_tall_pixels_become_several():
    new = to_square_grid(placed(np.array([[[0.0, 100.0], [200.0, 300.0]]]), 1.0, 2.0), 4)
    assert new.hu[0].tolist() == [[-1000, 0, 100, -1000]] * 2 + [[-1000, 200, 300, -1000]] * 2


def test_headers_stay():
    volume = Volume(np.zeros((2, 3, 3), np.float32), np.eye(4), ({"a": 1}, {"b": 2}))
    assert to_square_grid(volume, 5).headers == volume.headers


@pytest.mark.parametrize("size", [0, -3])
def test_no_pixel(size):
    with pytest.raises(UsageError, match=f"size is {size}"):
        to_square_grid(placed(np.zeros((1, 2, 2)), 1.0, 1.0), size)
