"""EDF, the format of the European Synchrotron: headers of text before plain arrays, one or many in a file.

A header is a block ``{ key = value ; ... }`` of a multiple of 512 bytes; its Dim_1 runs fastest.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctresample.data_tools.importers.readings import FIELDS, Note, Readings
from ctresample.data_tools.plain_text import one_line
from ctresample.data_tools.sinogram.hdf5_checks import MAX_BYTES
from ctresample.errors import SinogramError

SUFFIX = ".edf"
_BLOCK, _LONGEST_HEADER, _MOST_FRAMES = 512, 2**16, 100_000
_ORDERS = {"highbytefirst": ">", "lowbytefirst": "<"}
_TYPES = {
    "unsignedbyte": "u1",
    "signedbyte": "i1",
    "unsignedshort": "u2",
    "signedshort": "i2",
    "unsignedinteger": "u4",
    "signedinteger": "i4",
    "unsignedlong": "u4",
    "signedlong": "i4",
    "float": "f4",
    "floatvalue": "f4",
    "real": "f4",
    "double": "f8",
    "doublevalue": "f8",
}


def read_edf(path: Path, names: Mapping[str, str], on_note: Note) -> Readings:
    """A file of one or many frames, or a folder of files in order of the numbers in their names; frames come first.

    Args:
        path: the file or folder.
        names: of the files "array" and `FIELDS` beside it, where the sidecar has them; several
            with commas between are averaged.
        on_note: told which files of a folder were left out.

    Raises:
        SinogramError: no frame, frames of several shapes, compressed, cut short, or absurdly large.
    """
    place = path if path.is_dir() else path.parent
    fields = {key: [_there(place, name.strip()) for name in names[key].split(",")] for key in FIELDS if key in names}
    used = {file for files in fields.values() for file in files}
    if "array" in names:
        files = [_there(place, names["array"])]
    elif path.is_dir():
        found = sorted((one for one in path.iterdir() if one.suffix.lower() == SUFFIX), key=_by_number)
        files = [one for one in found if one not in used and not re.match("(?i)(flat|dark|ref)", one.name)]
        if n_left := len(set(found) - used) - len(files):
            on_note(f"{n_left} EDF files are no readings by their names, left out; name them flat_array or dark_array")
    else:
        files = [path]
    flat, dark, after = (
        _stack(fields[key]).mean(axis=0, dtype=np.float64) if key in fields else None for key in FIELDS
    )
    return Readings("EDF", _stack(files), flat=flat, dark=dark, flat_after=after)


def _stack(files: list[Path]) -> NDArray[np.float32]:
    frames: list[NDArray[np.float32]] = []
    n_bytes = 0
    for file in files:
        for frame in _frames(file):
            n_bytes += 4 * frame.size
            if n_bytes > MAX_BYTES or len(frames) >= _MOST_FRAMES:
                raise SinogramError(f"{file}: the frames take over {MAX_BYTES >> 30} GiB; use fewer")
            if frames and frame.shape != frames[0].shape:
                raise SinogramError(f"{file} has a frame of shape {frame.shape}; expected {frames[0].shape} as before")
            frames.append(frame.astype(np.float32))
    if not frames:
        raise SinogramError("there is no EDF frame; expected a file or folder of them")
    return np.stack(frames)


def _frames(file: Path) -> Iterator[NDArray[np.generic]]:
    try:
        content = np.memmap(file, np.uint8, "r")
    except (OSError, ValueError) as error:
        raise SinogramError(f"{file} cannot be read ({getattr(error, 'strerror', None) or 'empty'})") from error
    start = 0
    while start < len(content):
        head = content[start : start + _LONGEST_HEADER].tobytes()
        end = head.find(b"}")
        if not head.lstrip().startswith(b"{") or end < 0:
            raise SinogramError(f"{file} is no sound EDF file: no header at byte {start}; copy it again")
        header = _header(head[:end].decode("ascii", "replace"))
        begin = start + -(-(end + 1) // _BLOCK) * _BLOCK
        dtype, shape = _type_of(file, header), _shape_of(file, header)
        size = dtype.itemsize * math.prod(shape)
        if begin + size > len(content):
            raise SinogramError(
                f"{file} declares a frame of {size:,} bytes, {max(0, len(content) - begin):,} are there; "
                "it is cut short"
            )
        yield content[begin : begin + size].view(dtype).reshape(shape)
        start = begin + max(size, int(header.get("edf_binarysize", "0") or 0) if size else 0)


def _header(text: str) -> dict[str, str]:
    pairs = (line.split("=", 1) for line in text.lstrip("{ \r\n").split(";") if "=" in line)
    return {key.strip().lower(): value.strip() for key, value in pairs}


def _type_of(file: Path, header: dict[str, str]) -> np.dtype[np.generic]:
    kind = header.get("datatype", "")
    if header.get("compression", "none").lower() not in ("none", "no", ""):
        raise SinogramError(f"{file}: its frames are compressed; expected plain ones; save it without compression")
    if kind.lower() not in _TYPES:
        raise SinogramError(f"{file}: DataType is {one_line(kind, 30)!r}; expected numbers of 8 to 64 bits")
    order, number = header.get("byteorder", ""), _TYPES[kind.lower()]
    if order.lower() not in _ORDERS and number[1:] != "1":
        raise SinogramError(
            f"{file}: ByteOrder is {one_line(order, 30)!r}; expected HighByteFirst or LowByteFirst; save it again"
        )
    return np.dtype(_ORDERS.get(order.lower(), "<") + number)


def _shape_of(file: Path, header: dict[str, str]) -> tuple[int, ...]:
    sides: list[int] = []
    while (side := header.get(f"dim_{len(sides) + 1}")) is not None:
        if not side.isdecimal() or not 0 < int(side) < 2**20:
            raise SinogramError(f"{file}: Dim_{len(sides) + 1} is {one_line(side, 20)!r}; expected a number of pixels")
        sides.append(int(side))
    if len(sides) not in (1, 2):
        raise SinogramError(f"{file} has frames of {len(sides)} dimensions; expected one or two")
    return tuple(reversed(sides))


def _there(folder: Path, name: str) -> Path:
    for one in (folder / name, folder / f"{name}{SUFFIX}"):
        if one.name in (name, f"{name}{SUFFIX}") and one.is_file():
            return one
    raise SinogramError(f"{folder} has no EDF file {one_line(repr(name), 60)}; correct its name")


def _by_number(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]
