"""DXchange, NXtomo and LoDoPaB-CT files as their programs write them."""

import json
import math

import h5py
import numpy as np
import pytest

from ctresample.data_tools.importers import import_sinogram
from ctresample.data_tools.sinogram.writing import write_sinogram
from ctresample.errors import SinogramError
from ctresample.geometry import ConeBeam, FanBeam, ImageGrid, ParallelBeam
from ctresample.sinogram import Sinogram

VIEWS, ROWS, COLUMNS = 4, 3, 5
TRUTH = np.random.default_rng(6).uniform(0, 2, (VIEWS, ROWS, COLUMNS))
DARK = np.random.default_rng(7).uniform(50, 60, (ROWS, COLUMNS))
FLAT = np.random.default_rng(8).uniform(9e4, 1e5, (ROWS, COLUMNS))
COUNTS = DARK + (FLAT - DARK) * np.exp(-TRUTH)
THETA = np.array([0.0, 45.0, 90.0, 135.0])
PARALLEL = {"type": "parallel", "detector_pitch_mm": 0.5, "angle_direction": "clockwise"}
SAID = {"mu_water_per_mm": 0.02, "photons": 1e5, "slice_step_mm": 0.5}


def imported(path, said, **options):
    notes = []
    path.with_suffix(".json").write_text(json.dumps(said))
    return import_sinogram(path, on_note=notes.append, **options), notes


# ---------------------------------------------------------------- DXchange


def dxchange(path, *, white=True, **theta):
    with h5py.File(path, "w") as file:
        file["exchange/data"] = COUNTS.astype(np.float32)
        if white:
            file["exchange/data_white"] = np.stack([FLAT - 5, FLAT + 5]).astype(np.float32)
            file["exchange/data_dark"] = np.stack([DARK] * 3).astype(np.float32)
        file["exchange/theta"] = theta.pop("values", THETA)
        file["exchange/theta"].attrs.update(theta)
    return path


def test_dxchange(tmp_path):
    found, notes = imported(dxchange(tmp_path / "a.h5"), SAID | {"geometry": PARALLEL})
    np.testing.assert_allclose(found.values, TRUTH.swapaxes(0, 1), atol=1e-4)
    np.testing.assert_allclose(np.degrees(found.geometry.angles_rad), -THETA)
    assert isinstance(found.geometry, ParallelBeam)
    assert any("theta names no unit: in degrees" in note for note in notes)


def test_units_of_theta(tmp_path):
    found, _ = imported(
        dxchange(tmp_path / "a.h5", values=np.radians(THETA), units="radians"), SAID | {"geometry": PARALLEL}
    )
    np.testing.assert_allclose(np.degrees(found.geometry.angles_rad), -THETA)
    with pytest.raises(SinogramError, match="theta is in 'gon'; expected one of deg"):
        imported(dxchange(tmp_path / "b.h5", units="gon"), SAID | {"geometry": PARALLEL})


def test_dxchange_without_flats_must_be_explained(tmp_path):
    path = dxchange(tmp_path / "a.h5", white=False)
    with pytest.raises(SinogramError, match=r"add quantity \(line_integral, transmission or counts\)"):
        imported(path, SAID | {"geometry": PARALLEL})
    found, _ = imported(path, SAID | {"geometry": PARALLEL, "quantity": "counts", "i0": 1e5, "dark": 55.0})
    np.testing.assert_allclose(found.values, -np.log((COUNTS - 55) / (1e5 - 55)).swapaxes(0, 1), atol=1e-5)


# ---------------------------------------------------------------- NXtomo


def nxtomo(path, *, entry="entry", lengths=(), unit="m", keys=(2, 1, 0, 0, 1, 0, 3, 0), degree="degree"):
    frames = {1: FLAT, 2: DARK, 3: np.full((ROWS, COLUMNS), np.nan)}
    views, angles, all_frames = iter(COUNTS), iter(THETA), []
    rotation = [next(angles) if key == 0 else -1.0 for key in keys]
    all_frames = [next(views) if key == 0 else frames[key] for key in keys]
    with h5py.File(path, "w") as file:
        place = f"{entry}/instrument"
        file[f"{place}/detector/data"] = np.array(all_frames, np.float32)
        file[f"{place}/detector/image_key"] = np.array(keys)
        file[f"{entry}/sample/rotation_angle"] = rotation
        file[f"{entry}/sample/rotation_angle"].attrs["units"] = degree
        for name, value in dict(lengths).items():
            file[f"{place}/{name}"] = value
            file[f"{place}/{name}"].attrs["units"] = unit
    return path


