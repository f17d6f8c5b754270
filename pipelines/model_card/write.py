"""Write a model card: README.md, the pictures it shows, and card.json with every figure unrounded."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ctresample.data_tools.training_data import TrainingSlices
from ctresample.files import write_file
from ctresample.finite_json import finite
from ctresample.learned.latent_prior import LatentPrior
from ctresample.paths import StrPath, as_path
from ctresample.pipelines.hub import with_front_matter
from ctresample.pipelines.model_card.autoencoder import round_trip
from ctresample.pipelines.model_card.card import Card
from ctresample.pipelines.model_card.nearest import in_line
from ctresample.pipelines.model_card.pictures import (
    curves_png,
    denoising_png,
    grid_png,
    neighbours_png,
    round_trip_png,
)

README, FIGURES = "README.md", "card.json"
WINDOW = "soft tissue"

_SHOWN_SLICES, _SHOWN_NEIGHBOURS = 3, 5


def write_card(
    folder: StrPath,
    card: Card,
    samples: torch.Tensor,
    prior: LatentPrior,
    sets: dict[str, TrainingSlices],
    text: str = "",
) -> None:
    """Fill a folder with the card.

    The pictures show slices of the training set and of a held-out set, so that the card may be passed on where
    those may be.

    Args:
        folder: exists.
        card: from `measure_card`.
        samples: those of the card, ``(n, 1, size, size)`` in HU.
        prior: that the card is about.
        sets: the slices by role, as for `measure_card`.
        text: Markdown of the author: licences, DOIs, intended use and limits, which no measurement can tell.

    Raises:
        OutputError: a file cannot be written.
    """
    folder = as_path(folder, "folder")
    size = prior.config.image_size
    shown = sets.get("test", sets["validation"])
    truths = shown.whole(size, _spread(len(shown.hu), _SHOWN_SLICES))
    images = round_trip(prior, truths)
    found = card.memorisation.samples
    nearest = sorted(range(len(found)), key=lambda k: found[k].distance)[:_SHOWN_NEIGHBOURS]
    neighbours = [
        (samples[k, 0].numpy(), in_line(sets["training"], found[k], size).numpy(), found[k].distance) for k in nearest
    ]
    pictures = {
        "autoencoder.png": round_trip_png(list(zip(truths[:, 0].numpy(), images[:, 0].numpy(), strict=True)), WINDOW),
        "denoising.png": denoising_png(card.denoising),
        "samples_soft_tissue.png": grid_png(samples, WINDOW),
        "samples_lung.png": grid_png(samples, "lung"),
        "nearest.png": neighbours_png(neighbours, WINDOW),
    }
    if card.curves:
        pictures["training.png"] = curves_png(card.curves)
    for name, png in pictures.items():
        write_file(folder / name, png)
    write_file(folder / FIGURES, (json.dumps(finite(figures(card)), indent=1) + "\n").encode())
    readme = render(card, text, shown_role="test" if "test" in sets else "validation")
    write_file(folder / README, with_front_matter(readme, prior.config).encode())


def figures(card: Card) -> dict[str, Any]:
    """The card as plain numbers, with its conclusions."""
    memorisation = card.memorisation
    return asdict(card) | {
        "conclusions": {
            "samples_nearer_than_held_out": memorisation.nearer_than_held_out,
            "copy_distance": memorisation.copy_distance,
            "near_copies": memorisation.near_copies,
            "held_out_like_copies": memorisation.held_out_like_copies,
        }
    }


def render(card: Card, text: str, shown_role: str) -> str:
    """The card in Markdown."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parents[1] / "templates"),
        autoescape=select_autoescape(("html",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"number": _number, "cell": _cell, "window": _window}
    return environment.get_template("model_card.md.j2").render(
        card=card, text=text.strip(), shown_role=shown_role, window=WINDOW, memorisation=card.memorisation
    )


def _spread(n: int, wanted: int) -> list[int]:
    """So many indices below ``n``, or all, evenly spread."""
    return sorted({round((k + 0.5) * n / wanted - 0.5) for k in range(wanted)} & set(range(n)))


def _number(value: float, decimals: int = 1) -> str:
    # adding 0 makes a negative zero positive
    return "–" if not math.isfinite(value) else f"{round(value, decimals) + 0.0:.{decimals}f}".replace("-", "−")


def _cell(value: object) -> str:
    """Text that stays in its cell of a table."""
    return " ".join(str(value).replace("|", "\\|").split())


def _window(bounds: Sequence[float]) -> str:
    low, high = bounds
    if math.isinf(low):
        return "all" if math.isinf(high) else f"below {high:g}"
    return f"{low:g} to {high:g}"
