"""Helsinki challenge files as SciPy writes them (level 5), and as MATLAB does (7.3, HDF5)."""

import struct
import subprocess
import sys
import zlib

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from ctresample.data_tools.importers import import_sinogram
from ctresample.data_tools.importers.matlab import read_mat5
from ctresample.errors import SinogramError

SINOGRAM = np.random.default_rng(4).normal(1, 1, (4, 6))
ANGLES = np.array([27.0, 27.5, 28.0, 90.25])
PARAMETERS = {
    "angles": ANGLES,
    "distanceSourceOrigin": 410.66,
    "distanceSourceDetector": 553.74,
    "pixelSizePost": 0.2,
    "numDetectorsPost": 6,
    "scanner": "a name",
    "nested": {"tubeCurrent": np.array([[1, 2]], np.int16), "list": np.array([1, "a"], object)},
}


def content(name="CtDataFull", **changes):
    return {"other": np.eye(2), name: {"type": "2D", "sinogram": SINOGRAM, "parameters": PARAMETERS} | changes}


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", ["CtDataFull", "CtDataLimited"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_level_5(tmp_path, compressed, name, dtype):
    path = tmp_path / "a.mat"
    savemat(path, content(name, sinogram=SINOGRAM.astype(dtype)), do_compression=compressed)
    found = import_sinogram(path, mu_water_per_mm=0.02)
    np.testing.assert_array_equal(found.values[0], SINOGRAM.astype(np.float32))
    scan = found.geometry
    np.testing.assert_allclose(np.degrees(scan.angles_rad), ANGLES)
    assert (scan.source_to_axis_mm, scan.source_to_detector_mm, scan.detector_pitch_mm) == (410.66, 553.74, 0.2)
    assert found.origin == "measured; imported from Helsinki challenge file (MATLAB)"


def test_version_73(tmp_path):
    path = tmp_path / "a.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        group = file.create_group("CtDataLimited")
        group["sinogram"] = SINOGRAM.T
        for name in ("angles", "distanceSourceOrigin", "distanceSourceDetector", "pixelSizePost"):
            group[f"parameters/{name}"] = np.atleast_2d(PARAMETERS[name]).T
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64")
    found = import_sinogram(path, mu_water_per_mm=0.02)
    np.testing.assert_array_equal(found.values[0], SINOGRAM.astype(np.float32))
    np.testing.assert_allclose(np.degrees(found.geometry.angles_rad), ANGLES)


def test_what_it_does_not_say_is_asked_for(tmp_path):
    path = tmp_path / "a.mat"
    savemat(path, content())
    with pytest.raises(SinogramError, match="add mu_water_per_mm"):
        import_sinogram(path)
    savemat(path, content(parameters={key: PARAMETERS[key] for key in ("angles", "pixelSizePost")}))
    with pytest.raises(SinogramError, match="add geometry.source_to_axis_mm"):
        import_sinogram(path, mu_water_per_mm=0.02)


# ---------------------------------------------------------------- refused


def element(kind, body):
    return struct.pack("<II", kind, len(body)) + body + b"\0" * (-len(body) % 8)


def matrix(kind, shape, *rest, name=b"CtDataFull"):
    parts = (element(6, struct.pack("<II", kind, 0)), element(5, struct.pack(f"<{len(shape)}i", *shape)))
    return element(14, b"".join((*parts, element(1, name), *rest)))


HEADER = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
DEEP = b""
for _ in range(50):
    DEEP = matrix(2, (1, 1), element(5, struct.pack("<i", 8)), element(1, b"abcdefgh"), DEEP)

REFUSED = {
    "no struct": (matrix(6, (1, 1), element(9, bytes(8))), "no struct CtDataFull or CtDataLimited"),
    "40 GB": (matrix(6, (100_000, 50_000), element(9, bytes(8))), "damaged"),
    "many structs": (matrix(2, (50_000, 50_000), element(5, struct.pack("<i", 8)), element(1, b"a" * 8)), "no struct"),
    "cells": (matrix(1, (50_000, 50_000)), "no struct"),
    "sparse": (matrix(5, (2**31 - 1, 2**31 - 1)), "no struct"),
    "negative": (matrix(6, (-1, -8), element(9, bytes(8))), "damaged"),
    "nested": (DEEP, "expected a sinogram and parameters"),
    "longer than the file": (struct.pack("<II", 14, 2**31) + bytes(16), "damaged"),
    "no name": (element(14, element(6, bytes(8))), "damaged|no struct"),
    "text for numbers": (matrix(6, (1, 1), element(16, b"12345678")), "damaged"),
    "a broken stream": (struct.pack("<II", 15, 16) + bytes(16), "damaged"),
    "many elements": (element(14, b"".join(element(1, b"") for _ in range(2000))), "damaged"),
    "nothing": (b"", "no struct"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(tmp_path, case):
    body, message = REFUSED[case]
    path = tmp_path / "a.mat"
    path.write_bytes(HEADER + body)
    with pytest.raises(SinogramError, match=message) as caught:
        read_mat5(path)
    assert str(caught.value).startswith(str(path))


def test_bomb_costs_no_memory(tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "a.mat"
    stream = zlib.compressobj()
    packed = stream.compress(struct.pack("<II", 14, 2**31)) + stream.compress(bytes(2**27)) + stream.flush()
    path.write_bytes(HEADER + struct.pack("<II", 15, len(packed)) + packed)
    assert path.stat().st_size < 2**20
    code = f"""
import resource
from pathlib import Path
from ctresample.data_tools.importers import matlab
from ctresample.errors import SinogramError
matlab.MAX_BYTES = 2**24
used = int(Path("/proc/self/statm").read_text().split()[0]) * {resource.getpagesize()}
resource.setrlimit(resource.RLIMIT_AS, (used + 60 * 2**20,) * 2)
try:
    matlab.read_mat5(Path({str(path)!r}))
except SinogramError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "unpacks to more than 16 MiB" in done.stdout
