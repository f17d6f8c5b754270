"""The steps of the noise schedule that are visited, and their levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctresample.errors import PriorError, UsageError

if TYPE_CHECKING:  # takes seconds to import
    from diffusers import DDIMScheduler


@dataclass(frozen=True)
class Step:
    """One step of DDIM.

    Attributes:
        t: step of the schedule that the network is asked at.
        level: ``t`` as a fraction of the schedule.
        alpha_bar: cumulative product of the schedule at ``t``.
        alpha_bar_previous: that of the next, less noisy step ("previous" in the schedule's own order).
    """

    t: int
    level: float
    alpha_bar: float
    alpha_bar_previous: float


def steps_of(scheduler: DDIMScheduler, n_steps: int, start_level: float = 1.0, stop_level: float = 0.0) -> list[Step]:
    """The steps from ``start_level`` down, noisiest first; there is always one.

    Levels are those of diffusers' `DDIMScheduler.step`: after the last step comes its ``final_alpha_cumprod``, which is
    1 with ``set_alpha_to_one`` and otherwise the first of the schedule.

    Args:
        scheduler: of the prior.
        n_steps: over the whole schedule.
        start_level: fraction of the schedule to start from.
        stop_level: above 0, there are ``n_steps`` from the start to this fraction, spaced geometrically; near its end
            several may fall on one step of the schedule, which then is taken again.
    """
    n_train = scheduler.config["num_train_timesteps"]
    if stop_level:
        spaced = np.geomspace(start_level, stop_level, n_steps) * (n_train - 1)
        visited = [round(t) for t in spaced]
        levels = [float(scheduler.alphas_cumprod[t]) for t in visited] + [float(scheduler.final_alpha_cumprod)]
        return _steps(visited, levels, n_train)
    every = timesteps(scheduler, n_steps)
    visited = [t for t in every if t <= start_level * (n_train - 1)] or [every[-1]]
    beyond = visited[-1] - n_train // n_steps
    last = scheduler.final_alpha_cumprod if beyond < 0 else scheduler.alphas_cumprod[beyond]
    levels = [float(scheduler.alphas_cumprod[t]) for t in visited] + [float(last)]
    return _steps(visited, levels, n_train)


def _steps(visited: Sequence[int], levels: Sequence[float], n_train: int) -> list[Step]:
    return [Step(t, t / (n_train - 1), levels[i], levels[i + 1]) for i, t in enumerate(visited)]


def timesteps(scheduler: DDIMScheduler, n_steps: int) -> list[int]:
    """Steps of the schedule, noisiest first, spaced as the scheduler's ``timestep_spacing`` says.

    They are those of diffusers' `DDIMScheduler.set_timesteps`, but that "leading" steps span the schedule also where
    ``n_steps`` does not divide it (diffusers rounds their distance down, so that 600 of 1000 would begin at 600), and
    that none is past its end.

    Raises:
        UsageError: more steps than the schedule has.
        PriorError: a spacing that diffusers does not know.
    """
    n_train, spacing = scheduler.config["num_train_timesteps"], scheduler.config["timestep_spacing"]
    if n_steps > n_train:
        raise UsageError(f"n_steps is {n_steps}; the prior's schedule has {n_train} steps")
    if spacing == "leading":
        offset = scheduler.config["steps_offset"]
        steps = {offset + k * n_train // n_steps for k in range(n_steps)}
    elif spacing == "trailing":
        steps = {round(n_train - k * n_train / n_steps) - 1 for k in range(n_steps)}
    elif spacing == "linspace":
        steps = {round(k * (n_train - 1) / max(n_steps - 1, 1)) for k in range(n_steps)}
    else:
        raise PriorError(f"the prior's timestep_spacing is {spacing!r}; expected leading, trailing or linspace")
    return sorted((t for t in steps if 0 <= t < n_train), reverse=True)
