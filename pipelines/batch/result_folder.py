"""What the folder of one series' result holds."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctresample.pipelines.batch.settings import BatchSettings

RESULTS_NAME = "series"

_DICOM_EXTRA_BYTES = 16_000  # header of a slice, its share of run.json
_SERIES_EXTRA_BYTES = 100_000  # preview, run.json, frame of the report


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
    n_pixels = math.prod(shape)
    of_slice = {"dicom": 2 * n_pixels + _DICOM_EXTRA_BYTES}
    return (
        n_slices * settings.n_images * sum(of_slice.get(name, 4 * n_pixels) for name in settings.formats)
        + _SERIES_EXTRA_BYTES
    )


def is_whole(folder: Path, finished: Mapping[str, Any], *, trust_sizes: bool = False) -> bool:
    """Whether a folder still holds what it did when it was finished.

    Args:
        folder: the result.
        finished: number, size and hash of its files, as the manifest has them.
        trust_sizes: do not look at the contents.
    """
    names = ("files", "n_bytes") if trust_sizes else ("files", "n_bytes", "sha256")
    wanted = [finished.get(name) for name in names]
    try:
        if not folder.is_dir() or [content_of(folder, hashed=False).files] != wanted[:1]:
            return False
        found = content_of(folder, hashed=not trust_sizes)
    except OSError:  # what cannot be read is of no use
        return False
    return [getattr(found, name) for name in names] == wanted


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
