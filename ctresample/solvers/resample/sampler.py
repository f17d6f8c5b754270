"""ReSample: latent diffusion sampling made hard-consistent with the measurement (Song et al., ICLR 2024).

What all its chains share: the start, as many chains as asked for, and the last step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch

from ctresample.consistency import Neighbours
from ctresample.learned.latent_prior import LatentPrior
from ctresample.operators import MeasurementModel
from ctresample.operators.given import measured
from ctresample.solvers.diffusion.schedule import Step, steps_of
from ctresample.solvers.diffusion.steps import normal_like
from ctresample.solvers.diffusion.volumes import n_slices
from ctresample.solvers.resample.ablations import any_chain
from ctresample.solvers.resample.algorithm import algorithm_1, ddim
from ctresample.solvers.resample.checks import check_hu_range, check_inputs
from ctresample.solvers.resample.fast import fast_chain
from ctresample.solvers.resample.final import final_consistency
from ctresample.solvers.resample.hard_consistency import Problem
from ctresample.solvers.resample.mean_image import MeanImage
from ctresample.solvers.resample.settings import ReSampleSettings
from ctresample.status import Callback, report
from ctresample.units import MU_WATER_PER_MM

SPREAD_AT_THE_END = 1.0
"""Of the last fit in latents, which are standardised: it may go anywhere that the prior thinks possible."""


def resample(
    y: torch.Tensor,
    A: MeasurementModel,
    prior: LatentPrior,
    *,
    sigma: torch.Tensor,
    settings: ReSampleSettings,
    generators: Sequence[torch.Generator],
    start: torch.Tensor | None = None,
    mu_water_per_mm: float = MU_WATER_PER_MM,
    neighbours: Neighbours | None = None,
    callback: Callback | None = None,
) -> torch.Tensor:
    """Attenuation images that the prior finds likely and the measurement allows.

    Args:
        y: line integrals ``(B, 1, views, detectors)``, or what else ``A`` measures; of a volume ``(1, 1, ...)``.
        A: the projector, on images or a volume in 1/mm; or a nonlinear model, such as `Transmission` with ``y`` in
            counts.
        prior: the latent diffusion prior.
        sigma: standard deviation of each value of ``y``; of counts, see `Transmission.sigma`.
        settings: see `ReSampleSettings`.
        generators: one CPU generator a slice, the only source of randomness: a slice's result does not depend on
            the batch it is in, nor on the device.
        start: ``(B, 1, rows, columns)`` in 1/mm, encoded and noised to ``settings.start_level``; needed if that
            is below 1.
        mu_water_per_mm: attenuation of water that HU refer to.
        neighbours: what the slices of a volume have to do with each other.
        callback: told of every step.

    Returns:
        ``(B, 1, rows, columns)`` in 1/mm, or a volume.

    Raises:
        UsageError: generators or a start image are missing, or there are more steps than the prior's schedule has.
        PriorError: the image does not fit the prior's networks or HU range, or the sampling diverged.
    """
    prior.check_shape(A.domain_shape)
    y, sigma = measured(A, y, sigma)
    check_inputs(len(y) * n_slices(A.domain_shape), settings, generators, start)
    if start is not None:
        check_hu_range(start, prior, mu_water_per_mm)
    problem = Problem.whitened(y, A, sigma, prior, settings, mu_water_per_mm, neighbours)
    steps = steps_of(prior.scheduler, settings.n_steps, settings.start_level, settings.stop_level)
    n, done, running = settings.chains * len(steps), 0, True

    def told() -> bool:
        nonlocal done, running
        done += 1
        running = callback is None or report(callback, "resample", done, n, problem.ratio())
        return running

    mean = MeanImage()
    for _ in range(settings.chains):
        problem.move_frame(generators)
        z, condition = _start(problem, start, steps[0], generators)
        z_0, image = _chain(problem, steps, z, condition, generators, told)
        if settings.final == "latent":
            z_0 = problem.fit_latent(z_0, spread=SPREAD_AT_THE_END)
        mean.add(problem.decode(z_0) if image is None else image)
        if not running:
            break
    return final_consistency(cast(torch.Tensor, mean.value), y, problem)


def _chain(
    problem: Problem,
    steps: Sequence[Step],
    z: torch.Tensor,
    condition: torch.Tensor | None,
    generators: Sequence[torch.Generator],
    told: Callable[[], bool],
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The last clean latents, and the mean of the prior's last images, by the plainest chain that serves."""
    s = problem.settings
    if s.is_fast:
        return fast_chain(problem, steps, z, condition, generators, told)
    if s.defects or s.gradient_scale or s.averaged_steps:
        return any_chain(problem, steps, z, generators, told)
    return algorithm_1(problem, steps, z, generators, told), None


def _start(
    problem: Problem, start: torch.Tensor | None, first: Step, generators: Sequence[torch.Generator]
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Noisy latents at the first level, and the condition; pure noise has no use for a start image."""
    z_0 = problem.encode(problem.y.new_zeros(1, 1, *problem.A.domain_shape) if start is None else start)
    for _ in range(problem.settings.rounds):
        z_0 = problem.round(z_0, generators)
    noise = normal_like(z_0.expand(len(generators), -1, -1, -1), generators)
    z = noise if start is None else ddim(z_0, noise, first.alpha_bar)
    return z, z_0 if problem.settings.conditioned else None
