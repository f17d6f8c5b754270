"""Simulated scans: the right line integrals, the right noise, and nothing of the reconstruction's own matrix."""

from __future__ import annotations

import inspect
from contextlib import nullcontext
from dataclasses import MISSING, fields
from typing import get_type_hints

import numpy as np
import pytest
import torch

from ctresample.errors import GeometryError, SinogramError, UsageError
from ctresample.geometry import ConeBeam, FanBeam, ImageGrid, ParallelBeam, VolumeGrid
from ctresample.noise import Scanner
from ctresample.operators import SparseProjector
from ctresample.pipelines.scan import room
from ctresample.pipelines.scan.room import REFINEMENT
from ctresample.pipelines.scan.scan import Scan
from ctresample.pipelines.scan.simulate import simulate
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


@pytest.mark.parametrize("beam", ["parallel", "fan", "fan-curved"])
@pytest.mark.parametrize(
    "scanner",
    [Scanner(bow_tie_mm=130.0), Scanner(tube_current_modulation=0.5), Scanner(bow_tie_mm=160.0, blur_mm=4.0)],
    ids=str,
)
def test_residual_of_the_true_image_is_the_predicted_one(beam, scanner, phantoms):
    """What solvers see: the noise-free data against the noisy ones, over the sigma that these state."""
    volume, _ = water_disk(phantoms, n_slices=2)
    options = {"n_views": 60, "beam": beam, "size": 48}
    noisy = simulate(volume, photons=1e5, electronic_noise=10.0, scanner=scanner, **options)
    assert noisy.photons.shape == noisy.geometry.shape
    clean = simulate(volume, scanner=Scanner(blur_mm=scanner.blur_mm), **options)
    whitened = (noisy.values - clean.values) / noisy.sigma()
    n = whitened.size
    assert abs(whitened.mean()) * n**0.5 < 5 + n**0.5 / float(noisy.photons.min())
    assert whitened.var() == pytest.approx(1, abs=5 * (2 / n) ** 0.5 + 3 / float(noisy.photons.min()))
    # and in each of the regions where few and where many photons are sent
    for few in (True, False):
        part = whitened[:, (noisy.photons < np.median(noisy.photons)) == few]
        assert part.var() == pytest.approx(1, abs=6 * (2 / part.size) ** 0.5 + 3 / float(noisy.photons.min()))


def test_modulation_evens_out_the_views(phantoms):
    """An oblong object: views through its long side get more photons, and the mean stays."""
    grid = ImageGrid((48, 48), 6.0)
    oblong = phantoms.Ellipse(1000.0, (0.0, 0.0), (130.0, 60.0))
    volume = Volume((phantoms.image(grid, [oblong]) - 1000).astype(np.float32)[None], np.diag([6.0, 6.0, 2.0, 1.0]))
    options = {"n_views": 60, "size": 48, "photons": 1e5}
    scan = simulate(volume, scanner=Scanner(tube_current_modulation=1.0), **options)
    assert scan.photons.mean() == pytest.approx(1e5)
    assert scan.photons.argmax() // scan.geometry.n_detectors == 30  # along x, at 90 degrees
    fewest = (scan.photons * np.exp(-scan.values[0])).min(axis=1)
    plain = simulate(volume, **options)
    assert fewest.std() < 0.2 * (plain.photons * np.exp(-plain.values[0])).min(axis=1).std()


def test_blur_and_crosstalk_soften_edges(phantoms):
    volume, _ = water_disk(phantoms)
    options = {"n_views": 8, "size": 48}
    sharp = simulate(volume, **options).values
    for scanner in (Scanner(blur_mm=6.0), Scanner(crosstalk=0.2)):
        soft = simulate(volume, scanner=scanner, **options).values
        assert np.abs(np.diff(soft)).max() < np.abs(np.diff(sharp)).max()
        assert phantoms.relative(soft, sharp) < 0.2


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


def ball(size: int, pixel_mm: float, step_mm: float, n_slices: int, centre: tuple, radius: float) -> Volume:
    """A ball of water in air; centre in the axes of the geometry, slices from low to high."""
    n = 4
    grid = VolumeGrid((n_slices * n, size * n, size * n), pixel_mm / n, step_mm / n)
    z, y, x = np.meshgrid(*grid.axes_mm, indexing="ij", sparse=True)
    inside = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2 < radius**2
    share = inside.reshape(n_slices, n, size, n, size, n).mean(axis=(1, 3, 5))
    return Volume((1000 * share + AIR_HU).astype(np.float32), np.diag([pixel_mm, pixel_mm, step_mm, 1.0]))


