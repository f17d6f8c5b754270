"""How images, scans and results show themselves: in one line, and as HTML in a notebook. Neither names a patient."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctresample.units import WINDOWS

CAUTION = "For research, not for diagnosis."

_LUNG_BELOW_HU, _BONE_ABOVE_HU = -300.0, 300.0
_LARGEST = 512
"""Pixels of a picture along each side at most: a notebook keeps every one it has shown."""


def slices_in_words(shape: tuple[int, ...]) -> str:
    """``2 slices of 512 x 512 pixels`` for a shape ``(slices, rows, columns)``."""
    n, rows, columns = shape
    return f"{n} slice{'s'[: n > 1]} of {rows} x {columns} pixels"


def middle(slices: NDArray[Any]) -> NDArray[Any]:
    """The middle one of ``[slice, ...]``."""
    return slices[len(slices) // 2]


def hu_picture(image_hu: NDArray[np.floating[Any]]) -> str:
    """A slice in HU as an HTML figure, in the soft-tissue window."""
    level, width = WINDOWS["soft tissue"]
    low, high = level - width / 2, level + width / 2
    return _figure(image_hu, low, high, f"middle slice, {low:g} to {high:g} HU")


def scan_picture(values: NDArray[np.floating[Any]]) -> str:
    """Line integrals ``[view, detector]`` as an HTML figure, black at 0."""
    most = float(values.max())
    return _figure(values, 0.0, most, f"middle slice: a view a row, line integrals of 0 to {most:.3g}")


def telling_window(hu: NDArray[np.floating[Any]]) -> str:
    """The window, by its name in `ctresample.units.WINDOWS`, in which a part of an image is neither black nor white."""
    typical = float(np.nanmedian(hu))
    return "lung" if typical < _LUNG_BELOW_HU else "bone" if typical > _BONE_ABOVE_HU else "soft tissue"


def as_html(title: str, figure: str, facts: Mapping[str, object]) -> str:
    """A figure with a table of facts and the caution; facts that are None are left out."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th><td style='text-align:left'>{escape(str(fact))}</td></tr>"
        for name, fact in facts.items()
        if fact is not None
    )
    return (
        f"<div style='display:flex;gap:1em;align-items:flex-start'>{figure}"
        f"<div><b>{escape(title)}</b><table>{rows}</table><i>{CAUTION}</i></div></div>"
    )


def png_source(image: NDArray[np.floating[Any]], level: float, width: float) -> str:
    """``[y, x]`` as the source of an HTML image: black at ``level - width / 2``, white at ``level + width / 2``."""
    from PIL import Image  # here, for only notebooks and reports need it

    grey = (np.nan_to_num(image) - (level - width / 2)) * (255 / max(width, 1e-12))
    content = io.BytesIO()
    Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).save(content, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode("ascii")


def _figure(image: NDArray[np.floating[Any]], low: float, high: float, caption: str) -> str:
    step = -(-max(image.shape) // _LARGEST)
    source = png_source(image[::step, ::step], (low + high) / 2, high - low)
    return (
        f"<figure style='margin:0'><img style='max-width:320px;min-width:160px' alt='{escape(caption)}' "
        f"src='{source}'><figcaption>{escape(caption)}</figcaption></figure>"
    )
