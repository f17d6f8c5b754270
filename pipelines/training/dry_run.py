"""What a training would take, found out by a few of its steps; nothing is written."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any, TypeVar

import torch

from ctresample.pipelines.training.coarse_objective import CoarseObjective
from ctresample.pipelines.training.coarse_settings import CoarseSettings
from ctresample.pipelines.training.diffusion_objective import DiffusionObjective
from ctresample.pipelines.training.objective import Objective
from ctresample.pipelines.training.optimisation import Optimisation
from ctresample.pipelines.training.prior_settings import DiffusionSettings
from ctresample.pipelines.training.settings import RunSettings

S = TypeVar("S", bound=DiffusionSettings | CoarseSettings)

TIMED_STEPS = 3
SMALL_POOL = 32
BYTES_PER_TRAINED = 24
"""Weight, gradient, two moments, moving average and best weight, of four bytes each."""


@dataclass(frozen=True)
class DryRun:
    """What was found out.

    Attributes:
        steps: of the whole run.
        n_parameters: of the network.
        n_trained: of those, trained.
        n_opponent: parameters of the opponent in adversarial training.
        memory_bytes: at the peak.
        memory_is: how that was found, in words.
        device: that the steps ran on, with their precision.
        step_s: seconds a step.
        validation_s: seconds a validation, with its pictures.
        n_validations: in the whole run.
        pools_s: seconds for encoding images, in the whole run.
    """

    steps: int
    n_parameters: int
    n_trained: int
    n_opponent: int
    memory_bytes: float
    memory_is: str
    device: str
    step_s: float
    validation_s: float
    n_validations: int
    pools_s: float = 0.0

    @property
    def whole_run_s(self) -> float:
        """Seconds of a run that validation does not stop early."""
        return self.steps * self.step_s + self.n_validations * self.validation_s + self.pools_s


def dry_run(objective: Objective, settings: RunSettings) -> DryRun:
    """Train a few steps in memory and validate once."""
    gpu = torch.cuda.is_available()
    if gpu:
        torch.cuda.reset_peak_memory_stats()
    run = Optimisation(objective, settings)
    batches = run.batches()
    float(run.step(batches))  # the first step also sets things up
    began = time.perf_counter()
    for _ in range(TIMED_STEPS):
        float(run.step(batches))  # waits for the device
    step_s = (time.perf_counter() - began) / TIMED_STEPS
    began = time.perf_counter()
    objective.validate()
    if settings.pictures_every:
        objective.pictures()
    validation_s = time.perf_counter() - began
    n_trained = sum(p.numel() for p in run.trained.values())
    opponent = objective.opponent
    memory_bytes, memory_is = _memory(gpu, n_trained)
    return DryRun(
        steps=settings.steps,
        n_parameters=sum(p.numel() for p in objective.network.parameters()),
        n_trained=n_trained,
        n_opponent=0 if opponent is None else sum(p.numel() for p in opponent.parameters()),
        memory_bytes=memory_bytes,
        memory_is=memory_is,
        device=f"{run.accelerator.device.type}, {run.accelerator.mixed_precision.replace('no', 'fp32')}",
        step_s=step_s,
        validation_s=validation_s,
        n_validations=math.ceil(settings.steps / settings.validate_every),
    )


def dry_run_diffusion(build: Callable[[S], DiffusionObjective[Any] | CoarseObjective], settings: S) -> DryRun:
    """The same for a denoiser, with a small pool of latents in place of the whole one.

    Args:
        build: makes the objective from settings.
        settings: of the whole run.
    """
    small = replace(settings, pool=min(settings.pool, SMALL_POOL))
    objective = build(small)
    began = time.perf_counter()
    next(objective.batches(small.pool * settings.run.accumulation, 0))  # the first that needs a second pool
    image_s = (time.perf_counter() - began) / small.pool
    n_pools = math.ceil(settings.run.steps / settings.pool)
    return replace(dry_run(objective, settings.run), pools_s=n_pools * settings.pool * image_s)


def _memory(gpu: bool, n_trained: int) -> tuple[float, str]:
    if gpu:
        return torch.cuda.max_memory_allocated(), "measured: peak of the GPU"
    if find_spec("resource") is None:
        return n_trained * BYTES_PER_TRAINED, "computed: weights and optimiser, without images and activations"
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    in_bytes = 1 if sys.platform == "darwin" else 1024
    return peak * in_bytes, "measured: peak of this process, slices included"
