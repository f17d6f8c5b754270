"""Sinogram files: what goes in comes out, and other programs find it."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ctresample.data_tools.sinogram.reading import read_sinogram, read_summary
from ctresample.data_tools.sinogram.schema import MAX_SIDE
from ctresample.data_tools.sinogram.writing import write_sinogram
from ctresample.errors import OutputError, SinogramError
from ctresample.geometry import ConeBeam, FanBeam, ImageGrid, ParallelBeam, VolumeGrid
from ctresample.sinogram import Sinogram

GRID = ImageGrid((8, 6), 1.25)
HEADER = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Døe^Jane"}]}, "00280010": {"vr": "US", "Value": [8]}}

OWN = "/entry/ctresample"
GEOMETRY = f"{OWN}/geometry"
VALUES = "/entry/instrument/detector/data"


def example(beam=FanBeam, n_slices=3, n_views=5, **changes):
    geometry = beam.for_grid(GRID, n_views)
    values = np.random.default_rng(1).normal(2, 1, (n_slices, *geometry.shape)).astype(np.float32)
    return replace(Sinogram(values, geometry, GRID, np.diag([1.25, 1.25, 2.5, 1])), **changes)


def same(a, b):
    np.testing.assert_array_equal(a.values, b.values)
    np.testing.assert_array_equal(a.affine, b.affine)
    assert a.values.dtype == b.values.dtype == np.float32
    assert isinstance(a.photons, np.ndarray) == isinstance(b.photons, np.ndarray)
    np.testing.assert_array_equal(a.photons, b.photons)
    assert replace(a, values=b.values, affine=b.affine, photons=b.photons) == b


@pytest.fixture
def path(tmp_path):
    return tmp_path / "scan.h5"


# ---------------------------------------------------------------- round trip

positive = st.floats(1e-6, 1e6)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


offset = st.floats(-1e3, 1e3)


@st.composite
def sinograms(draw):
    shape = draw(hnp.array_shapes(min_dims=3, max_dims=3, max_side=6))
    angles = tuple(draw(st.lists(st.floats(-1e3, 1e3), min_size=shape[1], max_size=shape[1])))
    kind = draw(st.sampled_from(["parallel", "flat", "curved", "cone"]))
    n_axes = 3 if kind == "cone" else 2
    sides = tuple(draw(st.lists(st.integers(1, MAX_SIDE), min_size=n_axes, max_size=n_axes)))
    centre = tuple(draw(st.lists(offset, min_size=n_axes, max_size=n_axes)))
    grid = (VolumeGrid if kind == "cone" else ImageGrid)(sides, draw(positive), draw(positive), centre)
    beam = {"angles_rad": angles, "n_detectors": shape[2], "detector_pitch_mm": draw(positive)}
    beam["detector_offset_mm"] = draw(offset)
    if kind != "parallel":
        to_axis = grid.radius_mm * draw(st.floats(1.001, 100))
        beam |= {"source_to_axis_mm": to_axis, "source_to_detector_mm": to_axis * draw(st.floats(1, 10))}
        beam["axis_offset_mm"] = draw(offset)
        assume(beam["source_to_detector_mm"] <= 1e9)  # longer is refused
    if kind == "curved":  # within 90 degrees
        reach = abs(beam["detector_offset_mm"]) + shape[2] * beam["detector_pitch_mm"]
        assume(reach < 1.5 * beam["source_to_detector_mm"])
    if kind == "cone":
        beam |= {"n_detector_rows": shape[0], "detector_row_pitch_mm": draw(positive)}
        beam["detector_row_offset_mm"] = draw(offset)
    shapes = {"flat": {"detector_shape": "flat"}, "curved": {"detector_shape": "curved"}}
    geometry = {"parallel": ParallelBeam, "cone": ConeBeam}.get(kind, FanBeam)(**beam, **shapes.get(kind, {}))
    n_slices = sides[0] if kind == "cone" else shape[0]
    affine = np.eye(4)
    affine[:3] = draw(hnp.arrays(np.float64, (3, 4), elements=st.floats(-1e6, 1e6)))
    affine[:3, :3] += np.eye(3) * 1e7  # no column is 0
    headers = st.lists(st.dictionaries(st.text(), json_values, max_size=3), min_size=n_slices, max_size=n_slices)
    headers = headers if n_slices < 10 else st.just([])
    steps = (
        st.lists(st.floats(0.1, 100), min_size=n_slices - 1, max_size=n_slices - 1) if kind != "cone" else st.nothing()
    )
    offsets = steps.map(lambda mm: tuple(np.cumsum([0.0, *mm]).tolist()))
    photons = hnp.arrays(np.float32, shape[1:], elements=st.floats(0.125, 1e6, width=32))
    return Sinogram(
        values=draw(hnp.arrays(np.float32, shape, elements=st.floats(-1e3, 1e3, width=32))),
        geometry=geometry,
        grid=grid,
        affine=affine,
        photons=draw(st.none() | positive | photons),
        electronic_noise=draw(st.floats(0, 1e3)),
        mu_water_per_mm=draw(positive),
        origin=draw(st.text()),
        headers=tuple(draw(st.just([]) | headers)),
        slice_offsets_mm=draw(st.none() | offsets),
    )


@settings(max_examples=60)
@given(sinograms())
def test_round_trip(sinogram):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "s.h5"
        write_sinogram(sinogram, path)
        same(read_sinogram(path), sinogram)


def test_round_trip_in_several_chunks(path, monkeypatch):
    """Also with views that do not fill the last chunk, and with headers of very different length."""
    monkeypatch.setattr("ctresample.data_tools.sinogram.nxtomo._CHUNK_VALUES", 40)
    monkeypatch.setattr("ctresample.data_tools.sinogram.writing._HEADERS_BYTES", 200)
    headers = tuple({"0020000D": {"vr": "UI", "Value": ["1." * n]}} for n in (1, 9, 60))
    sinogram = example(n_views=7, headers=headers)
    write_sinogram(sinogram, path)
    with h5py.File(path) as file:
        assert file[VALUES].chunks[0] < 7
        assert file[f"{OWN}/headers"].chunks == (1,)
    same(read_sinogram(path), sinogram)


def test_numbers_of_numpy_are_numbers(path):
    geometry = ParallelBeam(tuple(np.linspace(0, 1, 4, dtype=np.float32)), np.int64(5), np.float32(0.5))
    sinogram = Sinogram(np.ones((1, 4, 5), np.float32), geometry, GRID, np.eye(4, dtype=int), photons=np.float32(100))
    write_sinogram(sinogram, path)
    same(read_sinogram(path), sinogram)


def test_equal_sinograms_make_equal_files(tmp_path):
    for name in "ab":
        write_sinogram(example(headers=(HEADER,) * 3), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_summary(path):
    write_sinogram(example(photons=1e5, headers=(HEADER,) * 3), path)
    summary = read_summary(path)
    assert (summary.n_slices, summary.has_headers, summary.model.photons) == (3, True, 1e5)
    assert summary.model.software.startswith("ctresample ")


@pytest.mark.parametrize("beam", [ParallelBeam, FanBeam])
def test_other_programs_find_nxtomo(path, beam):
    """As its definition and the program nxtomo have it: frames [view, row, column], degrees, lengths with units."""
    sinogram = example(beam)
    write_sinogram(sinogram, path)
    with h5py.File(path) as file:
        assert file["entry/definition"][()] == b"NXtomo"
        classes = {name: file[name].attrs["NX_class"] for name in ("entry", "entry/instrument/detector", "entry/data")}
        assert list(classes.values()) == ["NXentry", "NXdetector", "NXdata"]
        plot, detector = file["entry/data"], file["entry/instrument/detector"]
        np.testing.assert_array_equal(plot[plot.attrs["signal"]], sinogram.values.swapaxes(0, 1))
        np.testing.assert_allclose(plot["rotation_angle"], np.degrees(sinogram.geometry.angles_rad))
        assert plot["rotation_angle"].attrs["units"] == "degree"
        np.testing.assert_array_equal(plot["image_key"], np.zeros(5))
        assert (detector["y_pixel_size"][()], detector["y_pixel_size"].attrs["units"]) == (2.5, "mm")
        assert ("distance" in detector) == (beam is FanBeam)
        if beam is FanBeam:
            assert detector["distance"][()] == pytest.approx(1085.6 - 595)
            assert file["entry/instrument/source/distance"][()] == -595


# ---------------------------------------------------------------- writing goes wrong


def only(folder):
    return [entry.name for entry in folder.iterdir()]


def test_never_overwrites(path):
    path.write_text("precious")
    with pytest.raises(OutputError, match=r"scan.h5 exists; delete it or choose another name"):
        write_sinogram(example(), path)
    assert path.read_text() == "precious"
    assert only(path.parent) == ["scan.h5"]


def test_dangling_link_is_not_overwritten(path):
    path.symlink_to("nowhere")
    with pytest.raises(OutputError, match="exists"):
        write_sinogram(example(), path)


def test_no_folder(tmp_path):
    with pytest.raises(OutputError, match=r"x/scan.h5 cannot be written \(No such file or directory\)"):
        write_sinogram(example(), tmp_path / "x" / "scan.h5")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_folder_without_permission(path):
    path.parent.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        write_sinogram(example(), path)
    path.parent.chmod(0o700)


def test_disk_full(path):
    """In a process of its own: HDF5 that cannot write kills the process that it runs in, at its end."""
    pytest.importorskip("resource")
    code = f"""
