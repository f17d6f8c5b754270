"""Whatever is wrong with a file, at whatever byte: it reads, or an error of ours names it, and memory stays small."""

import json
import tracemalloc

import h5py
import numpy as np
import pytest
import tifffile
import yaml
from scipy.io import savemat

from ctresample.data_tools.importers import import_sinogram
from ctresample.errors import SinogramError

PLENTY = 100 * 2**20  # bytes; the files hold some kilobytes


def write_npz(path, values):
    scan = {"angles_deg": np.arange(6.0), "DSO_mm": 100.0, "DSD_mm": 200.0, "det_pix_mm": 2.0}
    np.savez_compressed(path, sinogram=values, **scan)


def write_mat(path, values, *, compressed):
    scan = {"angles": np.arange(6.0), "distanceSourceOrigin": 100.0, "distanceSourceDetector": 200.0}
    content = {"sinogram": values, "parameters": scan | {"pixelSizePost": 2.0}}
    savemat(path, {"CtDataFull": content}, do_compression=compressed)


def write_dxchange(path, values):
    with h5py.File(path, "w") as file:
        file["exchange/data"] = np.exp(-values)[:, None] * 1e4
        file["exchange/data_white"] = np.full((2, 1, 5), 1e4)
        file["exchange/theta"] = np.arange(6.0)


def write_nxtomo(path, values):
    with h5py.File(path, "w") as file:
        detector = file.create_group("entry/instrument/detector")
        detector.create_dataset("data", data=values[:, None], chunks=(2, 1, 5), compression="gzip")
        detector["image_key"] = np.zeros(6, int)
        for name, unit in {"x_pixel_size": "mm", "y_pixel_size": "mm"}.items():
            detector[name] = 2.0
            detector[name].attrs["units"] = unit
        file["entry/sample/rotation_angle"] = np.arange(6.0)
        file["entry/sample/rotation_angle"].attrs["units"] = "degree"


FORMATS = {
    "npy": (np.save, "a.npy"),
    "npz": (write_npz, "a.npz"),
    "tiff": (lambda path, values: tifffile.imwrite(path, values[:, None], photometric="minisblack"), "a.tif"),
    "mat": (lambda path, values: write_mat(path, values, compressed=False), "a.mat"),
    "packed mat": (lambda path, values: write_mat(path, values, compressed=True), "a.mat"),
    "dxchange": (write_dxchange, "a.h5"),
    "nxtomo": (write_nxtomo, "a.nx"),
    "json": (np.save, "a.npy"),
    "yaml": (np.save, "a.npy"),
}


def make(kind, folder, scan):
    """A sound file; returns it, its sidecar, and the one of both to damage."""
    writer, name = FORMATS[kind]
    path, sidecar = folder / name, folder / ("g.yaml" if kind == "yaml" else "g.json")
    writer(path, scan.values)
    facts = dict(scan.facts)
    if kind in ("npz", "mat", "packed mat"):
        facts = {"mu_water_per_mm": 0.02}
    elif kind == "tiff":
        facts["axes"] = "view,slice,detector"
    elif kind == "dxchange":
        facts.pop("quantity")
        facts["axes"] = "view,slice,detector"
    elif kind == "nxtomo":
        facts |= {"axes": "view,slice,detector", "geometry": {"type": "parallel", "angle_direction": "clockwise"}}
    sidecar.write_text(yaml.safe_dump(facts) if kind == "yaml" else json.dumps(facts))
    return path, sidecar, sidecar if kind in ("json", "yaml") else path


def damaged(good, random):
    """The bytes with one thing wrong: a byte, a word of ones, a cut, a part missing, or a part twice."""
    content, place, length = bytearray(good), int(random.integers(len(good))), int(random.integers(1, 64))
    match int(random.integers(6)):
        case 0:
            content[place] ^= int(random.integers(1, 256))
        case 1:
            content[place : place + 4] = b"\xff\xff\xff\x7f"
        case 2:
            content[place : place + 8] = b"\x00\x00\x00\x00\x10\x00\x00\x00"
        case 3:
            del content[place:]
        case 4:
            del content[place : place + length]
        case _:
            content[place:place] = content[place : place + length]
    return bytes(content)


def storm(kind, folder, scan, n):
    path, sidecar, target = make(kind, folder, scan)
    import_sinogram(path, sidecar=sidecar)  # sound before it is damaged
    good, random, refused = target.read_bytes(), np.random.default_rng(11), 0
    tracemalloc.start()
    try:
        for _ in range(n):
            target.write_bytes(damaged(good, random))
            try:
                import_sinogram(path, sidecar=sidecar)
            except SinogramError as error:
                refused += 1
                assert str(error).startswith((str(path), str(sidecar)))
                assert "\n" not in str(error)
                assert len(str(error)) < 1000
        assert tracemalloc.get_traced_memory()[1] < PLENTY
    finally:
        tracemalloc.stop()
    assert refused > n / 10


@pytest.mark.parametrize("kind", FORMATS)
def test_damaged_files(kind, tmp_path, scan):
    storm(kind, tmp_path, scan, 60)


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
def test_thousands_of_damaged_files(kind, tmp_path, scan):
    storm(kind, tmp_path, scan, 1200)
