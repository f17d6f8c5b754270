"""Settings that every training run has."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from ctresample.errors import UsageError

Precision = Literal["auto", "bf16", "fp16", "fp32"]


@dataclass(frozen=True)
class RunSettings:
    """Settings of a training run.

    Attributes:
        steps: optimiser steps, if validation stops none of them.
        batch_size: images that a device takes at once.
        accumulation: batches whose gradients are added up for one step; with several devices a step sees
            ``batch_size * accumulation * devices`` images.
        learning_rate: its peak, reached after ``warmup_steps`` and brought down by a cosine.
        warmup_steps: steps of linear growth.
        ema_decay: of the moving average of the weights, which is what gets validated and saved.
        validate_every: steps between two validations; each also writes a checkpoint and a row of the curves.
        patience: validations without a better one after which the run stops early; 0: never.
        pictures_every: validations between two sets of pictures; 0: none.
        workers: processes that make images ahead of their use; 0: none. The result does not depend on it.
        seed: of first weights, data order, augmentation and noise.
        precision: of the arithmetic. "auto" is bf16 on a GPU and fp32 on a CPU, where bf16 is the slower of the two.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}  # a recipe with a misspelt entry is refused

    steps: int
    batch_size: int = 8
    accumulation: int = 1
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    ema_decay: float = 0.998
    validate_every: int = 250
    patience: int = 0
    pictures_every: int = 1
    workers: int = 0
    seed: int = 0
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "accumulation", "validate_every"):
            _check(name, getattr(self, name), getattr(self, name) >= 1, "1 or more")
        for name in ("warmup_steps", "patience", "pictures_every", "workers", "seed"):
            _check(name, getattr(self, name), getattr(self, name) >= 0, "0 or more")
        _check("learning_rate", self.learning_rate, 0 < self.learning_rate < math.inf, "a number above 0")
        _check("ema_decay", self.ema_decay, 0 <= self.ema_decay < 1, "0 or more and below 1")
        _check("precision", self.precision, self.precision in get_args(Precision), " or ".join(get_args(Precision)))

    def learning_rate_at(self, step: int) -> float:
        """Warm-up, then a cosine down to 2 % of the peak."""
        warm = min(1.0, (step + 1) / max(self.warmup_steps, 1))
        return self.learning_rate * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / self.steps))))


def _check(name: str, value: object, right: bool, expected: str) -> None:
    if not right:
        raise UsageError(f"training: run.{name} is {value!r}; expected {expected}")