import resource, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from ctresample.data_tools.sinogram.writing import write_sinogram
from ctresample.errors import OutputError
from test_file import example
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    write_sinogram(example(), Path({str(path)!r}))
except OutputError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "File too large" in done.stdout
    assert only(path.parent) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"photons": 0.0}, "photons.number: Input should be greater than 0, found 0.0"),
        ({"mu_water_per_mm": float("nan")}, "mu_water_per_mm: .*finite"),
        ({"electronic_noise": -1.0}, "electronic_noise"),
        ({"affine": np.diag([1.0, 0, 1, 1])}, "no column of zeros"),
        ({"affine": np.ones((4, 4))}, "0, 0, 0, 1"),
        ({"affine": np.eye(3)}, "affine must be a finite 4 x 4 matrix"),
        ({"headers": ({"a": {1, 2}},) * 3}, "a DICOM header cannot be stored as JSON"),
        ({"headers": ({"a": float("inf")},) * 3}, "a DICOM header cannot be stored as JSON"),
        ({"origin": "\ud800"}, "Invalid JSON: .*hex escape"),
    ],
)
def test_what_no_file_may_say(path, changes, message):
    with pytest.raises(SinogramError, match=message):
        write_sinogram(example(**changes), path)
    assert only(path.parent) == []


# ---------------------------------------------------------------- files of others