def test_cone(phantoms):
    """A ball that is no slice's: the chord of each ray of the panel."""
    centre, radius = np.array([12.0, -20.0, 6.0]), 36.0
    volume = ball(40, 4.0, 3.0, 30, tuple(centre), radius)
    shares = []
    sinogram = simulate(volume, n_views=5, beam="cone", size=40, progress=shares.append)
    assert sinogram.geometry == ConeBeam.for_grid(VolumeGrid((30, 40, 40), 4.0, 3.0), 5)
    assert sinogram.grid == VolumeGrid((30, 40, 40), 4.0, 3.0)
    assert sinogram.n_slices == 30
    assert shares == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert "60 x 80 x 80 pixels" in sinogram.origin
    assert "4 rays" in sinogram.origin
    g = sinogram.geometry
    expected = np.empty(g.shape)
    for view, angle in enumerate(g.angles_rad):
        u, along = np.array([np.cos(angle), np.sin(angle), 0]), np.array([-np.sin(angle), np.cos(angle), 0])
        source = -g.source_to_axis_mm * along
        s, h = g.detector_mm[None, :, None], g.detector_rows_mm[:, None, None]
        ray = g.source_to_detector_mm * along + s * u + h * np.array([0, 0, 1])
        ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
        to_centre = centre - source
        distance_squared = (to_centre**2).sum() - (ray @ to_centre) ** 2
        expected[:, view] = MU_WATER_PER_MM * 2 * np.sqrt(np.maximum(radius**2 - distance_squared, 0))
    assert phantoms.relative(sinogram.values, expected) < 0.05  # its wall is jagged


