"""The chain with every choice at once: what ablations and the defects of the released code need.

The presets' own chains, `algorithm_1` and `fast_chain`, are the cases of it that are worth reading; tests hold them
equal to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from ctresample.solvers.diffusion.checks import check_finite
from ctresample.solvers.diffusion.schedule import Step
from ctresample.solvers.resample.algorithm import ddim
from ctresample.solvers.resample.defects import inner_step, tweedie
from ctresample.solvers.resample.hard_consistency import Problem
from ctresample.solvers.resample.mean_image import MeanImage
from ctresample.solvers.resample.resampling import resampled


def any_chain(
    problem: Problem,
    steps: Sequence[Step],
    z: torch.Tensor,
    generators: Sequence[torch.Generator],
    told: Callable[[], bool],
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The last clean latents, and the mean of the prior's last images; arguments as of `algorithm_1`."""
    s, prior, z_0, estimates = problem.settings, problem.prior, z, MeanImage()
    for i, step in enumerate(steps):
        z_0, epsilon = prior.predict(z, step.t)
        z = ddim(z_0, epsilon, step.alpha_bar_previous)
        z_0 = tweedie(z_0, epsilon, step.alpha_bar, s.defects)
        if len(steps) - i <= s.averaged_steps:
            estimates.add(problem.decode(z_0))
        if s.gradient_scale:
            z = problem.gradient_step(z, z_0, step.alpha_bar)
        stage = s.stage(i, step.level)
        if stage is not None:
            z_0 = _look_ahead(problem, z, z_0, steps[i:])
            z_0 = problem.agree(z_0, step, stage, generators, relative_level=step.t / max(steps[0].t, 1))
            z = resampled(z_0, z, step, s, generators)
        check_finite("resample", z, i + 1, len(steps))
        if not told():
            break
    return z_0, estimates.value


def _look_ahead(problem: Problem, z: torch.Tensor, z_0: torch.Tensor, steps: Sequence[Step]) -> torch.Tensor:
    """As `look_ahead` of the steps after the first of ``steps``, with their defects."""
    s, prior = problem.settings, problem.prior
    for before, step in list(zip(steps, steps[1:], strict=False))[: s.inner_steps]:
        z_0, epsilon = prior.predict(z, step.t)
        z_0, levels = inner_step(z, z_0, epsilon, step, before, s.defects)
        z = ddim(z_0, epsilon, levels.alpha_bar_previous)
        z_0 = tweedie(z_0, epsilon, levels.alpha_bar, s.defects)
    return z_0
