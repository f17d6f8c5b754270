"""Make the model card of a prior from its folder and those of its slices and runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from ctresample.data_tools.training_data import TrainingSlices
from ctresample.errors import UsageError
from ctresample.files import whole_folder
from ctresample.learned.folders import find_prior, weights_sha256
from ctresample.learned.latent_prior import LatentPrior
from ctresample.learned.prior_config import PriorConfig
from ctresample.paths import StrPath, as_path, as_paths
from ctresample.pipelines.model_card.card import Sampling, measure_card
from ctresample.pipelines.model_card.curves import read_curve
from ctresample.pipelines.model_card.write import FIGURES, README, write_card
from ctresample.pipelines.work import Progress


def make_card(
    prior: StrPath,
    out: StrPath,
    *,
    training: StrPath,
    validation: StrPath,
    test: StrPath | None = None,
    runs: StrPath | Sequence[StrPath] = (),
    text: StrPath | None = None,
    against: Sequence[str] = (),
    n_samples: int = 16,
    steps: int = 100,
    seed: int = 0,
    device: torch.device | str = "cpu",
    on_progress: Progress | None = None,
    on_note: Callable[[str], None] | None = None,
) -> str:
    """Measure a prior and write ``README.md``, its pictures and ``card.json``.

    Args:
        prior: folder of the prior, or the name of a bundled one.
        out: new or empty folder, or one with an earlier card, which is replaced.
        training: slices that it was trained on, as `TrainingSlices.read` takes them; so too the next two.
        validation: slices that the training stopped on.
        test: slices of patients that no choice was made on.
        runs: folders of training runs, for their curves.
        text: Markdown of the author: licences, DOIs, intended use, limits.
        against: priors whose denoising error stands beside.
        n_samples: images to draw from noise.
        steps: sampling steps of each.
        seed: of all random numbers.
        device: where to compute.
        on_progress: told how far the whole is.
        on_note: told what is worth knowing about the slices.

    Returns:
        What the card says about copies of training slices, in a line.

    Raises:
        PriorError: a prior that is none, or that does not take 512 x 512 pixels.
        UsageError: a run without a log, a text that cannot be read, or a patient in two sets.
        OutputError: ``out`` cannot be written; nothing is left of the card.
    """
    out = as_path(out, "out")
    training = as_path(training, "training")
    validation = as_path(validation, "validation")
    test = None if test is None else as_path(test, "test")
    text = None if text is None else as_path(text, "text")
    words = _read_text(text)
    curves = [read_curve(run) for run in as_paths(runs, "runs")]
    folder = find_prior(prior)
    with whole_folder(out, replaces=frozenset({README, FIGURES})) as partial:
        model = LatentPrior.from_pretrained(folder, device)
        others = {_label(name, model.config.name): LatentPrior.from_pretrained(name, device) for name in against}
        folders = {"training": training, "validation": validation, "test": test}
        sets = {role: TrainingSlices.read(path, on_note) for role, path in folders.items() if path}
        card, samples = measure_card(
            model,
            folder,
            sets,
            against=others,
            curves=curves,
            sampling=Sampling(n_samples, steps, seed),
            progress=on_progress,
        )
        write_card(partial, card, samples, model, sets, words)
    found = card.memorisation
    return f"{len(found.near_copies)} of {n_samples} samples are as near to a training slice as copies are"


def _label(name_or_folder: str, taken: str) -> str:
    """Name of another prior, told apart by its weights if the first prior has that name too."""
    folder = find_prior(name_or_folder)
    name = PriorConfig.load(folder).name
    return f"{name} ({weights_sha256(folder)[:8]})" if name == taken else name


def _read_text(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as text ({error}); expected Markdown in UTF-8") from None
