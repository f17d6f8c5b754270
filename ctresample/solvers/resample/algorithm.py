"""Algorithm 1 of ReSample as published.

Song, Kwon, Zhang, Hu, Qu and Shen, "Solving Inverse Problems with Latent Diffusion Models via Hard Data
Consistency", ICLR 2024 (arXiv 2307.08123). Equation numbers are theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from ctresample.solvers.diffusion.checks import check_finite
from ctresample.solvers.diffusion.schedule import Step
from ctresample.solvers.resample.hard_consistency import Problem
from ctresample.solvers.resample.resampling import resampled


def algorithm_1(
    problem: Problem,
    steps: Sequence[Step],
    z: torch.Tensor,
    generators: Sequence[torch.Generator],
    told: Callable[[], bool],
) -> torch.Tensor:
    """The clean latents at the end of the chain from noisy ones ``z``.

    Args:
        problem: the measurement, the prior, and at which steps consistency is imposed.
        steps: of the schedule, noisiest first.
        z: latents ``(B, C, h, w)`` at the level of the first step.
        generators: one a slice.
        told: after every step; False stops.
    """
    s, prior, z_0 = problem.settings, problem.prior, z
    for i, step in enumerate(steps):
        z_0, epsilon = prior.predict(z, step.t)
        z = ddim(z_0, epsilon, step.alpha_bar_previous)
        stage = s.stage(i, step.level)
        if stage is not None:
            z_0 = look_ahead(problem, z, z_0, steps[i + 1 :])
            z_0 = problem.agree(z_0, step, stage, generators, relative_level=step.t / max(steps[0].t, 1))
            z = resampled(z_0, z, step, s, generators)
        check_finite("resample", z, i + 1, len(steps))
        if not told():
            break
    return z_0


def ddim(z_0: torch.Tensor, epsilon: torch.Tensor, alpha_bar: float) -> torch.Tensor:
    """Deterministic DDIM step to the level of ``alpha_bar`` (eq. 4 with eta = 0)."""
    return alpha_bar**0.5 * z_0 + (1 - alpha_bar) ** 0.5 * epsilon


def look_ahead(problem: Problem, z: torch.Tensor, z_0: torch.Tensor, following: Sequence[Step]) -> torch.Tensor:
    """The estimate after a few more unconditional steps, cleaner than ``z_0``; they are then undone."""
    for step in following[: problem.settings.inner_steps]:
        z_0, epsilon = problem.prior.predict(z, step.t)
        z = ddim(z_0, epsilon, step.alpha_bar_previous)
    return z_0
