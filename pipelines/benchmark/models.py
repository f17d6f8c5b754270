"""The learned models that a benchmark's methods need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from ctresample.errors import UsageError
from ctresample.learned import LearnedModel
from ctresample.pipelines.benchmark.runs import Run
from ctresample.pipelines.reconstruction.learned_models import load_model
from ctresample.pipelines.reconstruction.methods import METHODS, Needs

OPTIONS: dict[Needs, str] = {"latent prior": "--prior", "pixel prior": "--pixel-prior", "fbp-unet": "--fbp-unet"}
"""Where the command line asks for each kind."""


def load_models(
    runs: Sequence[Run], places: Mapping[Needs, str | None], device: torch.device | str
) -> dict[str, LearnedModel]:
    """Each model that is needed, once, by kind.

    Args:
        runs: the competitors.
        places: name or folder of each kind, where there is one.
        device: where to put them.

    Raises:
        UsageError: a method's model is not there.
        PriorError: there is no such model.
    """
    models: dict[str, LearnedModel] = {}
    for run in runs:
        kind = METHODS[run.method].needs
        if not kind or kind in models:
            continue
        place = places.get(kind)
        if place is None:
            raise UsageError(f"method {run.method} needs a {kind}; name one with {OPTIONS[kind]}, or leave it out")
        models[kind] = load_model(place, device, kind)
    return models
