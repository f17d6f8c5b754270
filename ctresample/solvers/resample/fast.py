"""The chain of our presets: little noise on an image that agrees with the data, denoised, brought to agree, and again.

ReSample with hard consistency in pixel space at every step and stochastic encoding (Song et al., Proposition 1) as its
only way back to noise, so that nothing is kept of the unconditional path. The prior's last estimates are averaged as
images: their errors differ, the more so as each saw the image in another frame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from ctresample.solvers.diffusion.checks import check_finite
from ctresample.solvers.diffusion.schedule import Step
from ctresample.solvers.resample.hard_consistency import Problem
from ctresample.solvers.resample.mean_image import MeanImage
from ctresample.solvers.resample.resampling import stochastic_encode


def fast_chain(
    problem: Problem,
    steps: Sequence[Step],
    z: torch.Tensor,
    condition: torch.Tensor | None,
    generators: Sequence[torch.Generator],
    told: Callable[[], bool],
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The last clean latents, and the mean of the prior's last images.

    Args:
        problem: the measurement and the prior.
        steps: of the schedule, noisiest first.
        z: latents ``(B, C, h, w)`` at the level of the first step.
        condition: for a prior that is conditioned, the clean latents that ``z`` was made of; it is then shown the last
            ones that agree with the data.
        generators: one a slice.
        told: after every step; False stops.
    """
    s, prior, z_0, estimates = problem.settings, problem.prior, z, MeanImage()
    for i, step in enumerate(steps):
        z_0, _ = prior.predict(z, step.t) if condition is None else prior.predict(z, step.t, condition)
        if len(steps) - i <= s.averaged_steps:
            estimates.add(problem.decode(z_0))
        z_0 = problem.agree(z_0, step, "pixel", generators, relative_level=step.t / max(steps[0].t, 1))
        condition = z_0 if s.conditioned else None
        z = stochastic_encode(z_0, step.alpha_bar_previous, generators)
        check_finite("resample", z, i + 1, len(steps))
        if not told():
            break
    return z_0, estimates.value