SIZES = {"detector/x_pixel_size": 5e-4, "detector/y_pixel_size": 7e-4}
DISTANCES = {"source/distance": -0.4, "detector/distance": 0.2}


@pytest.mark.parametrize("entry", ["entry", "entry1/tomo_entry"])
def test_nxtomo_parallel(tmp_path, entry):
    path = nxtomo(tmp_path / "a.nx", entry=entry, lengths=SIZES | DISTANCES)
    scan = {"type": "parallel", "angle_direction": "counterclockwise"}
    found, notes = imported(path, {"mu_water_per_mm": 0.02, "photons": None, "geometry": scan})
    np.testing.assert_allclose(found.values, TRUTH.swapaxes(0, 1), atol=1e-4)
    np.testing.assert_allclose(np.degrees(found.geometry.angles_rad), THETA)
    assert found.geometry.detector_pitch_mm == pytest.approx(0.5)
    assert found.affine[2, 2] == pytest.approx(0.7)
    assert "1 frames that image_key marks as invalid were left out" in notes


def test_nxtomo_flats_before_and_after_are_interpolated(tmp_path):
    path = nxtomo(tmp_path / "a.nx", lengths=SIZES, keys=(2, 1, 0, 0, 0, 0, 1))
    with h5py.File(path, "a") as file:
        frames = file["entry/instrument/detector/data"]
        for k, strength in zip(range(2, 7), (1, 5 / 6, 4 / 6, 0.5, 0.5), strict=True):
            frames[k] = DARK + strength * (frames[k] - DARK)
    scan = {"type": "parallel", "angle_direction": "counterclockwise"}
    found, notes = imported(path, {"mu_water_per_mm": 0.02, "photons": None, "geometry": scan})
    np.testing.assert_allclose(found.values, TRUTH.swapaxes(0, 1), atol=1e-4)
    assert "1 flat fields before the views and 1 after: interpolated in time" in notes


def test_nxtomo_cone(tmp_path):
    path = nxtomo(tmp_path / "a.nx", lengths=SIZES | DISTANCES)
    found, _ = imported(path, {"mu_water_per_mm": 0.02, "geometry": {"type": "cone"}})
    scan = found.geometry
    assert isinstance(scan, ConeBeam)
    assert (scan.source_to_axis_mm, scan.source_to_detector_mm) == pytest.approx((400, 600))
    assert (scan.detector_pitch_mm, scan.detector_row_pitch_mm) == pytest.approx((0.5, 0.7))
    np.testing.assert_allclose(found.values, TRUTH.swapaxes(0, 1), atol=1e-4)


def test_nxtomo_fan_needs_a_slice_step(tmp_path):
    """The height of a detector pixel is no distance of slices at the axis."""
    path = nxtomo(tmp_path / "a.nx", lengths=SIZES | DISTANCES)
    said = {"mu_water_per_mm": 0.02, "geometry": {"type": "fan", "detector_shape": "flat"}}
    with pytest.raises(SinogramError, match="there are 3 slices, at an unknown distance; add slice_step_mm"):
        imported(path, said)
    found, _ = imported(path, said | {"slice_step_mm": 0.45})
    assert isinstance(found.geometry, FanBeam)


@pytest.mark.parametrize(
    ("changes", "said", "message"),
    [
        ({"lengths": SIZES}, {}, "add geometry.type"),
        ({"lengths": SIZES}, {"geometry": {"type": "cone"}}, "add geometry.source_to_axis_mm"),
        ({}, {"geometry": {"type": "parallel"}}, "add geometry.detector_pitch_mm"),
        ({"lengths": SIZES, "unit": ""}, {"geometry": {"type": "parallel"}}, "add geometry.detector_pitch_mm"),
        (
            {"lengths": SIZES, "unit": "inch"},
            {"geometry": {"type": "parallel"}},
            "_pixel_size is in 'inch'; expected one of m, cm",
        ),
        ({"lengths": SIZES, "degree": ""}, {"geometry": {"type": "parallel"}}, "add geometry.angles_deg"),
        ({"lengths": SIZES, "keys": (0, 0, 0, 0)}, {"geometry": {"type": "parallel"}}, "add quantity"),
        ({"lengths": SIZES, "keys": (1, 2)}, {"geometry": {"type": "parallel"}}, "no frame .* is a projection"),
    ],
)
def test_nxtomo_that_says_too_little(tmp_path, changes, said, message):
    with pytest.raises(SinogramError, match=message):
        imported(nxtomo(tmp_path / "a.nx", **changes), {"mu_water_per_mm": 0.02} | said)


