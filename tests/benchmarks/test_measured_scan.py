"""The parts of the measured scan's benchmark that need no reconstruction, on images whose figures are known."""

import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ctresample.geometry import ImageGrid, ParallelBeam
from ctresample.operators import make_projector
from ctresample.pipelines.reconstruction.methods import METHODS
from ctresample.sinogram import Sinogram

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "quality"))
import measured_picture
import measured_scan
import trust_tables  # on the path by measured_scan

GRID = ImageGrid((32, 32), 1.0)
BEAM = ParallelBeam(tuple(np.radians([0, 20, 90, 120, 150])), 48, 1.0)


def disc(radius, value=0.03, hole=0.0):
    y, x = np.meshgrid(GRID.y_mm, GRID.x_mm, indexing="ij")
    r = np.hypot(x, y)
    return np.where((r < radius) & (r >= hole), value, 0.0)


def scan_of(values):
    return Sinogram(values.astype(np.float32), BEAM, GRID, np.eye(4), photons=1e4)


def test_misfit_of_each_view_counts_in_its_own_noise():
    A, image = make_projector(BEAM, GRID), np.zeros(GRID.shape)
    values = np.zeros((1, 5, 48))
    values[0, 1] = 0.02  # an empty image misses it by 0.02; its noise is sqrt(exp(0.02) / 1e4)
    found = measured_scan.misfit(image, scan_of(values), A)
    np.testing.assert_allclose(found, [0, 2 * np.exp(-0.01), 0, 0, 0], rtol=1e-5)


def test_an_image_does_not_miss_its_own_projection():
    A, image = make_projector(BEAM, GRID), disc(10)
    y = measured_scan.torch.from_numpy(image).float()[None, None]
    scan = replace(scan_of(np.zeros((1, 5, 48))), values=A(y)[:, 0].numpy())
    np.testing.assert_allclose(measured_scan.misfit(image, scan, A), 0, atol=1e-4)


def test_disc_has_its_holes_filled_and_no_specks():
    image = disc(12, hole=5)
    image[0, 0] = 0.03
    np.testing.assert_array_equal(measured_scan.disc(image), disc(12) > 0)


def test_relative_difference_is_that_inside():
    reference, inside = disc(10), disc(10) > 0
    image = 1.1 * reference
    image[~inside] = 7
    assert measured_scan.relative_difference(image, reference, inside) == pytest.approx(0.1)


def test_table_has_a_line_a_method_with_both_numbers_of_views():
    row = measured_scan.Row("tv", 55, 1.5, 2.004, 0.19, 0.021, 9.96)
    rows = [row, replace(row, method="resample"), replace(row, views=549, fitted_ratio=1.9, difference=0.0)]
    rows.append(replace(rows[2], method="resample", seconds=60))
    lines = trust_tables.measured([asdict(row) for row in rows]).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2] == "| TV | 1.50 | 2.00 ± 0.19 | 2.1% | 10.0 | 1.90 | 0.0% | 10.0 |"
    assert lines[3].startswith("| ReSample | 1.50 |") and lines[3].endswith("| 60.0 |")


def test_picture_is_small_and_shows_every_image(tmp_path):
    images = {(m, n): disc(10, 0.01 * (k + 1)) for k, m in enumerate(("FBP", "TV")) for n in (5, 50)}
    measured_picture.draw(images, GRID, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size < 400_000
    pixels = np.asarray(Image.open(tmp_path / "picture.png").convert("L")).astype(float)
    for k in (1, 2):  # each plastic's grey on the scale
        grey = 255 * 0.01 * k / measured_picture.BRIGHT
        assert (np.abs(pixels - grey) < 1.5).sum() > 2000


def test_every_classical_method_is_compared():
    assert set(measured_scan.ORDER) == {"resample"} | {name for name, method in METHODS.items() if not method.needs}


def test_sidecar_is_enough_for_the_scan_and_suits_the_prior():
    scan = measured_scan.import_sinogram(measured_scan.SCAN, sidecar=measured_scan.SIDECAR)
    assert scan.values.shape == (1, 549, 560) and scan.grid.shape == (256, 256)
    assert scan.grid.pixel_size_mm == pytest.approx(2 * 0.2 * 410.66 / 553.74, rel=1e-4)  # two bins at the axis
    assert scan.every(measured_scan.STEP).geometry.n_views == 55
    assert 6e4 < scan.photons < 1e5  # views differ in air by what 6e4 photons would, bins that share light by less
