"""From an array and its description to a sinogram: every key does what it says, and none may be missing."""

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
import torch

import ctresample
from ctresample.data_tools.importers import import_sinogram
from ctresample.errors import SinogramError
from ctresample.geometry import ConeBeam, FanBeam, ImageGrid, ParallelBeam, VolumeGrid

REAL_SCAN = Path(ctresample.__file__).parent / "demo_data" / "htc2022_tb_stitched.npz"


@pytest.fixture(scope="module", autouse=True)
def one_thread(in_one_thread):
    """Images this small only make threads wait for each other."""
    with in_one_thread():
        yield


@pytest.fixture
def imported(tmp_path):
    """Import an array with a sidecar beside it; returns the sinogram and the notes."""

    def run(values, facts):
        notes = []
        np.save(tmp_path / "a.npy", values)
        (tmp_path / "a.json").write_text(json.dumps(facts))
        found = import_sinogram(tmp_path / "a.npy", on_note=notes.append)
        return found, [
            note for note in notes if not note.startswith("doubtful: ")
        ]  # of 6 views of noise there are some

    return run


def test_all_is_as_described(imported, scan):
    found, notes = imported(scan.values, scan.facts)
    assert notes == []
    np.testing.assert_array_equal(found.values, scan.values[None])
    np.testing.assert_allclose(found.geometry.angles_rad, np.arange(6) * math.pi / 3)
    assert found.geometry == FanBeam(
        found.geometry.angles_rad, 5, 2.0, source_to_axis_mm=100.0, source_to_detector_mm=200.0
    )
    assert found.grid == ImageGrid((4, 6), 1.0)
    assert (found.photons, found.mu_water_per_mm, found.electronic_noise) == (1e4, 0.02, 0.0)
    assert found.origin == "measured; imported from NumPy file (NPY)"


def test_place_in_space(imported, scan):
    """Columns to the right, rows down, slices up, the rotation axis in the middle; an off-centre image is shifted."""
    scan.facts["image"]["centre_mm"] = [10.0, 20.0]
    found, _ = imported(scan.values, scan.facts)
    for column, row, x, y in ((0, 0, 7.5, -21.5), (5, 3, 12.5, -18.5)):
        np.testing.assert_allclose(found.affine @ [column, row, 0, 1], [x, y, 0, 1])
    np.testing.assert_allclose(found.affine @ [0, 0, 2, 1], [7.5, -21.5, 6, 1])
    assert np.linalg.det(found.affine) > 0


@pytest.mark.parametrize("axes", [*itertools.permutations(["slice", "view", "detector"]), ("view", "detector")])
def test_axes(imported, scan, axes):
    lengths = {"slice": 3, "view": 6, "detector": 5}
    values = np.random.default_rng(1).normal(size=[lengths[name] for name in axes]).astype(np.float32)
    found, _ = imported(values, scan.facts | {"axes": ", ".join(axes)})
    for index in itertools.product(*map(range, values.shape)):
        place = dict(zip(axes, index, strict=True))
        assert found.values[place.get("slice", 0), place["view"], place["detector"]] == values[index]


@pytest.mark.parametrize(
    "axes", ["view", "view,detector,slice", "view,view", "view,column", "", "row,view,detector", "slice,view"]
)
def test_axes_that_do_not_fit(imported, scan, axes):
    with pytest.raises(SinogramError, match=r"axes is .* for an array of shape \(6, 5\); expected each"):
        imported(scan.values, scan.facts | {"axes": axes})


def test_angles(imported, scan):
    angles = [0.0, 10.0, -20.0, 400.0, 1.5, 2.5]
    scan.facts["geometry"] |= {"angles_deg": angles, "angle_direction": "clockwise"}
    found, _ = imported(scan.values, scan.facts)
    np.testing.assert_allclose(np.degrees(found.geometry.angles_rad), np.negative(angles))
    scan.facts["geometry"]["angles_deg"] = {"start_deg": 10, "stop_deg": 20, "n_views": 6, "endpoint": True}
    del scan.facts["geometry"]["angle_direction"]
    found, notes = imported(scan.values, scan.facts)
    np.testing.assert_allclose(np.degrees(found.geometry.angles_rad), [10, 12, 14, 16, 18, 20])
    assert notes == ["angles are taken to run counterclockwise in the image; if not, add angle_direction: clockwise"]


