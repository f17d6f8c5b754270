"""Open HDF5 files that may be damaged, cut short or hostile, and look at a data set before reading it.

HDF5 makes a file do much that a data container never needs: name other files to read from, load filter plugins,
declare terabytes in a kilobyte. All of it is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from ctresample.data_tools.plain_text import one_line
from ctresample.errors import CTResampleError, SinogramError

MAX_BYTES = 32 * 1024**3
"""The largest data set that is read, as declared."""

BEST_DEFLATE_RATIO = 1032  # deflate cannot do better, so a file that declares more declares what it does not hold
_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open a file for reading; whatever h5py raises on a damaged one becomes a `SinogramError` that names the file."""
    try:
        if not path.is_file():
            found = "a folder" if path.is_dir() else "not there"
            raise SinogramError(f"{path} is {found}; expected a sinogram file")
        with path.open("rb"):  # says why a file cannot be opened in fewer words than h5py
            pass
        if not h5py.is_hdf5(path):
            raise SinogramError(
                f"{path} is no HDF5 file; expected a sinogram file; make one with `ctresample simulate`"
            )
        with h5py.File(path, "r", locking="best-effort") as file:
            yield file
    except CTResampleError:
        raise
    except MemoryError as error:
        raise SinogramError(f"{path} does not fit into memory; use a machine with more, or fewer slices") from error
    except PermissionError as error:
        raise SinogramError(f"{path} cannot be opened ({error.strerror})") from error
    except Exception as error:  # h5py passes on half a dozen types
        raise SinogramError(
            f"{path} is damaged or cut short ({type(error).__name__} while reading it); copy or make it again"
        ) from error


def child(file: h5py.File, name: str, path: Path) -> h5py.Dataset | h5py.Group | None:
    """The data set or group of an absolute name inside the file, or None; no link is followed."""
    here: h5py.Group = file
    seen = ""
    for part in name.strip("/").split("/"):
        if not isinstance(here, h5py.Group):
            return None
        link = here.get(part, getlink=True)
        if link is None:
            return None
        seen += f"/{part}"
        if not isinstance(link, h5py.HardLink):
            kind = "an external" if isinstance(link, h5py.ExternalLink) else "a soft"
            raise SinogramError(f"{path}: {seen} is {kind} link; expected the data itself; save it without links")
        here = here[part]
    return here


def dataset(file: h5py.File, name: str, path: Path, *, ndim: int, kind: str) -> h5py.Dataset | None:
    """A data set that is safe to read whole, or None if there is none of that name.

    Args:
        file: the open file.
        name: absolute name inside the file.
        path: of the file, for messages.
        ndim: expected number of axes.
        kind: "text" (fixed length where there is an axis), or the name of a NumPy type or of a family of them
            ("float32", "floating", "integer", "real" for either).

    Raises:
        SinogramError: links, data kept in other files, filters other than gzip, another type or number of axes,
            a declared size that cannot be true, or parts that were never written.
    """
    found = child(file, name, path)
    if found is None:
        return None
    if not isinstance(found, h5py.Dataset):
        raise SinogramError(f"{path}: {name} is a group; expected a data set")
    if not _is_kind(found.dtype, kind, ndim):
        wanted = "text of fixed length" if kind == "text" and ndim else kind
        raise SinogramError(f"{path}: {name} holds {one_line(str(found.dtype), 40)} values; expected {wanted}")
    if found.ndim != ndim or 0 in found.shape:
        raise SinogramError(f"{path}: {name} has shape {found.shape}; expected {ndim} axes, none of length 0")
    properties = found.id.get_create_plist()
    if found.is_virtual or properties.get_external_count():
        raise SinogramError(f"{path}: the values of {name} are in other files; expected all in one; save a plain copy")
    filters = {properties.get_filter(index)[0] for index in range(properties.get_nfilters())}
    if not filters <= _FILTERS:
        raise SinogramError(f"{path}: {name} is packed by HDF5 filter {max(filters)}; expected gzip or none")
    _check_size(found, name, path)
    return found


def _is_kind(dtype: np.dtype, kind: str, ndim: int) -> bool:
    if kind == "text":
        text = h5py.check_string_dtype(dtype)
        return text is not None and (ndim == 0 or text.length is not None)
    if kind == "integer":
        return dtype.kind in "iu"
    if kind == "real":
        return dtype.kind in "iuf"
    if kind == "floating":
        return dtype.kind == "f"
    return dtype == np.dtype(kind)


def _check_size(found: h5py.Dataset, name: str, path: Path) -> None:
    item, file_bytes = found.dtype.itemsize, path.stat().st_size
    declared = math.prod(found.shape) * item
    unit = math.prod(found.chunks or ()) * item  # a chunk may be declared larger than all values together
    if max(declared, unit) > min(MAX_BYTES, BEST_DEFLATE_RATIO * file_bytes):
        raise SinogramError(
            f"{path}: {name} declares {max(declared, unit):,} bytes in a file of {file_bytes:,}; expected at most "
            f"{BEST_DEFLATE_RATIO} times the file and {MAX_BYTES >> 30} GiB; it is damaged or made to do harm"
        )
    if found.chunks is None:
        whole = found.id.get_storage_size() >= declared
    else:
        steps = zip(found.shape, found.chunks, strict=True)
        whole = found.id.get_num_chunks() == math.prod(-(-length // step) for length, step in steps)
    if not whole:  # HDF5 would fill what is missing with zeros, without a word
        raise SinogramError(f"{path}: parts of {name} were never written; make the file again")
