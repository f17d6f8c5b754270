"""NPY and NPZ: what the arrays hold comes in, and no lie about them costs memory."""

import io
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ctresample.data_tools.importers.numpy_files import read_npy, read_npz
from ctresample.errors import SinogramError

NO_NAMES = {}


def npy(array, **changes):
    """Bytes of an NPY file, with another header where wanted."""
    out = io.BytesIO()
    header = np.lib.format.header_data_from_array_1_0(array) | changes
    np.lib.format.write_array_header_2_0(out, header)
    return out.getvalue() + array.tobytes()


@settings(max_examples=100)
@given(
    hnp.arrays(
        st.sampled_from(["<f4", ">f4", "<f8", "<f2", "<u2", ">i4", "|u1"]),
        hnp.array_shapes(min_dims=2, max_dims=3, max_side=5),
        elements=st.integers(0, 100),
    ),
    st.booleans(),
)
def test_every_type_and_order(tmp_path_factory, array, fortran):
    path = tmp_path_factory.mktemp("npy") / "a.npy"
    np.save(path, np.asfortranarray(array) if fortran else array)
    found = read_npy(path).values
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, array)


def test_larger_than_a_piece(tmp_path, monkeypatch):
    monkeypatch.setattr("ctresample.data_tools.importers.numpy_files._PIECE", 24)
    array = np.arange(77.0).reshape(7, 11)
    np.save(tmp_path / "a.npy", array)
    np.savez_compressed(tmp_path / "a.npz", array)
    np.testing.assert_array_equal(read_npy(tmp_path / "a.npy").values, array)
    np.testing.assert_array_equal(read_npz(tmp_path / "a.npz", NO_NAMES).values, array)


def test_arrays_of_an_npz(tmp_path):
    path = tmp_path / "a.npz"
    arrays = {"p": np.ones((3, 4)), "white": np.full((2, 4), 9.0), "black": np.zeros(4)}
    np.savez_compressed(path, **arrays)
    found = read_npz(path, {"array": "p", "flat_array": "white", "dark_array": "black"})
    for name, array in {"p": found.values, "white": found.flat, "black": found.dark}.items():
        np.testing.assert_array_equal(array, arrays[name])
    with pytest.raises(SinogramError, match=r"several arrays \(black, p, white\); add array, the name"):
        read_npz(path, NO_NAMES)
    with pytest.raises(SinogramError, match="has no array 'q'; it has black, p, white"):
        read_npz(path, NO_NAMES | {"array": "q"})


def test_own_geometry(tmp_path):
    path = tmp_path / "a.npz"
    scan = {"angles_deg": [0.0, 0.1], "DSO_mm": 400.0, "DSD_mm": 550.0, "det_pix_mm": 0.2}
    np.savez(path, sinogram=np.ones((2, 5), np.float32), **scan)
    geometry = read_npz(path, NO_NAMES).facts["geometry"]
    assert geometry["angles_deg"] == [0.0, 0.1]  # not rounded to float32
    assert (geometry["source_to_axis_mm"], geometry["source_to_detector_mm"]) == (400.0, 550.0)
    np.savez(path, sinogram=np.ones((2, 5)), **scan | {"DSO_mm": [1.0, 2.0]})
    with pytest.raises(SinogramError, match=r"DSO_mm has shape \(2,\)"):
        read_npz(path, NO_NAMES)


# ---------------------------------------------------------------- refused

