"""Sound sinogram files: ctresample's own, and every format that ``ctresample import`` reads, with their sidecars."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tifffile
import yaml
from scipy.io import savemat

from ctresample.data_tools.sinogram.writing import write_sinogram
from ctresample.geometry import ConeBeam, FanBeam, Geometry, Grid, ImageGrid, ParallelBeam, VolumeGrid
from ctresample.sinogram import Sinogram

VIEWS, BINS = 6, 5
_ANGLES = tuple(np.linspace(0, 2 * np.pi, VIEWS, endpoint=False).tolist())
_FAN = {
    "quantity": "line_integral",
    "axes": "view,detector",
    "geometry": {
        "type": "fan",
        "detector_shape": "flat",
        "angles_deg": {"start_deg": 0, "stop_deg": 360, "n_views": VIEWS, "endpoint": False},
        "angle_direction": "counterclockwise",
        "detector_pitch_mm": 2.0,
        "source_to_axis_mm": 100.0,
        "source_to_detector_mm": 200.0,
    },
    "mu_water_per_mm": 0.02,
    "photons": 1e4,
    "slice_step_mm": 3.0,
    "image": {"rows": 4, "columns": 6, "pixel_size_mm": 1.0},
}
_STACK = _FAN | {"axes": "view,slice,detector"}
_MEASURED = {"mu_water_per_mm": 0.02}
_DXCHANGE = {key: value for key, value in _STACK.items() if key != "quantity"}
_NXTOMO = _STACK | {"geometry": {"type": "parallel", "angle_direction": "clockwise"}}


@dataclass(frozen=True)
class Sample:
    """A file to damage.

    Attributes:
        name: of the file; its end is what users see.
        content: sound bytes.
        sidecar: what the file does not say itself; None for ctresample's own files.
        sidecar_name: of the sidecar.
    """

    name: str
    content: bytes
    sidecar: bytes | None = None
    sidecar_name: str = "a.json"


def sound_sinograms(folder: Path) -> dict[str, Sample]:
    """Files by their format; ``folder`` is for making them."""
    values = np.random.default_rng(3).uniform(0, 4, (VIEWS, BINS)).astype(np.float32)
    found = {f"own, {name}": Sample("a.h5", _own(folder, *scan)) for name, scan in _scans().items()}
    foreign: dict[str, tuple[str, Callable[[Path], object], dict[str, Any]]] = {
        "NPY": ("a.npy", lambda path: np.save(path, values), _FAN),
        "NPZ": ("a.npz", lambda path: _npz(path, values), _MEASURED),
        "TIFF": ("a.tif", lambda path: tifffile.imwrite(path, values[:, None], photometric="minisblack"), _STACK),
        "MATLAB": ("a.mat", lambda path: _mat(path, values, False), _MEASURED),
        "packed MATLAB": ("a.mat", lambda path: _mat(path, values, True), _MEASURED),
        "MATLAB 7.3": ("a.mat", lambda path: _mat73(path, values), _MEASURED),
        "DXchange": ("a.h5", lambda path: _dxchange(path, values), _DXCHANGE),
        "NXtomo": ("a.nx", lambda path: _nxtomo(path, values), _NXTOMO),
    }
    for name, (file, write, sidecar) in foreign.items():
        write(folder / file)
        found[name] = Sample(file, (folder / file).read_bytes(), json.dumps(sidecar).encode())
        (folder / file).unlink()
    npy = found["NPY"].content
    found["JSON sidecar"] = Sample("a.npy", npy, json.dumps(_FAN, indent=1).encode())
    found["YAML sidecar"] = Sample("a.npy", npy, yaml.safe_dump(_FAN).encode(), "a.yaml")
    return found


def _scans() -> dict[str, tuple[Geometry, Grid, int, bool]]:
    image, volume = ImageGrid((4, 6), 1.0), VolumeGrid((3, 4, 6), 1.0, 2.0)
    shared: dict[str, Any] = {"angles_rad": _ANGLES, "n_detectors": BINS, "detector_pitch_mm": 2.0}
    distances = {"source_to_axis_mm": 100.0, "source_to_detector_mm": 200.0}
    return {
        "parallel": (ParallelBeam(**shared), image, 2, True),
        "fan": (FanBeam(**shared, **distances, detector_shape="flat"), image, 1, False),
        "cone": (ConeBeam(**shared, **distances, n_detector_rows=4, detector_row_pitch_mm=2.0), volume, 4, False),
    }


def _own(folder: Path, geometry: Geometry, grid: Grid, n_rows: int, rich: bool) -> bytes:
    path = folder / "own.h5"
    random = np.random.default_rng(4)
    header = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "PLANTED^NAME"}]}}
    sinogram = Sinogram(
        values=random.uniform(0, 4, (n_rows, VIEWS, BINS)).astype(np.float32),
        geometry=geometry,
        grid=grid,
        affine=np.diag([1.0, 1.0, 2.0, 1.0]),
        photons=random.uniform(1e3, 1e5, (VIEWS, BINS)).astype(np.float32) if rich else 1e4,
        electronic_noise=5.0,
        mu_water_per_mm=0.02,
        origin="simulated",
        headers=(header,) * n_rows if rich else (),
    )
    write_sinogram(sinogram, path)
    content = path.read_bytes()
    path.unlink()
    return content


def _npz(path: Path, values: np.ndarray) -> None:
    scan = {"angles_deg": np.arange(float(VIEWS)), "DSO_mm": 100.0, "DSD_mm": 200.0, "det_pix_mm": 2.0}
    np.savez_compressed(path, sinogram=values, **scan)


def _mat(path: Path, values: np.ndarray, compressed: bool) -> None:
    scan = {"angles": np.arange(float(VIEWS)), "distanceSourceOrigin": 100.0, "distanceSourceDetector": 200.0}
    content = {"sinogram": values, "parameters": scan | {"pixelSizePost": 2.0}}
    savemat(path, {"CtDataFull": content}, do_compression=compressed)
    made = path.read_bytes()
    path.write_bytes(made[:20].ljust(116) + made[116:])  # without the time


def _mat73(path: Path, values: np.ndarray) -> None:
    stream = io.BytesIO()
    with h5py.File(stream, "w", userblock_size=512) as file:
        struct = file.create_group("CtDataFull")
        struct["sinogram"] = values.T.astype(np.float64)
        struct["parameters/angles"] = np.arange(float(VIEWS))[:, None]
        numbers = {"distanceSourceOrigin": 100.0, "distanceSourceDetector": 200.0, "pixelSizePost": 2.0}
        for name, number in numbers.items():
            struct[f"parameters/{name}"] = [[number]]
    path.write_bytes(stream.getvalue())


def _dxchange(path: Path, values: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        file["exchange/data"] = np.exp(-values)[:, None] * 1e4
        file["exchange/data_white"] = np.full((2, 1, BINS), 1e4)
        file["exchange/theta"] = np.arange(float(VIEWS))


def _nxtomo(path: Path, values: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        detector = file.create_group("entry/instrument/detector")
        detector.create_dataset("data", data=values[:, None], chunks=(2, 1, BINS), compression="gzip")
        detector["image_key"] = np.zeros(VIEWS, int)
        for name in ("x_pixel_size", "y_pixel_size"):
            detector[name] = 2.0
            detector[name].attrs["units"] = "mm"
        file["entry/sample/rotation_angle"] = np.arange(float(VIEWS))
        file["entry/sample/rotation_angle"].attrs["units"] = "degree"
