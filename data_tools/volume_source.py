"""CT volumes in NIfTI, NRRD and MetaImage files as sources, in place of DICOM.

None of these formats says what its values are, so they are judged by themselves; none has headers of a patient or a
study, so that a series made of one gets headers of its own.
"""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ctresample.data_tools.dicom.codecs import quiet_stderr
from ctresample.data_tools.dicom.neighbours import neighbour_doubts
from ctresample.data_tools.dicom.spacing import pixel_doubts, spacing_problem
from ctresample.data_tools.dicom.values import ValueCounts
from ctresample.errors import VolumeFileError
from ctresample.paths import StrPath, as_path
from ctresample.volume import Volume

SOURCE_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".mha")
MAX_VOXELS = 2**30
"""4 GiB as they are read."""

_DETACHED = (".nhdr", ".mhd", ".hdr", ".img")
_MAX_SIDE = 4096
_MAX_RATIO = 1100  # of gzip: at most 1032
_HEAD_BYTES, _CHUNK_BYTES = 65536, 2**22
_NIFTI_HEADER_BYTES, _BITS = 352, (8, 16, 32, 64)


def is_volume_file(path: Path) -> bool:
    """Whether a file's name ends as that of a volume in one file; a folder's may, too."""
    return path.name.lower().endswith(SOURCE_SUFFIXES) and path.is_file()


def check_kind(path: Path) -> None:
    """`VolumeFileError` for a file that only describes a volume whose values lie in another."""
    if path.name.lower().endswith(_DETACHED) and path.is_file():
        raise VolumeFileError(
            f"{path} names its values in another file, and such names are not followed; save the volume as one file, "
            f"{', '.join(SOURCE_SUFFIXES)}"
        )


def volume_size(path: Path) -> tuple[int, int, int]:
    """Slices, rows, columns as the file states them, upright in the patient, without reading values.

    Raises:
        VolumeFileError: as :func:`read_volume_file`.
    """
    reader = _opened(path)
    axes = np.abs(np.reshape(reader.GetDirection(), (reader.GetDimension(),) * 2)[:3, :3])
    x, y, z = (reader.GetSize()[int(axes[row].argmax())] for row in range(3))
    return z, y, x


def read_volume_file(path: StrPath, on_warning: Callable[[str], None] | None = None) -> Volume:
    """Read a volume in HU.

    Args:
        path: one of `SOURCE_SUFFIXES`.
        on_warning: called with one line for each thing worth knowing.

    Returns:
        HU ``[z, y, x]`` without headers. Axes are exchanged and turned round, never resampled, until the slices lie as
        those of a DICOM series: columns to the patient's left, rows to the back, slices to the head, as nearly as can.

    Raises:
        VolumeFileError: damaged, no three dimensions of one grey value, too large, or values that are certainly no HU.
    """
    import SimpleITK

    path = as_path(path, "path")
    warn = on_warning or (lambda line: None)
    reader = _opened(path)
    try:
        with quiet_stderr():
            image = reader.Execute()
            if image.GetDimension() == 4:
                image = image[:, :, :, 0]
            image = SimpleITK.DICOMOrient(image, "LPS")
            hu = SimpleITK.GetArrayFromImage(image).astype(np.float32)
    except (RuntimeError, MemoryError) as error:
        raise VolumeFileError(f"{path} is damaged, or too large for this machine; save it again") from error
    values = ValueCounts.of(hu)
    if reason := values.why_not_hu():
        raise VolumeFileError(f"{path}: {reason}; expected HU; convert the values first")
    spacing = np.array(image.GetSpacing())
    if problem := spacing_problem(spacing.tolist()):
        raise VolumeFileError(f"{path} has voxels of {spacing.tolist()} mm; {problem}")
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * spacing
    affine[:3, 3] = image.GetOrigin()
    if below := values.far_below_air():
        warn(f"{path}: {below}")
    for doubt in (*pixel_doubts(spacing[:2].tolist()), *values.doubts({}), *neighbour_doubts(hu)):
        warn(f"{path}: {doubt}")
    return Volume(hu, affine)


@lru_cache(maxsize=1)
def last_volume_file(path: Path) -> Volume:
    """As `read_volume_file`, kept for the next slice of the same file."""
    return read_volume_file(path)


def _opened(path: Path) -> Any:  # SimpleITK is slow to load, for its class, too
    """A reader of the file that knows its size, checked against that of the file."""
    import SimpleITK

    _check_whole(path)
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        with quiet_stderr():
            reader.ReadImageInformation()
    except RuntimeError as error:
        raise VolumeFileError(f"{path} is no whole volume file; save it again") from error
    size, n_values = reader.GetSize(), reader.GetNumberOfComponents()
    if n_values != 1 or not (len(size) == 3 or (len(size) == 4 and size[3] == 1)):
        shape = " x ".join(map(str, size))
        raise VolumeFileError(
            f"{path} holds {shape} voxels of {n_values} value(s); expected three dimensions of one; save one volume"
        )
    declared = math.prod(size)
    if declared > MAX_VOXELS or max(size[:3]) > _MAX_SIDE or min(size) < 1:
        raise VolumeFileError(f"{path} declares {' x '.join(map(str, size))} voxels; expected a CT volume")
    if declared > path.stat().st_size * _MAX_RATIO:
        raise VolumeFileError(f"{path} declares far more voxels than it can hold; it is damaged, save it again")
    if path.name.lower().endswith((".nii", ".nii.gz")):
        _check_nifti_length(path, declared)
    reader.SetOutputPixelType(SimpleITK.sitkFloat64 if declared < MAX_VOXELS // 8 else SimpleITK.sitkFloat32)
    return reader


def _check_nifti_length(path: Path, n_voxels: int) -> None:
    """Refuse a file that was cut short: its reader would fill up with zeros."""
    found = 0
    try:
        with (gzip.open if path.name.lower().endswith(".gz") else open)(path, "rb") as file:
            head = file.read(_HEAD_BYTES)
            bits = next(n for n in (int.from_bytes(head[72:74], order) for order in ("little", "big")) if n in _BITS)
            needed = _NIFTI_HEADER_BYTES + n_voxels * bits // 8
            found = len(head)
            while found < needed and (chunk := file.read(_CHUNK_BYTES)):
                found += len(chunk)
    except StopIteration:
        return  # NIfTI-2, whose reader checks
    except (OSError, EOFError, zlib.error) as error:
        raise VolumeFileError(f"{path} is damaged ({type(error).__name__}); save it again") from error
    if found < needed:
        raise VolumeFileError(f"{path} is truncated: {found} bytes of at least {needed}; copy or save it again")


def _check_whole(path: Path) -> None:
    """Refuse headers that send their reader to another file."""
    check_kind(path)
    try:
        with (gzip.open if path.name.lower().endswith(".gz") else open)(path, "rb") as file:
            head = file.read(_HEAD_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise VolumeFileError(f"{path} cannot be read ({type(error).__name__}); save it again") from error
    text = head.split(b"\n\n")[0].lower()
    elsewhere = head.startswith(b"NRRD") and bool(re.search(rb"^data ?file\s*:", text, re.MULTILINE))
    if path.name.lower().endswith(".mha"):
        elsewhere = not re.search(rb"^elementdatafile\s*=\s*local\s*$", head.lower(), re.MULTILINE)
    if elsewhere or head[344:348] == b"ni1\0":
        raise VolumeFileError(
            f"{path} names its values in another file, and such names are not followed; save the volume as one file"
        )
