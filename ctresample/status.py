"""What a running solver tells its caller, and how the caller may stop it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Status:
    """One step of a solver.

    Attributes:
        solver: its name.
        step: steps done, from 1.
        n_steps: steps at most.
        residual_ratio: observed over expected data residual, mean over the batch; 1 is the noise level.
    """

    solver: str
    step: int
    n_steps: int
    residual_ratio: float


Callback = Callable[[Status], bool | None]
"""Called after every step; returning False stops the solver, which then returns what it has."""


def report(callback: Callback | None, solver: str, step: int, n_steps: int, residual_ratio: float) -> bool:
    """Tell the callback; True while the solver should go on."""
    return callback is None or callback(Status(solver, step, n_steps, residual_ratio)) is not False
