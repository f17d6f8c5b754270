"""How a training run tells how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable

OnStep = Callable[[int, float, dict[str, float] | None], None]
"""Told step, loss and, when there are some, the figures of a validation."""


SILENCE_S = 30.0


def progress_printer(steps: int, echo: Callable[[str], None]) -> OnStep:
    """An `OnStep` that prints a line at each validation and at least every half minute, with the time left."""
    began, first = time.monotonic(), None
    last_line = began

    def on_step(step: int, loss: float, figures: dict[str, float] | None) -> None:
        nonlocal first, last_line
        first, now = step if first is None else first, time.monotonic()
        if figures is None and now - last_line < SILENCE_S:
            return
        last_line, left = now, (now - began) / (step - first + 1) * (steps - step)
        shown = "".join(f"  {name} {value:.4g}" for name, value in (figures or {}).items())
        echo(f"step {step}/{steps}  train {loss:.4g}{shown}  {left / 60:.0f} min left")

    return on_step