def test_rotation_axis_bin(imported, scan):
    """A needle on the axis shows in the bin that is named, in every view."""
    scan.facts["geometry"] = {
        "type": "parallel",
        "angles_deg": [0, 30, 60, 90, 120, 150],
        "detector_pitch_mm": 2.0,
        "rotation_axis_bin": 3.25,
    }
    found, _ = imported(scan.values, scan.facts)
    assert isinstance(found.geometry, ParallelBeam)
    assert np.interp(0, found.geometry.detector_mm, np.arange(5)) == pytest.approx(3.25)
    scan.facts["geometry"]["detector_offset_mm"] = 0.0
    with pytest.raises(SinogramError, match="rotation_axis_bin and detector_offset_mm say the same"):
        imported(scan.values, scan.facts)


def test_offsets_and_curved_detectors(imported, scan):
    offsets = {"detector_offset_mm": 0.5, "axis_offset_mm": -0.25}
    scan.facts["geometry"] |= offsets | {"detector_shape": "curved", "n_detectors": 5}
    scan_found = imported(scan.values, scan.facts)[0].geometry
    assert scan_found.detector_shape == "curved"
    assert (scan_found.detector_offset_mm, scan_found.axis_offset_mm) == (0.5, -0.25)


def cone_facts(scan):
    scan.facts["axes"] = "view,row,detector"
    scan.facts["geometry"] |= {"type": "cone", "detector_row_pitch_mm": 3.0, "detector_row_offset_mm": 4.0}
    del scan.facts["geometry"]["detector_shape"]
    return np.random.default_rng(1).normal(size=(6, 2, 5)).astype(np.float32)


def test_cone(imported, scan):
    values = cone_facts(scan)
    scan.facts["image"] |= {"slices": 2, "slice_step_mm": 1.5, "centre_mm": [0.0, 0.0, 7.0]}
    found, _ = imported(values, scan.facts)
    assert isinstance(found.geometry, ConeBeam)
    assert (found.geometry.n_detector_rows, found.geometry.detector_row_offset_mm) == (2, 4.0)
    np.testing.assert_array_equal(found.values, values.swapaxes(0, 1))
    assert found.grid == VolumeGrid((2, 4, 6), 1.0, 1.5, (0.0, 0.0, 7.0))
    np.testing.assert_allclose(found.affine @ [0, 0, 1, 1], [-2.5, -1.5, 7.75, 1])


# ---------------------------------------------------------------- the grid that is chosen


def test_grid_of_a_parallel_beam(imported, scan):
    del scan.facts["image"]
    scan.facts["geometry"] = {"type": "parallel", "angles_deg": [0] * 6, "detector_pitch_mm": 2.0}
    found, notes = imported(scan.values, scan.facts)
    assert found.grid == ImageGrid((5, 5), 2.0)
    assert "no image grid is given: 5 x 5 pixels of 2 mm, the detector's field of view" in notes


@pytest.mark.parametrize("shape", ["flat", "curved"])
@pytest.mark.parametrize("axis_offset_mm", [0.0, 4.0])
def test_grid_of_a_fan(imported, scan, shape, axis_offset_mm):
    """Its inner circle is what the outermost edges of the detector just see."""
    del scan.facts["image"]
    scan.facts["geometry"] |= {"detector_shape": shape, "axis_offset_mm": axis_offset_mm, "detector_pitch_mm": 6.0}
    found, _ = imported(scan.values, scan.facts)
    finer = found.geometry.with_bins_split(1001)
    points, directions = finer.rays(0)
    distances = np.abs(points[:, 0] * directions[:, 1] - points[:, 1] * directions[:, 0])
    assert found.grid.pixel_size_mm == 3.0
    assert abs(found.grid.shape[0] * 3.0 / 2 - distances.max()) < 1.6
    assert found.grid.shape[0] * 3.0 / 2 >= distances.max() - 0.01


