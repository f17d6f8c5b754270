"""What a file is, by its first bytes: names prove nothing."""

from __future__ import annotations

from ctresample.errors import SinogramError
from ctresample.paths import StrPath, as_path

_HDF5 = b"\x89HDF\r\n\x1a\n"
_SIGNATURES = {
    b"\x93NUMPY": "NPY",
    b"PK\x03\x04": "NPZ",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"MATLAB 5.0": "MATLAB",
    _HDF5: "HDF5",
}


def format_of(path: StrPath) -> str | None:
    """NPY, NPZ, TIFF (also for a folder), MATLAB or HDF5; None for anything else."""
    path = as_path(path, "path")
    if path.is_dir():
        return "TIFF"
    try:
        with path.open("rb") as file:
            start = file.read(1024)
    except OSError as error:
        raise SinogramError(f"{path} cannot be opened ({error.strerror}); expected a sinogram file") from error
    if start[512:].startswith(_HDF5):  # MATLAB 7.3 leaves a block of its own before it
        return "HDF5"
    return next((kind for signature, kind in _SIGNATURES.items() if start.startswith(signature)), None)
