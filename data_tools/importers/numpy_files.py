"""NPY and NPZ files whose headers may lie: nothing is allocated before the sizes agree, and no pickle is opened."""

from __future__ import annotations

import io
import math
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.lib import format as npy
from numpy.typing import DTypeLike, NDArray

from ctresample.data_tools.importers.readings import FIELDS, Facts, Readings
from ctresample.data_tools.plain_text import one_line
from ctresample.data_tools.sinogram.hdf5_checks import BEST_DEFLATE_RATIO, MAX_BYTES
from ctresample.errors import CTResampleError, SinogramError

_PIECE = 2**22  # bytes converted at a time
_MAX_ARRAYS, _MAX_HEADER = 1000, 10_000

OWN_GEOMETRY = {"sinogram", "angles_deg", "DSO_mm", "DSD_mm", "det_pix_mm"}
"""Arrays of an NPZ file that carries the geometry of a fan on a flat detector, as the Helsinki scans are passed on."""


def read_npy(path: Path) -> Readings:
    """The one array of an NPY file; `SinogramError` if it is none of numbers, or shorter or longer than it says."""
    with _sound(path), path.open("rb") as file:
        size = path.stat().st_size
        return Readings("NumPy file (NPY)", _stack(_array(file, size, str(path), size, np.float32), path))


def read_array(path: Path) -> NDArray[np.float32]:
    """The one array of an NPY file, of any number of axes, truth values too."""
    with _sound(path), path.open("rb") as file:
        size = path.stat().st_size
        return cast("NDArray[np.float32]", _array(file, size, str(path), size, np.float32, kinds="iufb"))


def read_npz(path: Path, names: dict[str, str]) -> Readings:
    """An NPZ file.

    Args:
        path: the file.
        names: of the arrays "array" and `FIELDS`, where the sidecar has them. Without a name for the
            readings, they are the only array, or the one called "sinogram" in a file with its own geometry.

    Raises:
        SinogramError: an array is missing, no array of numbers, or not of the size that it says.
    """
    with _sound(path), zipfile.ZipFile(path) as archive:
        members = _members(archive, path)

        def array(name: str, dtype: DTypeLike = np.float64) -> NDArray[np.floating]:
            if name not in members:
                shown = one_line(", ".join(sorted(members)), 120)
                raise SinogramError(f"{path} has no array {one_line(repr(name), 60)}; it has {shown}; correct its name")
            info = members[name]
            place = f"{path}, array {one_line(name, 60)},"
            with archive.open(info) as file:
                return _array(cast(BinaryIO, file), info.file_size, place, path.stat().st_size, dtype)

        facts: Facts = {}
        name = names.get("array")
        if name is None and members.keys() >= OWN_GEOMETRY:
            name, facts = "sinogram", _own_geometry({key: array(key) for key in OWN_GEOMETRY - {"sinogram"}}, path)
        if name is None and len(members) > 1:
            shown = one_line(", ".join(sorted(members)), 120)
            raise SinogramError(
                f"{path} has several arrays ({shown}); add array, the name of the readings, to the sidecar"
            )
        name = next(iter(members)) if name is None else name
        fields = [array(field) if (field := names.get(key)) else None for key in FIELDS]
        kind = "NumPy archive (NPZ) with its own geometry" if facts else "NumPy archive (NPZ)"
        return Readings(kind, _stack(array(name, np.float32), path), facts, *fields)


def _own_geometry(found: dict[str, NDArray[np.floating]], path: Path) -> Facts:
    for name, value in found.items():
        if value.ndim > 1 or (name != "angles_deg" and value.size != 1):
            raise SinogramError(f"{path}: {name} has shape {value.shape}; expected numbers as in a fan-beam scan")
    numbers = {name: value.ravel().tolist() for name, value in found.items()}
    return {
        "quantity": "line_integral",
        "axes": "view,detector",
        "geometry": {
            "type": "fan",
            "detector_shape": "flat",
            "angles_deg": numbers["angles_deg"],
            "detector_pitch_mm": numbers["det_pix_mm"][0],
            "source_to_axis_mm": numbers["DSO_mm"][0],
            "source_to_detector_mm": numbers["DSD_mm"][0],
        },
    }


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    infos = archive.infolist()
    members = {info.filename.removesuffix(".npy"): info for info in infos}
    if not 0 < len(members) == len(infos) <= _MAX_ARRAYS:
        raise SinogramError(f"{path} has {len(infos)} entries, or two of one name; expected 1 to {_MAX_ARRAYS} arrays")
    for info in infos:
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 1:
            raise SinogramError(f"{path} is encrypted or packed in an unusual way; save it with numpy.savez_compressed")
    return members


@contextmanager
def _sound(path: Path) -> Iterator[None]:
    try:
        with warnings.catch_warnings(action="ignore"):  # of headers from Python 2
            yield
    except CTResampleError:
        raise
    except MemoryError as error:
        raise SinogramError(f"{path} does not fit into memory; use a machine with more, or fewer slices") from error
    except OSError as error:
        raise SinogramError(f"{path} cannot be read ({error.strerror or 'damaged'})") from error
    except Exception as error:  # numpy, zipfile and zlib have a dozen ways to say so
        raise SinogramError(
            f"{path} is damaged or cut short ({type(error).__name__}); copy or make it again"
        ) from error


def _array(
    file: BinaryIO, size: int, place: str, file_bytes: int, wanted: DTypeLike, kinds: str = "iuf"
) -> NDArray[np.floating]:
    """The array in an NPY stream of ``size`` bytes, out of a file of ``file_bytes``, converted to a wanted type."""
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise SinogramError(f"{place} is NPY version {version[0]}.{version[1]}; expected numbers, in version 1 or 2")
    prefix = file.read(2 if version == (1, 0) else 4)
    length = int.from_bytes(prefix, "little")
    if length > _MAX_HEADER:
        raise SinogramError(f"{place} has a header of {length:,} bytes; expected at most {_MAX_HEADER:,}")
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read_header(io.BytesIO(prefix + file.read(length)))
    if dtype.kind not in kinds or dtype.itemsize > 8:
        raise SinogramError(
            f"{place} holds {one_line(str(dtype), 40)} values; expected numbers; objects are never opened"
        )
    declared, held = math.prod(shape) * dtype.itemsize, size - file.tell()
    limit = min(MAX_BYTES, BEST_DEFLATE_RATIO * file_bytes)
    if declared != held or not 0 < declared <= limit:
        raise SinogramError(
            f"{place} declares shape {one_line(str(shape), 60)}, {declared:,} bytes, and holds {held:,}; expected the "
            f"same, and at most {limit:,}; it is damaged or made to do harm"
        )
    flat = np.empty(math.prod(shape), wanted)
    done, step = 0, _PIECE // dtype.itemsize
    while done < len(flat):
        piece = file.read(min(step, len(flat) - done) * dtype.itemsize)
        found = np.frombuffer(piece, dtype)
        if not len(found):
            raise SinogramError(f"{place} is cut short; copy or make it again")
        flat[done : done + len(found)] = found
        done += len(found)
    return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)


def _stack(found: NDArray[np.floating], path: Path) -> NDArray[np.float32]:
    if found.ndim < 2:
        raise SinogramError(f"{path}: the readings have shape {found.shape}; expected at least views and detectors")
    return cast("NDArray[np.float32]", found)
