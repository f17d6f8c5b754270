"""What the folder of one series' result holds."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

from ctresample.pipelines.batch.settings import BatchSettings

RESULTS_NAME = "series"

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


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
