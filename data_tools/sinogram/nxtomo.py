"""The part of a sinogram file that other tomography programs read: the NeXus application definition NXtomo.

It cannot say all that a reconstruction needs (curved detectors, offsets, the image grid), so
`ctresample.data_tools.sinogram.layout` adds a group of its own and goes by that.
"""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ctresample.data_tools.sinogram.schema import SinogramHead
from ctresample.sinogram import Sinogram

VALUES = "/entry/instrument/detector/data"
ANGLES = "/entry/sample/rotation_angle"

GZIP: dict[str, Any] = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
"""Higher levels take much longer and gain next to nothing on noisy values."""

_CHUNK_VALUES = 2**20


def write_nxtomo(file: h5py.File, sinogram: Sinogram | SinogramHead) -> h5py.Dataset:
    """Fill an empty file with groups and data sets as NXtomo names them.

    Args:
        file: open for writing.
        sinogram: its values become frames ``[view, slice or detector row, detector]``; of a head the frames are empty.

    Returns:
        The data set of the frames.
    """
    geometry = sinogram.geometry

    def group(name: str, kind: str) -> h5py.Group:
        made = file.create_group(name)
        made.attrs["NX_class"] = kind
        return made

    def number(parent: h5py.Group, name: str, value: object, unit: str) -> h5py.Dataset:
        parent[name] = value
        parent[name].attrs["units"] = unit
        return parent[name]

    file.attrs["NX_class"], file.attrs["default"] = "NXroot", "entry"
    entry = group("entry", "NXentry")
    entry.attrs["default"] = "data"
    entry["definition"] = "NXtomo"
    group("entry/instrument", "NXinstrument")
    source, detector = group("entry/instrument/source", "NXsource"), group("entry/instrument/detector", "NXdetector")
    source["probe"] = "x-ray"
    lengths = geometry.lengths_mm
    if "source_to_axis_mm" in lengths:  # NeXus counts distances from the sample, along the beam
        number(source, "distance", -lengths["source_to_axis_mm"], "mm")
        number(detector, "distance", lengths["source_to_detector_mm"] - lengths["source_to_axis_mm"], "mm")
    number(detector, "x_pixel_size", geometry.detector_pitch_mm, "mm")
    slice_step_mm = float(np.linalg.norm(sinogram.affine[:3, 2]))  # at the axis
    row_mm = lengths.get("detector_row_pitch_mm", slice_step_mm)
    number(detector, "y_pixel_size", row_mm, "mm")
    detector["image_key"] = np.zeros(geometry.n_views, np.int32)
    values = _write_values(file, sinogram.values) if isinstance(sinogram, Sinogram) else _empty_frames(file, sinogram)
    sample = group("entry/sample", "NXsample")
    sample["name"] = "CT slices"
    angles = number(sample, "rotation_angle", np.degrees(geometry.angles_rad), "degree")
    plot = group("entry/data", "NXdata")
    plot.attrs["signal"], plot.attrs["axes"] = "data", ["rotation_angle", ".", "."]
    for name, target in {"data": values, "image_key": detector["image_key"], "rotation_angle": angles}.items():
        target.attrs["target"] = target.name  # how NeXus marks what has a second name
        plot[name] = target
    return values


def _write_values(file: h5py.File, values: NDArray[np.float32]) -> h5py.Dataset:
    n_rows, n_views, n_detectors = values.shape
    chunk = (min(n_views, max(1, _CHUNK_VALUES // n_detectors)), 1, n_detectors)
    made = _frames(file, (n_views, n_rows, n_detectors), chunk)
    for index, one in enumerate(values):  # a row at a time: the transpose of all would be a second copy
        made[:, index] = one
    return made


def _empty_frames(file: h5py.File, head: SinogramHead) -> h5py.Dataset:
    n_rows, n_views, n_detectors = head.geometry.shape
    chunk = (max(1, min(n_views, _CHUNK_VALUES // (n_rows * n_detectors))), n_rows, n_detectors)
    return _frames(file, (n_views, n_rows, n_detectors), chunk)


def _frames(file: h5py.File, shape: tuple[int, int, int], chunk: tuple[int, int, int]) -> h5py.Dataset:
    made = file.create_dataset(VALUES, shape, np.float32, chunks=chunk, **GZIP)
    made.attrs["units"], made.attrs["long_name"] = "1", "line integral of attenuation"
    return made
