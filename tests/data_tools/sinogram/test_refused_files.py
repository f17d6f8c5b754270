"""Files that are incomplete, damaged or hostile: none gets through, and each is refused by name."""

import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import pytest

from ctresample.data_tools.sinogram import hdf5_checks
from ctresample.data_tools.sinogram.reading import read_sinogram, read_summary
from ctresample.data_tools.sinogram.schema import MAX_SIDE
from ctresample.data_tools.sinogram.writing import write_sinogram
from ctresample.errors import SinogramError
from ctresample.geometry import FanBeam, ImageGrid
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


@pytest.fixture
def path(tmp_path):
    return tmp_path / "scan.h5"


def edited(change):
    """The bytes of a good file after a change by HDF5's own means."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "good.h5"
        write_sinogram(example(headers=(HEADER,) * 3), path)
        with h5py.File(path, "r+") as file:
            change(file)
        return path.read_bytes()


def put(name, value, **options):
    def change(file):
        if name in file:
            del file[name]
        file.create_dataset(name, data=value, **options)

    return change


def say(**changes):
    """Other JSON: ``a__b=1`` sets b within a, None removes."""

    def change(file):
        document = json.loads(file[GEOMETRY][()])
        for place, value in changes.items():
            *outer, last = place.split("__")
            inner = document
            for key in outer:
                inner = inner[key]
            inner[last] = value
            if value is ...:
                del inner[last]
        put(GEOMETRY, json.dumps(document))(file)

    return change


def removed(name):
    return lambda file: file.__delitem__(name)


def linked(name, link):
    def change(file):
        if name in file:
            del file[name]
        file[name] = link

    return change


def huge(file):
    del file[VALUES]
    file.create_dataset(VALUES, (100_000, 1000, 100), np.float32, chunks=(1, 1, 100), compression="gzip")


def huge_chunk(file):
    shape = file[VALUES].shape
    del file[VALUES]
    file.create_dataset(VALUES, shape, np.float32, chunks=(1000, 1000, 100), maxshape=(None,) * 3)


def huge_text(file):
    del file[GEOMETRY]
    space, kind = h5py.h5s.create(h5py.h5s.SCALAR), h5py.h5t.C_S1.copy()
    kind.set_size(2**30)
    h5py.h5d.create(file[OWN].id, b"geometry", kind, space)


def outside(file):
    shape = file[VALUES].shape
    del file[VALUES]
    file.create_dataset(VALUES, shape, np.float32, external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def virtual(file):
    shape = file[VALUES].shape
    del file[VALUES]
    layout = h5py.VirtualLayout(shape, np.float32)
    layout[:] = h5py.VirtualSource("other.h5", "data", shape)
    file.create_virtual_dataset(VALUES, layout)


def unwritten(file):
    values = file[VALUES][()]
    del file[VALUES]
    made = file.create_dataset(VALUES, values.shape, np.float32, chunks=(1, *values.shape[1:]))
    made[:3] = values[:3]


def never_written(file):
    shape = file[VALUES].shape
    del file[VALUES]
    file.create_dataset(VALUES, shape, np.float32)


def not_finite(file):
    file[VALUES][2, 1, 4] = np.nan


def other_angles(file):
    file["/entry/sample/rotation_angle"][1] += 1


def texts(*each):
    return np.array([text.encode() for text in each])


def values_of(shape, dtype=np.float32):
    return np.zeros(shape, dtype)


def photons_of(array):
    def change(file):
        say(photons="array")(file)
        file[OWN].create_dataset("photons", data=array)

    return change


N_DETECTORS = example().geometry.n_detectors
CONE = {
    "scan__type": "cone3d",
    "scan__n_detector_rows": 3,
    "scan__detector_row_pitch_mm": 1.0,
    "scan__detector_row_offset_mm": 0.0,
}
REFUSED = {
    "offsets of other slices": (put(f"{OWN}/slice_offsets_mm", [0.0, 1.0]), "slices but 2 slice offsets"),
    "offsets that fall": (put(f"{OWN}/slice_offsets_mm", [0.0, 2.0, 1.0]), "must begin with 0 and rise"),
    "offsets in words": (put(f"{OWN}/slice_offsets_mm", "0"), "slice_offsets_mm holds .* expected floating"),
    "no geometry": (removed(GEOMETRY), f"has no {GEOMETRY}: units and geometry are never guessed; .*simulate"),
    "no group": (removed(OWN), f"has no {GEOMETRY}: "),
    "no version": (removed(f"{OWN}/schema_version"), "has no /entry/ctresample/schema_version; expected 1 to 2"),
    "newer version": (put(f"{OWN}/schema_version", 3), "schema_version 3; expected 1 to 2; update ctresample"),
    "older version": (put(f"{OWN}/schema_version", 0), "schema_version 0; expected 1 to 2; make the file again"),
    "a version in words": (put(f"{OWN}/schema_version", "1"), "schema_version holds .* values; expected integer"),
    "several versions": (put(f"{OWN}/schema_version", [1, 2]), r"has shape \(2,\)"),
    "unknown data set": (put(f"{OWN}/headers", 1), "headers holds .* expected text"),
    "unknown entry": (lambda file: file[OWN].create_group("filter"), "holds 'filter'; expected only"),
    "geometry is a group": (lambda file: [removed(GEOMETRY)(file), file.create_group(GEOMETRY)], "is a group"),
    "geometry is numbers": (put(GEOMETRY, [1, 2]), "geometry holds int64 values; expected text"),
    "no JSON": (put(GEOMETRY, "{"), "geometry cannot be used: Invalid JSON"),
    "no UTF-8": (put(GEOMETRY, np.bytes_(b"\xff")), "geometry cannot be used: .*utf-8"),
    "JSON of another kind": (put(GEOMETRY, "[]"), "geometry cannot be used"),
    "a key too many": (say(detector_offset_mm=1.5), "detector_offset_mm: Extra inputs are not permitted, found 1.5"),
    "an inner key too many": (say(scan__pitch=1.5), "scan.fanflat2d.pitch: Extra"),
    "a key too few": (say(mu_water_per_mm=...), "mu_water_per_mm: Field required"),
    "several things": (say(photons=..., origin=...), r"Field required \(and 1 more\)"),
    "a number as text": (say(scan__detector_pitch_mm="1"), "detector_pitch_mm: .*valid number, found '1'"),
    "another geometry": (say(scan__type="helix3d"), "scan: .*'parallel2d', 'fanflat2d'"),
    "another quantity": (say(quantity="counts"), "quantity: Input should be 'line_integral', found 'counts'"),
    "a cone on a slice": (say(**CONE), "the grid is a slice; expected a VolumeGrid"),
    "a volume for a fan": (
        say(grid={"shape": [2, 3, 4], "pixel_size_mm": 1.0, "slice_step_mm": 1.0, "centre_mm": [0.0, 0.0, 0.0]}),
        "the grid is a volume; expected an ImageGrid",
    ),
    "photons said, not there": (say(photons="array"), "photons is missing, but .*geometry has it there"),
    "photons there, not said": (
        lambda file: file[OWN].create_dataset("photons", data=np.ones((5, N_DETECTORS), np.float32)),
        "photons is there, but .*geometry has it missing",
    ),
    "photons of other shape": (photons_of(np.ones((5, 2), np.float32)), r"photons have shape \(5, 2\); expected \(5, "),
    "no photons": (photons_of(np.zeros((5, N_DETECTORS), np.float32)), "numbers above 0"),
    "infinite photons": (photons_of(np.full((5, N_DETECTORS), np.inf, np.float32)), "photons holds NaN or infinite"),
    "no views": (say(scan__angles_rad=[]), "angles_rad"),
    "infinite angle": (say(scan__angles_rad=[float("inf")] * 5), "angles_rad"),
    "detector before the axis": (say(scan__source_to_detector_mm=1.0), "source_to_detector_mm is 1.0; expected"),
    "source in the image": (say(grid__pixel_size_mm=1e3), "inside the image"),
    "absurd grid": (say(grid__shape=[10**9, 10**9]), f"grid.image.shape.0: .*{MAX_SIDE}, found 1000000000"),
    "flat affine": (say(affine_lps_mm=[[0.0] * 4] * 4), "affine_lps_mm must end in the row"),
    "other angles": (other_angles, r"rotation_angle \(degrees\) differs"),
    "more angles": (put("/entry/sample/rotation_angle", np.zeros(6)), r"rotation_angle \(degrees\) differs"),
    "no values": (removed(VALUES), f"{VALUES} is not there; expected"),
    "views and geometry": (say(scan__angles_rad=[0.0] * 4), "differs from angles_rad"),
    "bins and geometry": (
        say(scan__n_detectors=3),
        rf"has shape \(5, 3, {N_DETECTORS}\); expected \(5 views, slices, 3",
    ),
    "two axes": (put(VALUES, values_of((5, N_DETECTORS))), "expected 3 axes"),
    "no slices": (put(VALUES, values_of((5, 0, N_DETECTORS))), "none of length 0"),
    "float64": (put(VALUES, values_of((5, 3, N_DETECTORS), np.float64)), "holds float64 values; expected float32"),
    "counts": (put(VALUES, values_of((5, 3, N_DETECTORS), np.uint16)), "holds uint16 values; expected float32"),
    "NaN": (not_finite, "slice 1 holds NaN"),
    "40 GB": (huge, r"declares 40,000,000,000 bytes in a file of [\d,]+; expected at most"),
    "a huge chunk": (huge_chunk, "declares 400,000,000 bytes"),
    "a huge text": (huge_text, "geometry declares 1,073,741,824 bytes"),
    "missing chunks": (unwritten, f"parts of {VALUES} were never written"),
    "missing values": (never_written, f"parts of {VALUES} were never written"),
    "soft link": (linked(VALUES, h5py.SoftLink("/entry/data/data")), f"{VALUES} is a soft link; expected the data"),
    "external link": (linked(GEOMETRY, h5py.ExternalLink("a.h5", "/x")), "geometry is an external link"),
    "linked group": (linked(OWN, h5py.ExternalLink("a.h5", "/x")), "/entry/ctresample is an external link"),
    "values in another file": (outside, "are in other files; expected all in one"),
    "virtual values": (virtual, "are in other files; expected all in one"),
    "another filter": (put(VALUES, values_of((5, 3, N_DETECTORS)), compression="lzf"), "HDF5 filter 32000; expected"),
    "too few headers": (put(f"{OWN}/headers", texts("{}", "{}")), r"headers has shape \(2,\); expected one text for 3"),
    "headers no JSON": (put(f"{OWN}/headers", texts("{}", "{", "{}")), "headers, slice 1, is no JSON object"),
    "headers with NaN": (put(f"{OWN}/headers", texts(*['{"a": NaN}'] * 3)), "headers, slice 0, is no JSON object"),
    "headers no objects": (put(f"{OWN}/headers", texts(*"123")), "headers, slice 0, is no JSON object"),
    "nested headers": (
        put(f"{OWN}/headers", texts(*["[" * 90000] * 3), compression="gzip"),
        "slice 0, is no JSON object",
    ),
    "headers of any length": (
        put(f"{OWN}/headers", ["{}"] * 3, dtype=h5py.string_dtype()),
        "headers holds object values; expected text of fixed",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(path, case):
    change, message = REFUSED[case]
    path.write_bytes(edited(change))
    with pytest.raises(SinogramError, match=message) as caught:
        read_sinogram(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert "Jane" not in str(caught.value)


@pytest.mark.parametrize("name", ["40 GB", "a huge chunk", "a huge text"])
def test_a_lie_about_the_size_costs_no_memory(path, name):
    resource = pytest.importorskip("resource")
    path.write_bytes(edited(REFUSED[name][0]))
    assert path.stat().st_size < 100_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for read in (read_sinogram, read_summary):
        with pytest.raises(SinogramError, match="declares"):
            read(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB


def test_larger_than_the_cap(path, monkeypatch):
    monkeypatch.setattr(hdf5_checks, "MAX_BYTES", 500)
    path.write_bytes(edited(lambda file: None))
    with pytest.raises(SinogramError, match="declares"):
        read_sinogram(path)


def text_file(path):
    path.write_text("views 25")


def npz(path):
    with path.open("wb") as out:
        np.savez(out, np.zeros(3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda path: None, "is not there; expected a sinogram file", id="missing"),
        pytest.param(Path.mkdir, "is a folder; expected a sinogram file", id="folder"),
        pytest.param(Path.touch, "is no HDF5 file; .* make one with `ctresample simulate`", id="empty"),
        pytest.param(text_file, "is no HDF5 file", id="text"),
        pytest.param(npz, "is no HDF5 file", id="npz"),
        pytest.param(lambda path: path.write_bytes(edited(len)[:-500]), "damaged or cut short", id="truncated"),
        pytest.param(lambda path: h5py.File(path, "w").close(), "geometry are never guessed", id="empty HDF5"),
    ],
)
def test_no_sinogram_file(path, make, message):
    make(path)
    with pytest.raises(SinogramError, match=message) as caught:
        read_sinogram(path)
    assert str(caught.value).startswith(str(path))


def test_damaged_anywhere(path):
    """Whatever byte is wrong: an error of ours, never another one."""
    good = edited(lambda file: None)
    random = np.random.default_rng(5)
    for place in random.integers(0, len(good), 300):
        damaged = bytearray(good)
        damaged[place] ^= int(random.integers(1, 256))
        path.write_bytes(damaged)
        try:
            read_sinogram(path)
        except SinogramError as error:
            assert str(error).startswith(str(path))
