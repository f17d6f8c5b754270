"""Simulated scans: the right line integrals, the right noise, and nothing of the reconstruction's own matrix."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctresample.errors import GeometryError, SinogramError, UsageError
from ctresample.geometry import FanBeam, ImageGrid, ParallelBeam
from ctresample.operators import SparseProjector
from ctresample.pipelines.simulate import REFINEMENT, simulate
from ctresample.regrid import to_square_grid
from ctresample.units import AIR_HU, MU_WATER_PER_MM, hu_to_mu
from ctresample.volume import Volume

BEAMS = pytest.mark.parametrize("beam", ["parallel", "fan"])


def water_disk(phantoms, size: int = 48, pixel_size_mm: float = 3.0, n_slices: int = 1) -> tuple[Volume, list]:
    grid = ImageGrid((size, size), pixel_size_mm)
    side = size * pixel_size_mm
    disk = [phantoms.disk(1000.0, (0.05 * side, -0.08 * side), 0.3 * side)]
    hu = phantoms.image(grid, disk) + AIR_HU
    affine = np.diag([pixel_size_mm, pixel_size_mm, 2.0, 1.0])
    in_mu = [phantoms.disk(MU_WATER_PER_MM, disk[0].centre_mm, disk[0].half_axes_mm[0])]
    return Volume(np.repeat(hu.astype(np.float32)[None], n_slices, axis=0), affine), in_mu


@BEAMS
@pytest.mark.parametrize("pixel_size_mm", [0.6, 3.0])
def test_line_integrals(beam, pixel_size_mm, phantoms):
    volume, disk = water_disk(phantoms, 96, pixel_size_mm)
    sinogram = simulate(volume, n_views=10, beam=beam, size=96)
    assert phantoms.relative(sinogram.values[0], phantoms.line_integrals(sinogram.geometry, disk)) < 0.015


@BEAMS
def test_geometry_and_grid(beam, phantoms):
    volume, _ = water_disk(phantoms)
    sinogram = simulate(volume, n_views=7, beam=beam, size=32)
    assert sinogram.grid == ImageGrid((32, 32), 48 * 3.0 / 32)
    kind = {"parallel": ParallelBeam, "fan": FanBeam}[beam]
    assert sinogram.geometry == kind.for_grid(sinogram.grid, 7)
    assert sinogram.values.shape == (1, *sinogram.geometry.shape)
    assert sinogram.values.dtype == np.float32
    assert sinogram.affine == pytest.approx(to_square_grid(volume, 32).affine)


def test_what_is_said_of_the_data(phantoms):
    volume, _ = water_disk(phantoms, 16, n_slices=2)
    volume = Volume(volume.hu, volume.affine, ({"a": 1}, {"b": 2}))
    sinogram = simulate(volume, n_views=3, size=16, photons=1e4, electronic_noise=3.0, seed=11)
    assert (sinogram.photons, sinogram.electronic_noise) == (1e4, 3.0)
    assert sinogram.headers == volume.headers
    for fact in ("simulated", f"{16 * REFINEMENT} x {16 * REFINEMENT}", "seed 11"):
        assert fact in sinogram.origin


@BEAMS
def test_no_inverse_crime(beam, phantoms):
    """The data differ from what the reconstruction's projector makes of the true image, but not by much."""
    volume, _ = water_disk(phantoms)
    sinogram = simulate(volume, n_views=10, beam=beam, size=48)
    A = SparseProjector(sinogram.geometry, sinogram.grid)
    own = A(torch.from_numpy(hu_to_mu(volume.hu))[None])[0, 0]
    assert 1e-3 < phantoms.relative(sinogram.values[0], own) < 3e-2


def test_noise_has_the_stated_variance(phantoms):
    volume, _ = water_disk(phantoms)
    clean = simulate(volume, n_views=60, size=48)
    noisy = simulate(volume, n_views=60, size=48, photons=1e5, electronic_noise=10.0)
    whitened = (noisy.values - clean.values) / noisy.sigma()
    n = whitened.size
    assert abs(whitened.mean()) * n**0.5 < 5
    assert abs(whitened.var() - 1) < 5 * (2 / n) ** 0.5


def test_a_slice_has_its_noise_whatever_comes_after_it(phantoms):
    volume, _ = water_disk(phantoms, 16, n_slices=3)
    options = {"n_views": 5, "size": 16, "photons": 1e3}
    three = simulate(volume, seed=1, **options).values
    assert np.array_equal(three, simulate(volume, seed=1, **options).values)
    first = simulate(Volume(volume.hu[:1], volume.affine), seed=1, **options).values
    assert np.array_equal(three[:1], first)
    assert not np.array_equal(three[0], three[1])
    assert not np.array_equal(first, simulate(Volume(volume.hu[:1], volume.affine), seed=2, **options).values)


@pytest.mark.parametrize("size", [16, 11])
def test_padding_below_air_is_air(size):
    """Scanners fill the corners with -2000 or less; beside tissue that must not eat into it."""
    hu = np.full((1, 16, 16), AIR_HU, np.float32)
    hu[:, 4:11, 5:13] = 40
    padded = np.where(hu == AIR_HU, -3024, hu).astype(np.float32)
    found, expected = (simulate(Volume(v, np.eye(4)), n_views=6, size=size).values for v in (padded, hu))
    assert found == pytest.approx(expected, abs=1e-6)


def test_oblong_image_with_oblong_pixels(phantoms):
    """A round object stays round."""
    grid = ImageGrid((96, 96), 2.0)
    disk = [phantoms.disk(1000.0, (0.0, 0.0), 40.0)]
    fine = phantoms.image(grid, disk)[:, 18:-18] + AIR_HU
    squeezed = fine.reshape(48, 2, 60).mean(axis=1)  # rows twice as high
    volume = Volume(squeezed.astype(np.float32)[None], np.diag([2.0, 4.0, 1.0, 1.0]))
    sinogram = simulate(volume, n_views=8, size=96)
    assert sinogram.grid == grid
    expected = phantoms.line_integrals(sinogram.geometry, [phantoms.disk(MU_WATER_PER_MM, (0.0, 0.0), 40.0)])
    assert phantoms.relative(sinogram.values[0], expected) < 0.05


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_views": 0}, UsageError, "views is 0"),
        ({"n_views": -1}, UsageError, "views is -1"),
        ({"beam": "helix"}, UsageError, "geometry is 'helix'; expected one of parallel, fan"),
        ({"size": 0}, UsageError, "size is 0"),
        ({"photons": 0.0}, UsageError, "photons is 0"),
        ({"photons": 1e5, "electronic_noise": -1.0}, UsageError, "electronic_noise is -1"),
    ],
    ids=str,
)
def test_options(options, error, message, phantoms):
    volume, _ = water_disk(phantoms, 8)
    with pytest.raises(error, match=message):
        simulate(volume, **({"n_views": 4, "size": 8} | options))


def test_image_past_the_source(phantoms):
    volume, _ = water_disk(phantoms, 8, pixel_size_mm=120.0)
    with pytest.raises(GeometryError, match="past the source"):
        simulate(volume, n_views=4, beam="fan", size=8)


def test_holes_in_the_volume(phantoms):
    volume, _ = water_disk(phantoms, 8)
    volume.hu[0, 4, 4] = np.nan
    with pytest.raises(SinogramError, match="NaN"):
        simulate(volume, n_views=4, size=8)