def test_grid_of_a_cone(imported, scan):
    values = cone_facts(scan)
    del scan.facts["image"], scan.facts["slice_step_mm"]
    found, notes = imported(values, scan.facts)
    assert found.grid == VolumeGrid((2, 5, 5), 1.0, 1.5, (0.0, 0.0, 2.0))
    assert any("2 x 5 x 5 voxels of 1.5 x 1 x 1 mm" in note for note in notes)


# ---------------------------------------------------------------- what may be missing, and what not

NEEDED = {
    "quantity": ["quantity"],
    "axes": ["axes"],
    "mu_water_per_mm": ["mu_water_per_mm"],
    "geometry": ["geometry"],
    "geometry.type": ["geometry", "type"],
    "geometry.angles_deg": ["geometry", "angles_deg"],
    "geometry.detector_shape": ["geometry", "detector_shape"],
    "geometry.detector_pitch_mm": ["geometry", "detector_pitch_mm"],
    "geometry.source_to_axis_mm": ["geometry", "source_to_axis_mm"],
    "geometry.source_to_detector_mm": ["geometry", "source_to_detector_mm"],
    "geometry.angles_deg.endpoint": ["geometry", "angles_deg", "endpoint"],
    "image.pixel_size_mm": ["image", "pixel_size_mm"],
}


@pytest.mark.parametrize("key", NEEDED)
def test_never_guessed(imported, scan, key):
    *outer, last = NEEDED[key]
    inner = scan.facts
    for name in outer:
        inner = inner[name]
    del inner[last]
    with pytest.raises(SinogramError, match=rf"a.npy: {key} is not known and is never guessed; add {key} .*a.json"):
        imported(scan.values, scan.facts)


def test_without_any_sidecar(tmp_path, scan):
    np.save(tmp_path / "a.npy", scan.values)
    with pytest.raises(SinogramError, match=r"to a sidecar \(a.json or .yaml beside it, or --geometry\)"):
        import_sinogram(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda facts: facts.update(pixel=1), "pixel: Extra inputs"),
        (lambda facts: facts["geometry"].update(rotation_axis=1.0), "rotation_axis: Extra inputs"),
        (lambda facts: facts["geometry"].update(detector_pitch_mm="2"), "detector_pitch_mm: .*valid number, found '2'"),
        (lambda facts: facts["geometry"].update(detector_pitch_mm=-2.0), "detector_pitch_mm: .*greater than 0"),
        (lambda facts: facts["geometry"].update(type="helix"), "geometry: Input tag 'helix'"),
        (lambda facts: facts["geometry"].update(n_detectors=4), "n_detectors says 4, but the array has 5"),
        (lambda facts: facts["geometry"].update(angles_deg=[1, 2]), "angles_deg says 2, but the array has 6"),
        (lambda facts: facts["geometry"].update(source_to_axis_mm=300.0), "source_to_detector_mm is 200.0; expected"),
        (lambda facts: facts["image"].update(rows=900), "inside the image"),
        (lambda facts: facts["image"].update(rows=10**9), "image.rows"),
        (lambda facts: facts["image"].update(slices=2), "image.slices and image.slice_step_mm are for cone beams"),
        (lambda facts: facts.update(photons="many"), "photons"),
        (lambda facts: facts.update(photons=0), "photons"),
        (lambda facts: facts.update(quantity="counts"), "no open beam"),
        (lambda facts: facts.update(i0=1e5), "i0 is for counts, but quantity is line_integral"),
        (lambda facts: facts.update(dark=0), "dark is for counts"),
        (lambda facts: facts.update(electronic_noise=5, photons=None), "electronic_noise says nothing without photons"),
        (lambda facts: facts.update(array="a"), "is no NPZ file, and array names an array of one"),
    ],
)
def test_wrong(imported, scan, change, message):
    change(scan.facts)
    with pytest.raises(SinogramError, match=message):
        imported(scan.values, scan.facts)


def test_dates_are_words(tmp_path, scan):
    np.save(tmp_path / "a.npy", scan.values)
    (tmp_path / "a.yaml").write_text("origin: 2020-01-01\n")
    with pytest.raises(SinogramError, match="quantity is not known"):  # so all that was said is taken
        import_sinogram(tmp_path / "a.npy")


