"""The viewer as HTML: a part of a page that needs nothing outside itself, and the policy that the page must have."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctresample.finite_json import finite
from ctresample.pipelines.page import filled
from ctresample.pipelines.viewer.bounded import bounded
from ctresample.pipelines.viewer.packing import NOTHING, packed
from ctresample.pipelines.viewer.scene import Layer, Scene
from ctresample.units import WINDOWS

MOST_BYTES = 6_000_000
"""Of the packed values of one page: with the pictures for print, a report stays below 15 MB."""

_LARGEST_DIFFERENCE_SHARE = 0.95
"""Of the pixels stay below the difference that has the full colour: one bad region leaves the rest to be seen."""


@dataclass(frozen=True)
class Embedded:
    """What a page puts into itself.

    Attributes:
        html: the viewer, for the body.
        script: for the end of the body.
        policy: of the page: nothing is fetched, and this script alone is run.
    """

    html: str
    script: str
    policy: str


@cache
def script() -> str:
    """The program of the viewer."""
    return (Path(__file__).parents[1] / "templates" / "viewer.js").read_text(encoding="utf-8")


def policy() -> str:
    """A Content-Security-Policy under which nothing leaves or enters a page and no script but the viewer's runs."""
    digest = base64.b64encode(hashlib.sha256(script().encode()).digest()).decode("ascii")
    parts = ("default-src 'none'", "img-src data:", "style-src 'unsafe-inline'", f"script-src 'sha256-{digest}'")
    return "; ".join((*parts, "base-uri 'none'", "form-action 'none'"))


def embed(scene: Scene) -> Embedded:
    """Pack a scene, within `MOST_BYTES`, and make its HTML."""
    shown = bounded(scene, MOST_BYTES)
    blocks = [packed(layer.hu) for layer in shown.layers]
    truth = next((layer for layer in shown.layers if layer.role == "truth"), None)
    maps = [layer.label for layer in shown.layers if layer.role == "map"]
    about = {
        "shape": shown.shape,
        "voxel_mm": shown.voxel_mm,
        "last_is_up": shown.last_is_up,
        "first": shown.first,
        "slices": list(shown.slice_names),
        "nothing": NOTHING,
        "windows": WINDOWS,
        "layers": [_about(layer, truth) for layer in shown.layers],
    }
    html = filled(
        "viewer.html.j2",
        about=json.dumps(finite(about), ensure_ascii=False).replace("<", "\\u003c"),  # no tag ends the block
        blocks=blocks,
        scene=shown,
        images=[layer for layer in shown.layers if layer.role != "map"],
        overlays=["difference"] * bool(truth) + list(dict.fromkeys(maps)),
        windows=list(WINDOWS),
        megabytes=sum(map(len, blocks)) / 1e6,
        notes=shown.notes,
    )
    return Embedded(html, script(), policy())


def _about(layer: Layer, truth: Layer | None) -> dict[str, Any]:
    worst = [zoom and (zoom.row, zoom.column, zoom.size) for zoom in layer.worst]
    about = {"label": layer.label, "role": layer.role, "of": layer.of, "worst": worst, "rmse_hu": list(layer.rmse_hu)}
    if layer.role == "map":
        return {**about, "full_hu": full_colour_hu(layer.hu)}
    if layer.role == "image" and truth is not None:
        return {**about, "full_hu": full_colour_hu(np.subtract(layer.hu, truth.hu, dtype=np.float32))}
    return about


def full_colour_hu(values: NDArray[np.floating[Any]]) -> float:
    """A round number of HU that nearly all values stay below."""
    known = np.abs(values[np.isfinite(values)])
    most = float(np.quantile(known, _LARGEST_DIFFERENCE_SHARE)) if known.size else 0.0
    return float(next((step for step in (5, 10, 20, 50, 100, 200, 500, 1000, 2000) if most <= step), 5000))
