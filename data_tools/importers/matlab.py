"""MATLAB files of the Helsinki tomography challenges: a struct of a sinogram and its parameters.

Helsinki Tomography Challenge 2022 (Meaney, Silva de Moura and Siltanen, doi:10.5281/zenodo.6984868): ``CtDataFull`` or
``CtDataLimited`` with ``sinogram`` (line integrals, ``[view, detector]``) and ``parameters`` (``angles`` in degrees;
``distanceSourceOrigin``, ``distanceSourceDetector`` and ``pixelSizePost`` in mm). The angles run counterclockwise: a
measured disc is sharp only so, with the axis in line to 0.05 mm (``tests/data_tools/importers``). Level 5 files are
read here, of the format only as much as such structs need ("MAT-File Format", The MathWorks), so that every size can
be checked before it is believed (SciPy's reader knows no limit: a file of 1 MB made for it took 1.3 GB); version 7.3 is
HDF5.
"""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ctresample.data_tools.importers.readings import Facts, Note, Readings
from ctresample.data_tools.plain_text import one_line
from ctresample.data_tools.sinogram.hdf5_checks import child, dataset
from ctresample.errors import SinogramError

STRUCTS = ("CtDataFull", "CtDataLimited", "CtData")
MATRICES = ("m", "sinogram", "sino")
"""Of the open data sets of the Finnish Inverse Problems Society: m, beside a system matrix A; of others like it."""
MAX_BYTES = 2**28
"""Of a file once unpacked; a challenge sinogram has a hundredth of it."""

_DTYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_MATRIX, _COMPRESSED, _STRUCT, _TEXT, _NUMBERS, _COMPLEX = 14, 15, 2, 4, range(6, 16), 0x800
_MAX_DEPTH, _MAX_ELEMENTS = 4, 1000
_PARAMETERS = {
    "angles": "angles_deg",
    "distanceSourceOrigin": "source_to_axis_mm",
    "distanceSourceDetector": "source_to_detector_mm",
    "pixelSizePost": "detector_pitch_mm",
}