def test_what_is_told(imported, scan):
    for key in ("photons", "slice_step_mm"):
        del scan.facts[key]
    found, notes = imported(scan.values, scan.facts)
    assert found.photons is None
    assert notes == [
        "the thickness of the one slice is not given: 1 mm; add slice_step_mm",
        "the number of photons is not given: the values count as free of noise; add photons",
    ]
    scan.facts["photons"] = None
    assert len(imported(scan.values, scan.facts)[1]) == 1
    with pytest.raises(SinogramError, match="there are 3 slices, at an unknown distance; add slice_step_mm"):
        imported(np.stack([scan.values] * 3), scan.facts | {"axes": "slice,view,detector"})


def test_photons_from_the_noise(imported, scan):
    """Of counts drawn by NumPy, with a smooth object behind them."""
    s = np.linspace(-1, 1, 200)
    truth = np.broadcast_to(4 * np.sqrt(np.maximum(1 - s**2 * 1.1, 0)), (60, 200))
    counts = np.random.default_rng(5).poisson(2e4 * np.exp(-truth))
    scan.facts["geometry"] |= {"angles_deg": list(range(60)), "detector_pitch_mm": 0.1}
    facts = scan.facts | {"photons": "estimate", "quantity": "counts", "i0": 2e4}
    found, notes = imported(counts.astype(np.float32), facts)
    assert found.photons == pytest.approx(2e4, rel=0.2)
    assert notes[-1].startswith("photons estimated from the noise: ")
    with pytest.raises(SinogramError, match="a.npy: a noise level needs"):
        imported(
            scan.values,
            scan.facts | {"photons": "estimate", "geometry": scan.facts["geometry"] | {"angles_deg": [0] * 6}},
        )


# ---------------------------------------------------------------- counts, from arrays and pages


def test_counts_in_an_npz(tmp_path, scan):
    stack = np.stack([scan.values, scan.values / 2], axis=1)  # view, slice, detector
    dark, flat = np.arange(10.0).reshape(2, 5), 1e5 + np.arange(10.0).reshape(2, 5)
    counts = dark + (flat - dark) * np.exp(-stack.astype(np.float64))
    np.savez(tmp_path / "a.npz", counts=counts, flats=np.stack([flat - 1, flat + 1]), dark=dark)
    said = {"axes": "view,slice,detector", "quantity": "counts"}
    names = {"array": "counts", "flat_array": "flats", "dark_array": "dark"}
    (tmp_path / "a.json").write_text(json.dumps(scan.facts | said | names))
    found = import_sinogram(tmp_path / "a.npz")
    np.testing.assert_allclose(found.values, stack.swapaxes(0, 1), atol=1e-4)
    (tmp_path / "b.json").write_text(json.dumps(scan.facts | said | names | {"i0": 1e5}))
    with pytest.raises(SinogramError, match="i0 is given, and so are fields of each bin; leave i0 out"):
        import_sinogram(tmp_path / "a.npz", sidecar=tmp_path / "b.json")
    np.savez(tmp_path / "a.npz", counts=counts, flats=flat[:, :3], dark=dark)
    with pytest.raises(SinogramError, match=r"the flat field has shape \(2, 3\)"):
        import_sinogram(tmp_path / "a.npz")


def test_counts_in_pages(tmp_path, scan):
    folder = tmp_path / "pages"
    folder.mkdir()
    counts = np.round(1e4 * np.exp(-scan.values)).astype(np.uint16)
    for view, page in enumerate(counts):
        tifffile.imwrite(folder / f"{view}.tif", page[None])
    said = {"axes": "view,slice,detector", "quantity": "counts", "i0": 1e4}
    (tmp_path / "pages.json").write_text(json.dumps(scan.facts | said))
    found = import_sinogram(folder)
    np.testing.assert_allclose(found.values[0], -np.log(counts / 1e4), atol=1e-5)


def test_the_sidecar_has_the_last_word(tmp_path):
    sidecar = tmp_path / "g.json"
    sidecar.write_text(json.dumps({"mu_water_per_mm": 0.02, "geometry": {"detector_pitch_mm": 0.21}}))
    notes = []
    found = import_sinogram(REAL_SCAN, sidecar=sidecar, on_note=notes.append)
    assert found.geometry.detector_pitch_mm == 0.21
    assert f"geometry.detector_pitch_mm of {sidecar} replaces what the file itself says" in notes