PLAIN = np.ones((4, 5), np.float32)
REFUSED = {
    "longer than the file": (npy(PLAIN, shape=(4, 500)), r"declares shape \(4, 500\), 8,000 bytes, and holds 80"),
    "shorter than the file": (npy(PLAIN, shape=(4, 4)), "declares shape"),
    "40 GB": (npy(PLAIN, shape=(100_000, 100_000)), "40,000,000,000 bytes, and holds 80"),
    "beyond any number": (npy(PLAIN, shape=(2**62, 2**62)), "declares shape"),
    "negative": (npy(PLAIN, shape=(-4, -5)), "declares shape|damaged"),
    "empty": (npy(np.ones((0, 5))), "declares shape"),
    "one axis": (npy(np.ones(5)), r"have shape \(5,\); expected at least views and detectors"),
    "complex": (npy(PLAIN.astype(complex)), "holds complex128 values; expected numbers"),
    "objects": (npy(PLAIN, descr="|O"), "holds object values; .*never opened"),
    "structured": (npy(np.zeros((2, 2), [("a", "f4")])), "expected numbers"),
    "cut short": (npy(PLAIN)[:-7], "declares shape"),
    "no header": (b"\x93NUMPY", "damaged or cut short"),
    "a long header": (
        b"\x93NUMPY\x02\x00" + (2**31).to_bytes(4, "little") + b" " * 99,
        "header of 2,147,483,648 bytes",
    ),
    "code for a header": (b"\x93NUMPY\x01\x00\x10\x00__import__('os') ", "damaged"),
    "a nested header": (b"\x93NUMPY\x01\x00\x10\x27" + b"(" * 10000, "damaged"),
    "another version": (b"\x93NUMPY\x09\x00", "NPY version 9.0"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(tmp_path, case):
    content, message = REFUSED[case]
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    with pytest.raises(SinogramError, match=message) as caught:
        read_npy(path)
    assert str(caught.value).startswith(str(path))
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", content)
    with pytest.raises(SinogramError, match=message):
        read_npz(tmp_path / "a.npz", NO_NAMES)


class Trap:
    def __reduce__(self):
        return Path.touch, (Path("trapped"),)


def test_pickles_stay_closed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", np.array([Trap()] * 2), allow_pickle=True)
    np.savez("a.npz", a=np.array([Trap()] * 2))
    for read in (lambda: read_npy(Path("a.npy")), lambda: read_npz(Path("a.npz"), NO_NAMES)):
        with pytest.raises(SinogramError, match="objects are never opened"):
            read()
    assert not Path("trapped").exists()
    pickle.loads(pickle.dumps(Trap()))  # noqa: S301 - the trap works
    assert Path("trapped").exists()


def test_archives(tmp_path):
    path = tmp_path / "a.npz"
    for name, method in {"lzma": zipfile.ZIP_LZMA, "bzip2": zipfile.ZIP_BZIP2}.items():
        with zipfile.ZipFile(path, "w", method) as archive:
            archive.writestr("a.npy", npy(PLAIN))
        with pytest.raises(SinogramError, match="packed in an unusual way"):
            read_npz(path, NO_NAMES), name
    with zipfile.ZipFile(path, "w"):
        pass
    with pytest.raises(SinogramError, match="has 0 entries"):
        read_npz(path, NO_NAMES)
    with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("a.npy", npy(PLAIN))
        archive.writestr("a.npy", npy(PLAIN))
    with pytest.raises(SinogramError, match="two of one name"):
        read_npz(path, NO_NAMES)


BOMBS = {
    # the entry says it is small, or the header says so, and 120 MB come out
    "header": lambda big: npy(np.ones((2, 2)), shape=(2**12, 2**13)) + big,
    "data": lambda big: npy(np.ones((2, 2))) + big,
    "long header": lambda big: b"\x93NUMPY\x02\x00" + (2**29).to_bytes(4, "little") + big,
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_zip_bombs_cost_no_memory(tmp_path, bomb):
    """Under a limit of memory that unpacking would break, so that a MemoryError of another kind would show."""
    pytest.importorskip("resource")
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", BOMBS[bomb](bytes(120 * 2**20)))
    assert path.stat().st_size < 2**20
    code = f"""
import resource
from pathlib import Path
from ctresample.data_tools.importers.numpy_files import read_npz
from ctresample.errors import SinogramError
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 50 * 2**20,) * 2)
try:
    read_npz(Path({str(path)!r}), {{}})
except SinogramError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "declares shape" in done.stdout or "has a header of" in done.stdout
