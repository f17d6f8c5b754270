"""Writing sinogram files, whole or view by view."""

from __future__ import annotations

import io
import json
import math
import shutil
from collections.abc import Iterable, Mapping
from importlib.metadata import version

import h5py
import numpy as np
from numpy.typing import NDArray

from ctresample.data_tools.sinogram.layout import OWN
from ctresample.data_tools.sinogram.nxtomo import GZIP, write_nxtomo
from ctresample.data_tools.sinogram.schema import (
    SCHEMA_VERSION,
    SinogramHead,
    text_of,
)
from ctresample.errors import OutputError, SinogramError
from ctresample.files import check_new_file, refuse_existing, whole_file, write_file
from ctresample.paths import StrPath, as_path
from ctresample.sinogram import Sinogram

_HEADERS_BYTES = 2**20  # compressed together


def write_sinogram(sinogram: Sinogram, path: StrPath) -> None:
    """Write a sinogram file; it appears under its name only when it is complete.

    Example:
        >>> from ctresample import Volume, read_sinogram, simulate
        >>> scan = simulate(Volume(np.zeros((1, 16, 16)), np.eye(4)), n_views=9, size=16)
        >>> write_sinogram(scan, "scan.h5")
        >>> read_sinogram("scan.h5")
        Sinogram(ParallelBeam of 9 views, 1 x 9 x 24, no noise stated, 1 x 16 x 16 pixels)

    Args:
        sinogram: what to write; its DICOM headers, patient data included, go along.
        path: a new file in a folder that exists.

    Raises:
        SinogramError: it holds what no file may say, such as a photon count of 0.
        OutputError: the file exists, or cannot be written.
    """
    path = as_path(path, "path")
    text, headers = text_of(sinogram, f"ctresample {version('ctresample')}"), _encode(sinogram.headers)
    refuse_existing(path)
    # made in memory: where HDF5 itself meets a full disk, the process dies of it when it ends
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        write_nxtomo(file, sinogram)
        own = _write_own(file, text, headers, sinogram.photons)
        if sinogram.bad_rays is not None:
            own.create_dataset("bad_rays", data=sinogram.bad_rays.swapaxes(0, 1).astype(np.uint8), **GZIP)
        if sinogram.slice_offsets_mm is not None:
            own["slice_offsets_mm"] = np.array(sinogram.slice_offsets_mm, np.float64)
        if sinogram.angle_shifts_rad is not None:
            own["angle_shifts_rad"] = np.array(sinogram.angle_shifts_rad, np.float64)
    write_file(path, content.getbuffer())


def stream_sinogram(
    head: SinogramHead, frames: Iterable[NDArray[np.float32]], path: StrPath, *, n_at_once: int = 32
) -> None:
    """Write a sinogram file of a volume view by view, so that its values need never be in memory together.

    Args:
        head: all but the values.
        frames: a view each, ``[detector row, detector]``.
        path: a new file in a folder that exists.
        n_at_once: views written together.

    Raises:
        SinogramError: the head holds what no file may say, or a view is not finite.
        OutputError: the file exists, cannot be written, or there is no room for it.
    """
    path = as_path(path, "path")
    check_new_file(path)
    text, headers = text_of(head, f"ctresample {version('ctresample')}"), _encode(head.headers)
    n_bytes = 4 * math.prod(head.geometry.shape)
    if (free := shutil.disk_usage(path.parent).free) < 1.1 * n_bytes:  # HDF5 does not survive a disk that fills up
        raise OutputError(
            f"{path} may take {n_bytes / 1e9:.3g} GB, and {free / 1e9:.3g} GB are free; choose a place with space"
        )
    with whole_file(path) as unfinished, h5py.File(unfinished, "w") as file:
        values = write_nxtomo(file, head)
        _write_own(file, text, headers, head.photons)
        waiting: list[NDArray[np.float32]] = []
        first = 0
        for frame in frames:
            if not np.isfinite(frame).all():
                raise SinogramError(f"view {first + len(waiting)} holds NaN or infinite values; export it again")
            waiting.append(frame)
            if len(waiting) == n_at_once:
                values[first : first + n_at_once] = np.stack(waiting)
                first, waiting = first + n_at_once, []
        if waiting:
            values[first : first + len(waiting)] = np.stack(waiting)


def _write_own(
    file: h5py.File, text: str, headers: NDArray[np.bytes_], photons: float | NDArray[np.float32] | None
) -> h5py.Group:
    own = file.create_group(OWN)
    own["schema_version"] = SCHEMA_VERSION
    own["geometry"] = np.bytes_(text.encode())
    if isinstance(photons, np.ndarray):
        own.create_dataset("photons", data=photons.astype(np.float32), **GZIP)
    if len(headers):
        together = min(len(headers), max(1, _HEADERS_BYTES // headers.itemsize))
        own.create_dataset("headers", data=headers, chunks=(together,), **GZIP)
    return own


def _encode(headers: tuple[Mapping[str, object], ...]) -> NDArray[np.bytes_]:
    """Fixed length, for HDF5 does not compress text of any length; the padding costs nothing once compressed."""
    try:
        return np.array([json.dumps(header, allow_nan=False).encode() for header in headers], np.bytes_)
    except (TypeError, ValueError, RecursionError) as error:
        raise SinogramError(f"a DICOM header cannot be stored as JSON ({type(error).__name__})") from error