def test_files_of_other_programs(path):
    """Plain h5py without chunks, text of variable length, and no NXtomo around it."""
    sinogram = example(ParallelBeam)
    ours = path.with_name("ours.h5")
    write_sinogram(example(), ours)
    with h5py.File(ours) as made, h5py.File(path, "w") as file:
        document = json.loads(made[GEOMETRY][()])
        document["scan"] = {
            "type": "parallel2d",
            "angles_rad": list(sinogram.geometry.angles_rad),
            "n_detectors": sinogram.geometry.n_detectors,
            "detector_pitch_mm": sinogram.geometry.detector_pitch_mm,
            "detector_offset_mm": 0,
        }
        file[GEOMETRY], file[f"{OWN}/schema_version"] = json.dumps(document), 2
        file[VALUES] = sinogram.values.swapaxes(0, 1)
    same(read_sinogram(path), sinogram)


# ---------------------------------------------------------------- version 1

VERSION_1 = {
    "scan": {
        "type": "fanflat2d",
        "angles_rad": [0.0, 1.5, 3.0],
        "n_detectors": 4,
        "detector_pitch_mm": 2.0,
        "source_to_axis_mm": 500.0,
        "source_to_detector_mm": 1000.0,
    },
    "grid": {"shape": [6, 8], "pixel_size_mm": 1.5},
    "affine_lps_mm": [[1.5, 0.0, 0.0, -5.0], [0.0, 1.5, 0.0, -4.0], [0.0, 0.0, 2.0, 7.0], [0.0, 0.0, 0.0, 1.0]],
    "quantity": "line_integral",
    "photons": 1e4,
    "electronic_noise": 3.0,
    "mu_water_per_mm": 0.02,
    "origin": "by hand",
    "software": "ctresample 0.1.0",
}


