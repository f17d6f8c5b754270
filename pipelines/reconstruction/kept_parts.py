"""Finished parts of a reconstruction on disk, so that one that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctresample.errors import UsageError
from ctresample.files import as_output_error, remove_unfinished, write_file
from ctresample.finite_json import finite
from ctresample.sinogram import Sinogram

_SETTINGS = "parts.json"


@dataclass(frozen=True, eq=False)
class KeptPart:
    """What came of slices that were solved together.

    Attributes:
        image_hu: of those that count, ``[slice, y, x]``.
        ratios: their residual ratios.
        steps: of every step its solver's name, its number, and the residual then.
    """

    image_hu: NDArray[np.float32]
    ratios: NDArray[np.float64]
    steps: Sequence[tuple[str, int, float]]


class KeptParts:
    """A folder with the images of finished parts, each whole or not there; they hold no headers.

    Args:
        folder: new, empty, or of an earlier run of the same reconstruction.
        sinogram: what is reconstructed.
        settings: all else that the images follow from, JSON-able.

    Raises:
        UsageError: the folder holds something else, or parts of another reconstruction.
        OutputError: it cannot be written.
    """

    def __init__(self, folder: Path, sinogram: Sinogram, settings: Mapping[str, Any]) -> None:
        self._folder = folder
        own = json.dumps({"sinogram": _fingerprint(sinogram), **finite(settings)}, indent=1, sort_keys=True) + "\n"
        place = folder / _SETTINGS
        with as_output_error(folder):
            folder.mkdir(parents=True, exist_ok=True)
            if not place.exists():
                mine = all(name.name.startswith(".") for name in folder.iterdir())
                if not mine and not place.exists():  # another process may have begun with it just now
                    raise UsageError(f"{folder} is neither empty nor of an earlier run; choose another folder")
                write_file(place, own)
            elif place.read_bytes() != own.encode():
                raise UsageError(
                    f"{folder} keeps parts of another scan, or made with other settings or by another version; repeat "
                    "the command as it was, or choose another folder"
                )

    def get(self, slices: Sequence[int]) -> KeptPart | None:
        """What came of these slices; None if it is not there, or damaged."""
        try:
            with np.load(io.BytesIO(self._place(slices).read_bytes()), allow_pickle=False) as stored:
                if stored["slices"].tolist() == list(slices):
                    steps = zip(*(stored[name].tolist() for name in ("solvers", "steps", "residuals")), strict=True)
                    return KeptPart(stored["image_hu"], stored["ratios"], list(steps))
        except Exception:  # noqa: S110 - a damaged archive fails in more ways than anyone lists, and is made again
            pass
        return None

    def put(self, slices: Sequence[int], part: KeptPart) -> None:
        """Keep what came of these slices; it is on the disk when this returns."""
        content = io.BytesIO()
        np.savez(
            content,
            slices=np.array(slices),
            image_hu=part.image_hu,
            ratios=part.ratios,
            solvers=np.array([solver for solver, _, _ in part.steps], dtype=np.str_),
            steps=np.array([step for _, step, _ in part.steps], dtype=np.int64),
            residuals=np.array([residual for _, _, residual in part.steps], dtype=np.float64),
        )
        write_file(self._place(slices), content.getbuffer())

    def _place(self, slices: Sequence[int]) -> Path:
        return self._folder / f"slices-{slices[0]:05}-{slices[-1]:05}-{len(slices)}.npz"


def remove_parts(folder: Path) -> None:
    """Clear a folder of `KeptParts`: all is finished. What else may be in it stays."""
    with as_output_error(folder):
        for place in [*folder.glob("slices-*.npz"), folder / _SETTINGS]:
            place.unlink(missing_ok=True)
        remove_unfinished(folder)
        if not any(folder.iterdir()):
            folder.rmdir()


def _fingerprint(sinogram: Sinogram) -> str:
    """One hash over all that its images follow from."""
    digest = hashlib.sha256(np.ascontiguousarray(sinogram.values).data)
    for array in (sinogram.photons, sinogram.bad_rays, sinogram.affine):
        digest.update(b"-" if array is None else np.ascontiguousarray(array).data)
    facts = (
        sinogram.geometry.name,
        astuple(sinogram.geometry),
        sinogram.grid,
        sinogram.angle_shifts_rad,
        sinogram.slice_offsets_mm,
        sinogram.electronic_noise,
        sinogram.mu_water_per_mm,
    )
    digest.update(repr(facts).encode())
    return digest.hexdigest()
