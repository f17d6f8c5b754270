"""2DeteCT: folders of the 2D fan-beam scans of real objects of that name.

Kiss, Coban, Batenburg, van Leeuwen and Lucka, "2DeteCT - A large 2D expandable, trainable, experimental Computed
Tomography dataset for machine learning", Sci. Data 10, 576 (2023): a folder for each slice and mode (``slice00001/
mode1``) with ``sinogram.tif``, ``dark.tif``, ``flat1.tif`` and ``flat2.tif`` as counts, all of one scanner, whose
numbers are those of the authors' scripts. As there, bins are joined in pairs, the flat fields averaged, and the last
view, which is the first again, left out. The authors shift the detector of some slices: ``ctresample align`` tells.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tifffile import TiffFile, TiffFileError

from ctresample.data_tools.importers.readings import Facts, Note, Readings
from ctresample.data_tools.importers.tiff import read_tiff
from ctresample.errors import SinogramError

SINOGRAM = "sinogram.tif"
_FIELDS = ("dark.tif", "flat1.tif", "flat2.tif")
_VIEWS, _BINS, _JOINED = 3601, 1912, 2
_BIN_MM, _SOURCE_TO_AXIS_MM, _SOURCE_TO_DETECTOR_MM = 0.0748, 431.019989, 529.000488


def is_two_detect(folder: Path) -> bool:
    """Whether a folder has a sinogram as wide as the scanner, and one of the fields beside it."""
    if not ((folder / SINOGRAM).is_file() and any((folder / name).is_file() for name in _FIELDS)):
        return False
    try:
        with TiffFile(folder / SINOGRAM) as file:
            return bool(file.pages[0].shape[-1] == _BINS)
    except (TiffFileError, OSError, ValueError, IndexError):
        return False


def read_two_detect(folder: Path, on_note: Note) -> Readings:
    """The counts of one slice and mode; `SinogramError` where a file is missing or of another size, which is named."""
    values = _joined(folder, SINOGRAM)
    if len(values) != _VIEWS:
        raise SinogramError(f"{folder / SINOGRAM} has {len(values)} views; expected {_VIEWS} of a whole 2DeteCT scan")
    dark, *flats = (_joined(folder, name).mean(axis=0, dtype=np.float64) for name in _FIELDS)
    on_note(
        f"2DeteCT: bins are joined in pairs, the last view, which is the first again, is left out; {_VIEWS - 1} views "
        "of the published scanner. Some slices have their axis a bin off: `ctresample align`"
    )
    geometry: Facts = {
        "type": "fan",
        "detector_shape": "flat",
        "angles_deg": {"start_deg": 0.0, "stop_deg": 360.0, "n_views": _VIEWS - 1, "endpoint": False},
        "detector_pitch_mm": _JOINED * _BIN_MM,
        "source_to_axis_mm": _SOURCE_TO_AXIS_MM,
        "source_to_detector_mm": _SOURCE_TO_DETECTOR_MM,
    }
    facts = {"quantity": "counts", "axes": "view,detector", "geometry": geometry}
    return Readings("2DeteCT", values[:-1], facts, np.mean(flats, axis=0), dark)


def _joined(folder: Path, name: str) -> NDArray[np.float32]:
    """A file ``[view, bin]``, of two neighbouring bins each the sum."""
    if not (folder / name).is_file():
        raise SinogramError(f"{folder} has no {name}; expected {SINOGRAM}, {', '.join(_FIELDS)}; download it again")
    pages = read_tiff(folder / name).values
    if pages.shape[0] != 1 or pages.shape[2] != _BINS:
        raise SinogramError(f"{folder / name} has shape {pages.shape}; expected one page, {_BINS} bins wide")
    return pages[0, :, 0::_JOINED] + pages[0, :, 1::_JOINED]
