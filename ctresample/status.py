"""What a running solver tells its caller, and how the caller may stop it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Status:
    """One step of a solver.

    Attributes:
        solver: its name.
        step: steps done, from 1.
        n_steps: steps at most.
        ratio: what `residual_ratio` is, as the solver has it: a number that lies on a device is not waited for unless
            someone asks.
    """

    solver: str
    step: int
    n_steps: int
    ratio: float | torch.Tensor

    @property
    def residual_ratio(self) -> float:
        """Observed over expected data residual, mean over the batch; 1 is the noise level."""
        return float(self.ratio)


Callback = Callable[[Status], bool | None]
"""Called after every step; returning False stops the solver, which then returns what it has."""


def report(callback: Callback | None, solver: str, step: int, n_steps: int, ratio: float | torch.Tensor) -> bool:
    """Tell the callback; True while the solver should go on."""
    return callback is None or callback(Status(solver, step, n_steps, ratio)) is not False
