"""A small picture of a result, to look over a batch in the morning."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctresample.files import as_output_error
from ctresample.planes import VoxelSize, planes
from ctresample.units import WINDOWS

PREVIEW_NAME = "preview.png"

_PIXELS = 192
_WINDOW = "soft tissue"


def write_preview(
    path: Path, images: list[NDArray[np.float32]], voxel_mm: VoxelSize | None = None, *, last_up: bool = True
) -> None:
    """Write the middle slices of volumes side by side, below each its coronal and sagittal plane.

    All in the soft tissue window and at one scale in mm; single slices and uneven steps have no other planes.

    Args:
        path: the PNG file.
        images: ``[z, y, x]`` in HU, of one shape.
        voxel_mm: of them; None where slices are no neighbours.
        last_up: whether the last slice lies nearest to the head.

    Raises:
        OutputError: it cannot be written.
    """
    from PIL import Image

    columns = [_column(planes(hu, voxel_mm, last_up=last_up)) for hu in images]
    picture = Image.fromarray(np.concatenate(columns, axis=1))
    scale = min(1, _PIXELS * len(images) / picture.width, _PIXELS / images[0].shape[1])
    if scale < 1:
        picture = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BOX)
    with as_output_error(path):
        picture.save(path, format="PNG", optimize=True)


def _column(views: Mapping[str, NDArray[np.floating[Any]]]) -> NDArray[np.uint8]:
    """Grey values of the planes of one volume, below each other on black."""
    level, width = WINDOWS[_WINDOW]
    widest = max(hu.shape[1] for hu in views.values())
    parts = []
    for hu in views.values():
        grey = np.rint(255 * np.clip((hu - (level - width / 2)) / width, 0, 1)).astype(np.uint8)
        left = (widest - hu.shape[1]) // 2
        parts.append(np.pad(grey, ((0, 0), (left, widest - hu.shape[1] - left))))
    return np.concatenate(parts)
