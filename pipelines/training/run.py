"""What both trainings share: schedule, moving average, checkpoints that survive a kill, a log."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from diffusers.training_utils import EMAModel

from ctresample.errors import UsageError

CHECKPOINT = "checkpoint.pt"
LOG = "log.csv"


@dataclass(frozen=True)
class RunSettings:
    """Settings of a training run.

    Attributes:
        steps: optimiser steps.
        batch_size: images a step.
        learning_rate: its peak, reached after ``warmup_steps`` and brought down by a cosine.
        warmup_steps: steps of linear growth.
        ema_decay: of the moving average of the weights, which is what gets validated and saved.
        validate_every: steps between two validations; each also writes a checkpoint.
        seed: of data order, augmentation and noise.
        precision: "bf16" (autocast) or "fp32".
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}  # a recipe with a misspelt entry is refused

    steps: int
    batch_size: int = 8
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    ema_decay: float = 0.998
    validate_every: int = 250
    seed: int = 0
    precision: str = "bf16"

    def __post_init__(self) -> None:
        if min(self.steps, self.batch_size, self.validate_every) < 1:
            raise UsageError("training: steps, batch_size and validate_every must be 1 or more")
        if self.precision not in ("bf16", "fp32"):
            raise UsageError(f"training: precision is {self.precision!r}; expected bf16 or fp32")

    def learning_rate_at(self, step: int) -> float:
        """Warm-up, then a cosine down to 2 % of the peak."""
        warm = min(1.0, (step + 1) / max(self.warmup_steps, 1))
        return self.learning_rate * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / self.steps))))


Loss = Callable[[int], torch.Tensor]
"""Loss of the batch of a step; must depend on nothing but the step, so that a resumed run repeats it."""


def train(
    model: torch.nn.Module,
    loss_at: Loss,
    validate: Callable[[], dict[str, float]],
    folder: Path,
    settings: RunSettings,
    *,
    on_step: Callable[[int, float, dict[str, float] | None], None] | None = None,
) -> None:
    """Train ``model`` in place, from the last checkpoint in ``folder`` if there is one.

    When it returns, the model holds the moving average of the best validation (the lowest ``loss`` among the
    figures that ``validate`` returns).

    Args:
        model: the module; its parameters are trained.
        loss_at: the loss at a step.
        validate: figures of the model as it stands; must contain ``loss``.
        folder: checkpoints and the log go here.
        settings: of the run.
        on_step: told step, loss and, when there are some, validation figures.
    """
    folder.mkdir(parents=True, exist_ok=True)
    optimiser = torch.optim.AdamW(model.parameters(), settings.learning_rate, betas=(0.9, 0.99), weight_decay=1e-4)
    ema = EMAModel(model.parameters(), decay=settings.ema_decay, use_ema_warmup=True, power=0.75)
    first, best, best_weights = _resume(folder / CHECKPOINT, model, optimiser, ema)
    for step in range(first, settings.steps):
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate_at(step)
        with torch.autocast(_device_type(model), dtype=torch.bfloat16, enabled=settings.precision == "bf16"):
            loss = loss_at(step)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        ema.step(model.parameters())
        figures = None
        if (step + 1) % settings.validate_every == 0 or step + 1 == settings.steps:
            ema.store(model.parameters())
            ema.copy_to(model.parameters())
            figures = validate()
            if figures["loss"] < best:
                best, best_weights = figures["loss"], {k: v.clone() for k, v in model.state_dict().items()}
            ema.restore(model.parameters())
            state = {
                "step": step + 1,
                "model": model.state_dict(),
                "optimiser": optimiser.state_dict(),
                "ema": ema.state_dict(),
                "best": best,
                "best_weights": best_weights,
            }
            _save(state, folder / CHECKPOINT)
            _log(folder / LOG, {"step": step + 1, "train_loss": float(loss.detach()), **figures})
        if on_step:
            on_step(step + 1, float(loss.detach()), figures)
    model.load_state_dict(best_weights)


def _resume(path: Path, model: torch.nn.Module, optimiser: Any, ema: EMAModel) -> tuple[int, float, dict[str, Any]]:
    if not path.is_file():
        return 0, math.inf, model.state_dict()
    try:
        state = torch.load(path, weights_only=True)
        model.load_state_dict(state["model"])
    except (RuntimeError, KeyError, EOFError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise UsageError(
            f"{path} does not fit this run ({first}); use another folder or the run's own settings"
        ) from None
    optimiser.load_state_dict(state["optimiser"])
    ema.load_state_dict(state["ema"])
    return state["step"], state["best"], state["best_weights"]


def _save(state: dict[str, Any], path: Path) -> None:
    """Whole or not at all: the previous checkpoint stays until the new one is on disk."""
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def _log(path: Path, row: dict[str, float]) -> None:
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


def _device_type(model: torch.nn.Module) -> str:
    return next(model.parameters()).device.type


def progress_printer(steps: int, echo: Callable[[str], None]) -> Callable[[int, float, dict[str, float] | None], None]:
    """An ``on_step`` that prints a line at each validation, with the time left."""
    began, first = time.monotonic(), None

    def on_step(step: int, loss: float, figures: dict[str, float] | None) -> None:
        nonlocal first
        first = step if first is None else first
        if figures is None:
            return
        left = (time.monotonic() - began) / (step - first + 1) * (steps - step)
        shown = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
        echo(f"step {step}/{steps}  train {loss:.4g}  {shown}  {left / 60:.0f} min left")

    return on_step
