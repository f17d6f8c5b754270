"""The judge of the projectors must itself be right."""

import accuracy
import numpy as np
import pytest

from ctresample.geometry import FanBeam, ImageGrid, ParallelBeam

GRID = ImageGrid((32, 32), 1.5)
DISK = accuracy.Disk.inside(GRID)


@pytest.mark.parametrize("beam", [ParallelBeam, FanBeam])
def test_chords_of_a_disk_are_those_of_an_ellipse_with_equal_axes(beam, phantoms):
    geometry = beam.for_grid(GRID, 7)
    expected = phantoms.line_integrals(geometry, [phantoms.disk(1.0, DISK.centre_mm, DISK.radius_mm)])
    np.testing.assert_allclose(accuracy.line_integrals(geometry, DISK), expected, atol=1e-6)


def test_a_detector_offset_moves_the_chords():
    geometry = ParallelBeam((0.0,), 101, 1.0, detector_offset_mm=-7.0)
    chords = accuracy.line_integrals(geometry, accuracy.Disk((5.0, 40.0), 3.0))[0]
    assert chords.argmax() == 50 + 7 + 5
    assert chords.max() == pytest.approx(6.0)


def test_the_image_of_a_disk_has_its_area_and_centre():
    image = accuracy.disk_image(GRID, DISK)
    area = image.sum() * GRID.pixel_size_mm**2
    assert area == pytest.approx(np.pi * DISK.radius_mm**2, rel=1e-2)
    x = (image.sum(axis=0) * GRID.x_mm).sum() / image.sum()
    y = (image.sum(axis=1) * GRID.y_mm).sum() / image.sum()
    np.testing.assert_allclose((x, y), DISK.centre_mm, atol=0.05 * GRID.pixel_size_mm)


def test_the_disk_lies_inside_the_circle_that_fits_the_image():
    assert np.hypot(*DISK.centre_mm) + DISK.radius_mm < 16 * GRID.pixel_size_mm


def test_relative_error_of_a_scaled_array_is_the_scale():
    assert accuracy.relative_error(np.full(5, 1.25), np.ones(5)) == pytest.approx(0.25)


def test_adjoint_error_tells_a_transpose_from_one_that_is_off_by_a_hundredth():
    matrix = np.random.default_rng(1).random((6 * 9, 32 * 32))

    def forward(image):
        return (matrix @ image.ravel()).reshape(6, 9)

    def back(sinogram):
        return (matrix.T @ sinogram.ravel()).reshape(32, 32)

    assert accuracy.adjoint_error(forward, back, GRID, (6, 9)) < 1e-12
    # <Ax, y> is nearly |Ax| |y| when nothing is negative
    wrong = accuracy.adjoint_error(forward, lambda y: 1.01 * back(y), GRID, (6, 9))
    assert 5e-3 < wrong <= 1e-2 + 1e-9