# ---------------------------------------------------------------- LoDoPaB-CT


def lodopab(path, shape=(2, 1000, 513)):
    values = np.random.default_rng(9).random(shape, np.float32)
    with h5py.File(path, "w") as file:
        file["data"] = values
    return values


def test_lodopab(tmp_path):
    values = lodopab(tmp_path / "a.hdf5")
    found = import_sinogram(tmp_path / "a.hdf5", preset="lodopab")
    np.testing.assert_allclose(found.values, values * 81.35858, rtol=1e-6)
    scan = found.geometry
    np.testing.assert_allclose(np.diff(scan.angles_rad), math.pi / 1000)
    assert scan.angles_rad[500] == pytest.approx(0.5 * math.pi / 1000)  # half a step off a quarter turn
    assert scan.n_detectors * scan.detector_pitch_mm == pytest.approx(260 * math.sqrt(2))
    assert (found.grid, found.photons) == (ImageGrid((362, 362), 260 / 362), 4096)


def test_lodopab_must_be_named(tmp_path):
    lodopab(tmp_path / "a.hdf5", (1, 10, 10))
    with pytest.raises(SinogramError, match="is it LoDoPaB-CT\\? then import --preset lodopab"):
        import_sinogram(tmp_path / "a.hdf5")
    with pytest.raises(SinogramError, match=r"/data has shape \(1, 10, 10\); expected \(slices, 1000, 513\)"):
        import_sinogram(tmp_path / "a.hdf5", preset="lodopab")
    np.save(tmp_path / "a.npy", np.ones((2, 2)))
    with pytest.raises(SinogramError, match="is no HDF5 file; preset lodopab"):
        import_sinogram(tmp_path / "a.npy", preset="lodopab")


# ---------------------------------------------------------------- refused


def test_our_own_file(tmp_path):
    grid = ImageGrid((4, 4), 1.0)
    scan = ParallelBeam.for_grid(grid, 2)
    write_sinogram(Sinogram(np.ones((1, *scan.shape), np.float32), scan, grid, np.eye(4)), tmp_path / "a.h5")
    with pytest.raises(SinogramError, match="is a ctresample sinogram already"):
        import_sinogram(tmp_path / "a.h5")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda file: None, "neither DXchange, NXtomo nor"),
        (lambda file: file.__setitem__("exchange/data", h5py.SoftLink("/x")), "/exchange/data is a soft link"),
        (lambda file: file.__setitem__("exchange", h5py.ExternalLink("b.h5", "/x")), "/exchange is an external link"),
        (lambda file: file.create_group("exchange/data"), "is a group; expected a data set"),
        (
            lambda file: file.create_dataset("exchange/data", (10_000, 1000, 1000), "f4", chunks=(1, 1, 1000)),
            "declares 40,000,000,000 bytes",
        ),
        (lambda file: file.create_dataset("exchange/data", data=np.ones((2, 3))), "expected 3 axes"),
        (lambda file: file.create_dataset("exchange/data", data=np.ones((1, 2, 3)) * 1j), "expected real"),
    ],
)
def test_refused(tmp_path, make, message):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        make(file)
    with pytest.raises(SinogramError, match=message):
        import_sinogram(tmp_path / "a.h5")


def test_a_length_in_another_file(tmp_path):
    """Not even eight bytes of it."""
    path = nxtomo(tmp_path / "a.nx")
    with h5py.File(path, "r+") as file:
        name = "entry/instrument/detector/x_pixel_size"
        file.create_dataset(name, (1,), "f8", external=[("/etc/passwd", 0, 8)]).attrs["units"] = "mm"
    with pytest.raises(SinogramError, match="are in other files"):
        imported(path, {"geometry": {"type": "parallel"}})