def read_mat5(path: Path, on_note: Note = lambda message: None) -> Readings:
    """A level 5 file; `SinogramError` if no such struct is inside, or it is damaged or made to do harm."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SinogramError(f"{path} is larger than {MAX_BYTES >> 20} MiB; expected a challenge sinogram")
        content = path.read_bytes()
        order = {b"IM": "<", b"MI": ">"}[content[126:128]]
        plain: tuple[str, np.ndarray] | None = None
        others = []
        for kind, body in _elements(content[128:], order):
            if kind == _COMPRESSED:
                (kind, body), *_ = _elements(_unpacked(body, path), order)
            if kind == _MATRIX:
                name, value = _matrix(body, order)
                if name in STRUCTS and isinstance(value, dict):
                    return _readings(value, path)
                if name in MATRICES and isinstance(value, np.ndarray) and value.ndim == 2 and plain is None:
                    plain = name, value
                else:
                    others.append(name)
        if plain is not None:
            return _plain(*plain, others, on_note)
    except OSError as error:
        raise SinogramError(f"{path} cannot be read ({error.strerror})") from error
    except (ValueError, LookupError, TypeError, MemoryError, struct.error, zlib.error) as error:
        raise SinogramError(
            f"{path} is damaged or cut short ({type(error).__name__}); copy or make it again"
        ) from error
    raise SinogramError(
        f"{path} has no struct {' or '.join(STRUCTS)}, nor a matrix m; expected a Helsinki or FIPS file; save NPY"
    )


def read_mat73(file: h5py.File, path: Path, on_note: Note) -> Readings:
    """A version 7.3 file, whose structs are groups and whose arrays are transposed."""
    found: dict[str, Any] = {}
    outer = next((name for name in STRUCTS if name in file), None)
    if outer is None:
        name = next(name for name in MATRICES if name in file)
        stored = dataset(file, f"/{name}", path, ndim=2, kind="floating")
        assert stored is not None  # noqa: S101 - for mypy: is_mat73 found it
        return _plain(name, stored[()].T, [other for other in file if other != name], on_note)
    for name in ("sinogram", *(f"parameters/{key}" for key in _PARAMETERS)):
        stored = dataset(file, f"/{outer}/{name}", path, ndim=2, kind="floating")
        if stored is not None:
            found[name] = stored[()].T
    parameters = {key: found[f"parameters/{key}"] for key in _PARAMETERS if f"parameters/{key}" in found}
    return _readings({"sinogram": found.get("sinogram"), "parameters": parameters}, path)


def is_mat73(file: h5py.File, path: Path) -> bool:
    """Whether an HDF5 file holds one of the structs."""
    if any(isinstance(child(file, f"/{name}", path), h5py.Group) for name in STRUCTS):
        return True
    return any(
        isinstance(found := child(file, f"/{name}", path), h5py.Dataset) and "MATLAB_class" in found.attrs
        for name in MATRICES
    )


def _plain(name: str, values: np.ndarray, others: list[str], on_note: Note) -> Readings:
    unused = f"; {', '.join(one_line(other, 20) for other in others[:5] if other)} not used" if others else ""
    on_note(f"matrix {name} of shape {values.shape} holds the readings, columns as in MATLAB{unused}")
    return Readings("MATLAB file", np.array(values, np.float32))


def _readings(found: dict[str, Any], path: Path) -> Readings:
    sinogram, parameters = found.get("sinogram"), found.get("parameters")
    if not isinstance(sinogram, np.ndarray) or not isinstance(parameters, dict):
        raise SinogramError(f"{path}: expected a sinogram and parameters in the struct; save it again")
    geometry: Facts = {"type": "fan", "detector_shape": "flat", "angle_direction": "counterclockwise"}
    for name, key in _PARAMETERS.items():
        value = parameters.get(name)
        if isinstance(value, np.ndarray) and value.size and (value.size == 1 or name == "angles"):
            numbers = value.astype(np.float64).ravel().tolist()
            geometry[key] = numbers if name == "angles" else numbers[0]
    unit = parameters.get("distanceUnit")
    if "detector_pitch_mm" not in geometry:
        pixel, binning = parameters.get("pixelSize"), parameters.get("binningPost")
        if isinstance(pixel, np.ndarray) and pixel.size == 1:
            factor = float(binning.ravel()[0]) if isinstance(binning, np.ndarray) and binning.size == 1 else 1.0
            geometry["detector_pitch_mm"] = float(pixel.ravel()[0]) * factor
    if isinstance(unit, str) and unit.strip().lower() not in ("mm", "millimeter", "millimetre"):
        raise SinogramError(f"{path}: distanceUnit is {unit[:20]!r}; expected mm; save the lengths in mm")
    facts = {"quantity": "line_integral", "axes": "view,detector", "geometry": geometry}
    return Readings("Helsinki challenge file (MATLAB)", np.array(sinogram, np.float32), facts)


# ---------------------------------------------------------------- level 5 files


def _unpacked(packed: memoryview, path: Path) -> memoryview:
    stream = zlib.decompressobj()
    content = stream.decompress(packed, MAX_BYTES)
    if not stream.eof:
        raise SinogramError(f"{path} is cut short, or unpacks to more than {MAX_BYTES >> 20} MiB")
    return memoryview(content)


def _elements(content: bytes | memoryview, order: str) -> list[tuple[int, memoryview]]:
    """Type and data of each element that follows the other, padded to 8 bytes."""
    found, rest = [], memoryview(content)
    while len(rest) >= 8:
        kind, size = struct.unpack(f"{order}II", rest[:8])
        if kind >> 16:  # up to four bytes of data stand in the tag
            kind, size, start, end = kind & 0xFFFF, kind >> 16, 4, 8
        else:
            start, end = 8, 8 + size + (0 if kind == _COMPRESSED else -size % 8)
        if start + size > len(rest) or (start == 4 and size > 4):
            raise ValueError("an element is longer than what holds it")
        found.append((kind, rest[start : start + size]))
        if len(found) > _MAX_ELEMENTS:
            raise ValueError("more elements than a sinogram needs")
        rest = rest[end:]
    return found


def _numbers(element: tuple[int, memoryview], order: str) -> np.ndarray:
    kind, body = element
    return np.frombuffer(body, f"{order}{_DTYPES[kind]}")


def _matrix(body: memoryview, order: str, depth: int = 0) -> tuple[str, Any]:
    """Name and value: an array, a dict of a struct, or None for whatever a sinogram has no use for."""
    parts = _elements(body, order)
    if not parts:
        return "", None
    flags = int(_numbers(parts[0], order)[0])
    kind = flags & 0xFF
    if kind == _TEXT:
        return bytes(parts[2][1]).decode("ascii"), bytes(parts[3][1]).replace(b"\0", b"").decode("utf-8", "replace")
    if kind not in (_STRUCT, *_NUMBERS) or flags & _COMPLEX or depth > _MAX_DEPTH:
        return "", None
    shape, name = tuple(map(int, _numbers(parts[1], order))), bytes(parts[2][1]).decode("ascii")
    if kind == _STRUCT:
        length, names = int(_numbers(parts[3], order)[0]), bytes(parts[4][1])
        fields = [names[i : i + length].split(b"\0")[0].decode() for i in range(0, len(names), max(length, 1))]
        if math.prod(shape) != 1:
            return name, None
        values = [_matrix(part[1], order, depth + 1)[1] for part in parts[5:] if part[0] == _MATRIX]
        return name, dict(zip(fields, values, strict=True))
    data = _numbers(parts[3], order)
    if math.prod(shape) != data.size:
        raise ValueError("an array is not of the size that it declares")
    return name, data.reshape(shape, order="F")
