"""A small picture of a result, to look over a batch in the morning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctresample.files import as_output_error
from ctresample.units import WINDOWS

PREVIEW_NAME = "preview.png"

_PIXELS = 192
_WINDOW = "soft tissue"


def write_preview(path: Path, images: list[NDArray[np.float32]]) -> None:
    """Write the middle slices of volumes side by side, in the soft tissue window.

    Args:
        path: the PNG file.
        images: ``[z, y, x]`` in HU, of one shape.

    Raises:
        OutputError: it cannot be written.
    """
    from PIL import Image

    level, width = WINDOWS[_WINDOW]
    side_by_side = np.concatenate([hu[len(hu) // 2] for hu in images], axis=1)
    share = np.clip((side_by_side - (level - width / 2)) / width, 0, 1)
    picture = Image.fromarray(np.rint(255 * share).astype(np.uint8))
    rows, columns = images[0].shape[1:]
    scale = min(1, _PIXELS / max(rows, columns))
    if scale < 1:
        picture = picture.resize((round(columns * scale) * len(images), round(rows * scale)), Image.Resampling.BOX)
    with as_output_error(path):
        picture.save(path, format="PNG", optimize=True)
