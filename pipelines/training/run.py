"""The training loop: steps, validation, early stop, checkpoints, curves and pictures."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import broadcast_object_list

from ctresample.errors import OutputError, UsageError
from ctresample.pipelines.training.checkpoint import CHECKPOINT, read_checkpoint, write_checkpoint
from ctresample.pipelines.training.curves import Curves, Row
from ctresample.pipelines.training.objective import Objective
from ctresample.pipelines.training.optimisation import Optimisation
from ctresample.pipelines.training.progress import OnStep
from ctresample.pipelines.training.settings import RunSettings

WITHOUT_EFFECT = ("workers", "pictures_every")
"""Settings of a run that may change when it is resumed, for its result does not depend on them."""


def train(
    objective: Objective,
    folder: Path,
    settings: RunSettings,
    identity: dict[str, Any],
    *,
    on_step: OnStep | None = None,
) -> bool:
    """Train the objective's network in place, from the last checkpoint in ``folder`` if there is one.

    When it returns, the network holds the moving average of its weights at the best validation. On one device a run
    that was killed and resumed gives the same weights, bit for bit, and the same curves as one that was not.

    Args:
        objective: what to train.
        folder: checkpoint, curves and pictures go here; made if need be.
        settings: of the run.
        identity: what the result depends on, from `identity`; a checkpoint of anything else is refused.
        on_step: told of every step, in the main process only.

    Returns:
        Whether this is the main process, which alone should save the result.

    Raises:
        UsageError: the checkpoint is of another run, or the loss is no longer a number.
        OutputError: something cannot be written; the last checkpoint is intact.
    """
    run = Optimisation(objective, settings)
    main = run.accelerator.is_main_process
    record = _Record(run.weights())
    saved = read_checkpoint(folder / CHECKPOINT, identity)
    if saved:
        run.load_state(saved["optimisation"])
        record = _Record(**saved["record"])
    curves = _open_curves(folder, record.rows) if main else None
    batches, losses = run.batches(), []
    while run.steps_done < settings.steps and not record.is_stale(settings.patience):
        loss = run.step(batches)
        losses.append(loss)
        step = run.steps_done
        figures = None
        if step % settings.validate_every == 0 or step == settings.steps:
            # over all processes, so that all of them notice when it is no longer a number
            mean_loss = float(run.accelerator.reduce(torch.stack(losses).mean(), "mean"))
            losses = []
            if not math.isfinite(mean_loss):
                raise UsageError(f"training: the loss is {mean_loss} at step {step}; lower run.learning_rate")
            if curves:
                figures = _validate(run, record, curves, mean_loss)
                state = {"identity": identity, "optimisation": run.state(), "record": vars(record)}
                write_checkpoint(folder / CHECKPOINT, state)
                curves.write()
            # only the main process validates, and all must agree on when to stop
            (record.stale,) = broadcast_object_list([record.stale])
        if on_step and main:
            on_step(step, float(loss), figures)
    if curves:
        curves.close()
    run.load_weights(record.best_weights)
    run.accelerator.free_memory()
    return main


def identity(settings: Any, data_digest: str, **more: Any) -> dict[str, Any]:
    """All that the result of a training depends on.

    Args:
        settings: of the autoencoder or the diffusion model, with the `RunSettings` as ``run``.
        data_digest: identifies the slices.
        more: anything else.
    """
    entries = asdict(settings)
    entries["run"] = {name: value for name, value in entries["run"].items() if name not in WITHOUT_EFFECT}
    return entries | {"data": data_digest} | more


@dataclass
class _Record:
    """What validations have found so far.

    Attributes:
        best_weights: of the best validation.
        best: its loss.
        stale: validations since then.
        rows: of the curves.
    """

    best_weights: dict[str, torch.Tensor]
    best: float = math.inf
    stale: int = 0
    rows: list[Row] = field(default_factory=list)

    def is_stale(self, patience: int) -> bool:
        return 0 < patience <= self.stale


def _open_curves(folder: Path, rows: list[Row]) -> Curves:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder} ({error.strerror}); choose another -o") from error
    curves = Curves(folder, rows)
    if rows:
        curves.write()  # a kill may have come between checkpoint and curves
    return curves


def _validate(run: Optimisation, record: _Record, curves: Curves, mean_loss: float) -> dict[str, float]:
    """Look at the moving average of the weights; the figures found."""
    settings, step = run.settings, run.steps_done
    run.ema.store(run.trained.values())
    run.ema.copy_to(run.trained.values())
    figures = run.objective.validate()
    if figures["loss"] < record.best:
        record.best, record.best_weights, record.stale = figures["loss"], run.weights(), 0
    else:
        record.stale += 1
    if settings.pictures_every and len(record.rows) % settings.pictures_every == 0:
        for name, pixels in run.objective.pictures().items():
            curves.picture(name, pixels, step)
    run.ema.restore(run.trained.values())
    rate = settings.learning_rate_at(step - 1)
    curves.add({"step": step, "learning_rate": rate, "train_loss": mean_loss, **figures})
    return figures
