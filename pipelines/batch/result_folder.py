"""The folder of one series' result: there whole or not at all, also after a crash."""

from __future__ import annotations

import hashlib
import math
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ctresample.pipelines.batch.settings import BatchSettings
from ctresample.pipelines.output import as_output_error, new_folder

RESULTS_NAME = "series"

_HIDDEN = ".ctresample-"  # as new_folder calls what it has not finished
_DICOM_EXTRA_BYTES = 16_000  # header of a slice, its share of run.json
_SERIES_EXTRA_BYTES = 100_000  # preview, run.json


@dataclass(frozen=True)
class Content:
    """What a folder holds.

    Attributes:
        files: how many.
        n_bytes: of all of them.
        sha256: over names and contents; empty where it was not asked for.
    """

    files: int
    n_bytes: int
    sha256: str = ""


@contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """As `new_folder`, but an older result in its place is taken away when the new one is whole.

    The files are on the disk before they appear under their name, so that a power failure leaves none that is empty.

    Raises:
        OutputError: the place cannot be written.
    """
    fresh = path.with_name(f"{_HIDDEN}{secrets.token_hex(4)}.partial")
    with new_folder(fresh) as folder:
        yield folder
        with as_output_error(path):
            for entry in (*folder.rglob("*"), folder):
                _to_disk(entry)
    with as_output_error(path):
        if path.exists():
            _take_away(path)
        fresh.rename(path)
        _to_disk(path.parent)


def content_of(folder: Path, *, hashed: bool = True) -> Content:
    """Number, size and, if wanted, hash of all files of a folder."""
    digest, files = hashlib.sha256(), _files(folder)
    for file in files if hashed else ():
        digest.update(f"{file.relative_to(folder).as_posix()} {file.stat().st_size}\n".encode())
        digest.update(file.read_bytes())
    n_bytes = sum(file.stat().st_size for file in files)
    return Content(len(files), n_bytes, digest.hexdigest() if hashed else "")


def bytes_needed(n_slices: int, shape: tuple[int, int], settings: BatchSettings) -> int:
    """About what a result takes on the disk: 16 bits a pixel in DICOM; in other formats 32, hardly less compressed."""
    n_images = 1 + settings.residual_map + bool(settings.uncertainty)
    n_pixels = math.prod(shape)
    of_slice = {"dicom": 2 * n_pixels + _DICOM_EXTRA_BYTES}
    return (
        n_slices * n_images * sum(of_slice.get(name, 4 * n_pixels) for name in settings.formats) + _SERIES_EXTRA_BYTES
    )


def is_whole(folder: Path, *, files: int, n_bytes: int) -> bool:
    """Whether a folder still holds as much as when it was finished."""
    return folder.is_dir() and content_of(folder, hashed=False) == Content(files, n_bytes)


def remove_unfinished(parent: Path) -> None:
    """Clear what killed processes have left in the folder of all results."""
    for left in parent.glob(f"{_HIDDEN}*"):
        shutil.rmtree(left, ignore_errors=True)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _take_away(path: Path) -> None:
    """Remove a folder so that nobody sees half of it."""
    old = path.with_name(f"{_HIDDEN}{secrets.token_hex(4)}.partial")
    path.rename(old)
    shutil.rmtree(old, ignore_errors=True)


def _to_disk(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folders
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