def write_version_1(path, document=VERSION_1):
    with h5py.File(path, "w") as file:
        file[GEOMETRY], file[f"{OWN}/schema_version"] = json.dumps(document), 1
        file[VALUES] = np.arange(24, dtype=np.float32).reshape(3, 2, 4)


def test_version_1_means_no_offsets(path):
    write_version_1(path)
    found = read_sinogram(path)
    assert found.geometry == FanBeam((0.0, 1.5, 3.0), 4, 2.0, source_to_axis_mm=500.0, source_to_detector_mm=1000.0)
    assert found.grid == ImageGrid((6, 8), 1.5)
    assert (found.photons, found.electronic_noise, found.mu_water_per_mm, found.origin) == (1e4, 3.0, 0.02, "by hand")
    np.testing.assert_array_equal(found.values[1], [[4, 5, 6, 7], [12, 13, 14, 15], [20, 21, 22, 23]])
    np.testing.assert_array_equal(found.affine, VERSION_1["affine_lps_mm"])
    assert read_summary(path).version == 1


def test_version_1_of_a_parallel_beam(path):
    scan = {key: VERSION_1["scan"][key] for key in ("angles_rad", "n_detectors", "detector_pitch_mm")}
    write_version_1(path, VERSION_1 | {"scan": scan | {"type": "parallel2d"}, "photons": None})
    assert read_sinogram(path).geometry == ParallelBeam((0.0, 1.5, 3.0), 4, 2.0)


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        ("scan", {"detector_offset_mm": 0.5}, "detector_offset_mm is no key of schema version 1; write 2 into"),
        ("grid", {"centre_mm": [0.0, 0.0]}, "centre_mm is no key of schema version 1"),
        ("scan", {"type": "fancurved2d"}, "detector_offset_mm: Field required"),
        ("scan", {"type": ["fanflat2d"]}, "scan"),
        ("scan", {"pitch": 1.0}, "pitch: Extra inputs"),
    ],
)
def test_version_1_stays_strict(path, part, changes, message):
    write_version_1(path, VERSION_1 | {part: VERSION_1[part] | changes})
    with pytest.raises(SinogramError, match=message):
        read_sinogram(path)


def test_cone_beam(path):
    """Frames hold the detector's rows, and the slices are those of the volume."""
    grid = VolumeGrid((5, 6, 7), 1.0, 2.0, (0.5, 0.0, -1.0))
    geometry = ConeBeam.for_grid(grid, 4)
    values = np.random.default_rng(0).normal(size=geometry.shape).astype(np.float32)
    affine = np.diag([1.0, 1, 2, 1])
    sinogram = Sinogram(values, geometry, grid, affine, headers=(HEADER,) * 5)
    write_sinogram(sinogram, path)
    same(read_sinogram(path), sinogram)
    assert read_summary(path).n_slices == 5
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file[VALUES][3, 1], values[1, 3])
        assert file["entry/instrument/detector/y_pixel_size"][()] == geometry.detector_row_pitch_mm
        assert file["entry/instrument/source/distance"][()] == -595
        shorter = file[VALUES][:, :-1]
    with h5py.File(path, "r+") as file:
        del file[VALUES]
        file[VALUES] = shorter
    with pytest.raises(SinogramError, match=rf"expected \(4 views, {len(values)} detector rows, "):
        read_sinogram(path)


def test_needs_no_torch():
    modules = "ctresample.data_tools.sinogram.reading, ctresample.data_tools.sinogram.writing"
    code = f"import sys, {modules}; assert not {{'torch', 'scipy'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