# ---------------------------------------------------------------- where things come out


def chords(s, *, x, y, radius, angle):
    """Lengths within a disc of the parallel rays ``x cos + y sin = s``."""
    distance = s - (x * math.cos(angle) + y * math.sin(angle))
    return 2 * np.sqrt(np.maximum(radius**2 - distance**2, 0))


def brightest_lps(found):
    """Where the centre of mass of a reconstruction lies, in mm."""
    from ctresample.solvers.fbp import fbp

    image = fbp(torch.as_tensor(found.values)[:, None], found.geometry, found.grid)[0, 0].numpy()
    weights = np.where(image > image.max() / 2, image, 0)
    row, column = (float((weights * index).sum() / weights.sum()) for index in np.indices(image.shape))
    return found.affine @ [column, row, 0, 1]


@pytest.mark.parametrize("direction", ["counterclockwise", "clockwise"])
def test_a_disc_comes_out_in_its_place(imported, direction):
    """Right and above the axis as one sees the image: x and -y of LPS; the stated bin of the axis counts, too."""
    degrees = np.arange(0, 180, 2)
    s = (np.arange(100) - 47.5) * 0.5
    sign = 1 if direction == "counterclockwise" else -1
    values = [chords(s, x=8.0, y=5.0, radius=3.0, angle=sign * math.radians(angle)) for angle in degrees]
    facts = {
        "quantity": "line_integral",
        "axes": "view,detector",
        "geometry": {
            "type": "parallel",
            "angles_deg": degrees.tolist(),
            "angle_direction": direction,
            "detector_pitch_mm": 0.5,
            "rotation_axis_bin": 47.5,
        },
        "mu_water_per_mm": 0.02,
        "photons": None,
    }
    found, _ = imported(np.array(values, np.float32), facts)
    np.testing.assert_allclose(brightest_lps(found)[:2], [8, -5], atol=0.1)


def test_lodopab_comes_out_as_published(tmp_path):
    """By the geometry that made it (ODL): rows of an image run along x, columns along y, both upwards."""
    s = (np.arange(513) - 256) * (260 * math.sqrt(2) / 513)
    row, column = 250, 90
    x, y = ((index - 180.5) * 260 / 362 for index in (row, column))
    angles = (np.arange(1000) + 0.5) * math.pi / 1000
    lengths_m = np.array([chords(s, x=x, y=y, radius=12.0, angle=angle) for angle in angles]) / 1000
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["data"] = lengths_m[None].astype(np.float32)  # of an image of ones
    found = import_sinogram(tmp_path / "a.hdf5", preset="lodopab")
    every = slice(None, None, 20)
    scan = found.geometry.with_angles(found.geometry.angles_rad[every])
    fewer = replace(found, values=found.values[:, every], geometry=scan)
    place = np.linalg.solve(found.affine, brightest_lps(fewer))
    np.testing.assert_allclose(place[:2], [column, row], atol=0.2)


# ---------------------------------------------------------------- a real scan


def test_real_scan():
    """Angles run counterclockwise and the axis is in line to 0.05 mm: any other choice blurs the image."""
    from ctresample.solvers.fbp import fbp

    found = import_sinogram(REAL_SCAN, mu_water_per_mm=0.02)
    assert found.values.shape == (1, 549, 560)
    grid = ImageGrid((128, 128), 0.58)
    y = torch.as_tensor(found.values)[None, :, ::2]  # every second view, for speed

    def sharpness(sign=1, axis_offset_mm=0.0):
        scan = FanBeam(
            tuple(sign * np.array(found.geometry.angles_rad[::2])),
            560,
            0.2,
            source_to_axis_mm=410.66,
            source_to_detector_mm=553.74,
            axis_offset_mm=axis_offset_mm,
        )
        image = fbp(y, scan, grid, window="hann")[0, 0].numpy()
        return sum(float((part**2).sum()) for part in np.gradient(image))

    best = sharpness()
    assert best > 1.02 * sharpness(-1)
    assert best > 1.02 * sharpness(axis_offset_mm=0.25)
    assert best > 1.02 * sharpness(axis_offset_mm=-0.25)