def test_helix(phantoms):
    """A ball is seen by closed-form rays; a rod that the series cuts off goes on beyond its ends."""
    centre, radius = (12.0, -20.0, 6.0), 36.0
    volume = ball(40, 4.0, 3.0, 30, centre, radius)
    shares = []
    sinogram = simulate(volume, n_views=8, beam="helical", size=40, pitch=0.8, progress=shares.append)
    geometry = sinogram.geometry
    assert (sinogram.grid, sinogram.n_slices) == (VolumeGrid((30, 40, 40), 4.0, 3.0), 30)
    assert (geometry.pitch, geometry.n_detector_rows, shares[-1]) == (pytest.approx(0.8), 13, 1)
    expected = phantoms.helical_integrals(geometry, [phantoms.Sphere(MU_WATER_PER_MM, centre, radius)])
    assert phantoms.relative(sinogram.values, expected) < 0.05  # its wall is jagged
    rod, _ = water_disk(phantoms, 32, 4.0, n_slices=2)
    seen = simulate(rod, n_views=8, beam="helical", size=32).values
    middle = seen[seen.shape[0] // 2 - 1 : seen.shape[0] // 2 + 1].max(axis=(0, 2))
    assert middle.min() > 0.99 * middle.max()


def test_noise_of_a_cone(phantoms):
    volume = ball(16, 8.0, 8.0, 6, (0, 0, 0), 30.0)
    options = {"n_views": 24, "beam": "cone", "size": 16}
    clean = simulate(volume, **options)
    noisy = simulate(volume, photons=1e5, scanner=Scanner(bow_tie_mm=100.0, tube_current_modulation=0.5), **options)
    assert noisy.photons.shape == (24, noisy.geometry.n_detectors)
    whitened = (noisy.values - clean.values) / noisy.sigma()
    assert whitened.var() == pytest.approx(1, abs=5 * (2 / whitened.size) ** 0.5)
    assert not np.array_equal(noisy.values[0], noisy.values[1])


def test_geometry_of_your_own(phantoms):
    """Views out of order on a detector that is shifted and too short."""
    volume, disk = water_disk(phantoms, 96)
    geometry = ParallelBeam((2.0, 0.3, 1.1), 60, 4.0, detector_offset_mm=25.0)
    sinogram = simulate(volume, geometry=geometry, size=96)
    assert sinogram.geometry == geometry
    theta, s = np.array(geometry.angles_rad)[:, None], (np.arange(60) - 29.5) * 4.0 + 25.0
    x, y = disk[0].centre_mm
    distance = s - x * np.cos(theta) - y * np.sin(theta)
    expected = MU_WATER_PER_MM * 2 * np.sqrt(np.maximum(disk[0].half_axes_mm[0] ** 2 - distance**2, 0))
    assert phantoms.relative(sinogram.values[0], expected) < 0.02


def test_arc(phantoms):
    volume, _ = water_disk(phantoms, 16)
    sinogram = simulate(volume, n_views=4, beam="fan", arc_rad=2.0, size=16)
    assert sinogram.geometry.angles_rad == (0.0, 0.5, 1.0, 1.5)


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


def test_takes_what_a_scan_does(phantoms):
    """With the same defaults and types; but the views may be those of a geometry."""
    own = inspect.signature(simulate).parameters
    assert [name for name in own if name not in ("volume", "geometry", "seed", "progress")] == [
        one.name for one in fields(Scan)
    ]
    for one in fields(Scan):
        assert own[one.name].default == (None if one.default is MISSING else one.default), one.name
    of_scan, of_function = get_type_hints(Scan), get_type_hints(simulate)
    different = {name for name, hint in of_scan.items() if hint != of_function[name]}
    assert different == {"n_views"}
    volume, _ = water_disk(phantoms, 16, n_slices=2)
    options = {"n_views": 5, "beam": "fan", "arc_rad": "short", "detector_offset_mm": 1.5, "axis_offset_mm": -2.0}
    options |= {"source_to_axis_mm": 700.0, "source_to_detector_mm": 900.0, "size": 20, "photons": 1e4}
    options |= {"electronic_noise": 2.0, "scanner": Scanner(blur_mm=3.0), "stagger": 2}
    assert set(options) == set(of_scan) - {"pitch", "n_detector_rows"}
    told = simulate(volume, **options, seed=5)
    kept = Scan(**options).scan(volume, seed=5)
    assert np.array_equal(told.values, kept.values)
    assert (told.geometry, told.origin, told.angle_shifts_rad) == (kept.geometry, kept.origin, kept.angle_shifts_rad)
    assert told.geometry.axis_offset_mm == -2.0


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_views": 0}, UsageError, "views is 0"),
        ({"n_views": -1}, UsageError, "views is -1"),
        ({"beam": "helix"}, UsageError, "geometry is 'helix'; expected one of parallel, fan"),
        ({"size": 0}, UsageError, "size is 0"),
        ({"photons": 0.0}, UsageError, "photons is 0"),
        ({"photons": -5.0}, UsageError, "photons is -5"),
        ({"photons": 1e5, "electronic_noise": -1.0}, UsageError, "electronic_noise is -1"),
        ({"scanner": Scanner(bow_tie_mm=300.0)}, UsageError, "bow-tie filter for 300 mm of water.*state photons"),
        ({"scanner": Scanner(tube_current_modulation=0.5)}, UsageError, "state photons"),
        ({"n_views": None}, UsageError, "views is not stated"),
        ({"geometry": ParallelBeam((0.0,), 8, 1.0)}, UsageError, "geometry has its own views"),
        ({"n_views": None, "geometry": ParallelBeam((0.0,), 8, 1.0), "beam": "fan"}, UsageError, "own views, beam"),
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


def test_source_in_the_volume(phantoms):
    volume, _ = water_disk(phantoms, 8, n_slices=2)
    near = ConeBeam(
        (0.0,), 8, 3.0, source_to_axis_mm=15.0, source_to_detector_mm=90.0, n_detector_rows=2, detector_row_pitch_mm=3.0
    )
    with pytest.raises(GeometryError, match="lies inside the image"):
        simulate(volume, geometry=near, size=8)


def test_holes_in_the_volume(phantoms):
    volume, _ = water_disk(phantoms, 8)
    volume.hu[0, 4, 4] = np.nan
    with pytest.raises(SinogramError, match="NaN"):
        simulate(volume, n_views=4, size=8)


def test_many_slices_are_scanned_as_few_are():
    rng = np.random.default_rng(0)
    hu = rng.normal(0, 200, (2 * room.AT_ONCE + 1, 12, 12)).astype(np.float32)
    every, one = (simulate(Volume(part, np.diag([20, 20, 2, 1])), n_views=3, size=12) for part in (hu, hu[-1:]))
    np.testing.assert_array_equal(every.values[-1], one.values[0])


@pytest.mark.parametrize(("beam", "fits"), [("parallel", True), ("cone", False)])
def test_slices_of_their_own_need_no_room_for_all_of_them(beam, fits, monkeypatch):
    monkeypatch.setattr(room, "memory_bytes", lambda: 24 << 30)
    told = nullcontext() if fits else pytest.raises(UsageError, match="2000 slices .* takes over 36 GB")
    with told:
        room.check_room(2000, 512, 25, at_once=beam == "cone")
