"""The formats of other programs: what a file is by its first bytes, for names prove nothing, and who reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctresample.data_tools.importers.readings import Facts, Note, Readings
from ctresample.errors import SinogramError
from ctresample.paths import StrPath, as_path


@dataclass(frozen=True)
class Asked:
    """What a user asks of a reader.

    Attributes:
        preset: the published scan that the file is of; only of HDF5.
        names: of the arrays to read, where a file has several.
        geometry: what the sidecar says of the scan.
        on_note: told, in a line each, what was chosen.
    """

    preset: str | None
    names: dict[str, str]
    geometry: Facts
    on_note: Note


@dataclass(frozen=True)
class Format:
    """A format that sinograms come in. Its reader is loaded when a file is read.

    Attributes:
        name: as users know it.
        words: the same in a list of what is read.
        starts: first bytes of its files.
        read: a file's content.
        read_mask: the numbers of a mask, in a format that masks come in.
        has_names: whether a file may have several arrays with names.
        has_presets: whether it is that of published data sets.
    """

    name: str
    words: str
    starts: tuple[bytes, ...]
    read: Callable[[Path, Asked], Readings]
    read_mask: Callable[[Path], NDArray[np.float32]] | None = None
    has_names: bool = False
    has_presets: bool = False


def _hdf5(path: Path, asked: Asked) -> Readings:
    from ctresample.data_tools.importers.hdf5_files import read_hdf5

    return read_hdf5(path, asked.preset, asked.geometry, asked.on_note)


def _npy(path: Path, asked: Asked) -> Readings:
    from ctresample.data_tools.importers.numpy_files import read_npy

    return read_npy(path)


def _npy_mask(path: Path) -> NDArray[np.float32]:
    from ctresample.data_tools.importers.numpy_files import read_array

    return read_array(path)


def _npz(path: Path, asked: Asked) -> Readings:
    from ctresample.data_tools.importers.numpy_files import read_npz

    return read_npz(path, asked.names)


def _tiff(path: Path, asked: Asked) -> Readings:
    from ctresample.data_tools.importers.tiff import read_tiff

    return read_tiff(path, asked.names, asked.on_note)


def _tiff_mask(path: Path) -> NDArray[np.float32]:
    from ctresample.data_tools.importers.tiff import read_tiff

    return read_tiff(path).values


def _matlab(path: Path, asked: Asked) -> Readings:
    from ctresample.data_tools.importers.matlab import read_mat5

    return read_mat5(path, asked.on_note)


def _two_detect(path: Path, asked: Asked) -> Readings:
    from ctresample.data_tools.importers.two_detect import read_two_detect

    return read_two_detect(path, asked.on_note)


def _edf(path: Path, asked: Asked) -> Readings:
    from ctresample.data_tools.importers.edf import read_edf

    return read_edf(path, asked.names, asked.on_note)


def _nikon(path: Path, asked: Asked) -> Readings:
    from ctresample.data_tools.importers.nikon import read_xtekct

    return read_xtekct(path, asked.on_note)


_HDF5_START = b"\x89HDF\r\n\x1a\n"
_MATLAB_BLOCK = 512  # bytes of its own that MATLAB 7.3 leaves before HDF5 begins
_HDF5 = Format("HDF5", "HDF5 (DXchange, NXtomo, LoDoPaB-CT)", (_HDF5_START,), _hdf5, has_presets=True)
_TIFF = Format("TIFF", "TIFF", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), _tiff, read_mask=_tiff_mask, has_names=True)
_TWO_DETECT = Format("2DeteCT", "a folder of 2DeteCT", (), _two_detect)
_EDF = Format("EDF", "EDF", (b"{\n", b"{\r\n"), _edf, has_names=True)
FORMATS = (
    _HDF5,
    Format("NPY", "NPY", (b"\x93NUMPY",), _npy, read_mask=_npy_mask),
    Format("NPZ", "NPZ", (b"PK\x03\x04",), _npz, has_names=True),
    _TIFF,
    _TWO_DETECT,
    _EDF,
    Format("Nikon", "a Nikon .xtekct file", (b"[XTekCT]", b"\xef\xbb\xbf[XTekCT]"), _nikon),
    Format("MATLAB", "a Helsinki MAT file", (b"MATLAB 5.0",), _matlab),
)


def format_of(path: StrPath) -> Format | None:
    """The format of a file; of a folder 2DeteCT or EDF, if it has such files, else TIFF; None for anything else."""
    path = as_path(path, "path")
    if path.is_dir():
        from ctresample.data_tools.importers.two_detect import is_two_detect

        if is_two_detect(path):
            return _TWO_DETECT
        return _EDF if any(one.suffix.lower() == ".edf" for one in path.iterdir()) else _TIFF
    try:
        with path.open("rb") as file:
            start = file.read(1024)
    except OSError as error:
        raise SinogramError(f"{path} cannot be opened ({error.strerror}); expected a sinogram file") from error
    if start[_MATLAB_BLOCK:].startswith(_HDF5_START):
        return _HDF5
    return next((one for one in FORMATS if start.startswith(one.starts)), None)
