"""One batch of a sinogram to attenuation images, by the method asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count

import torch

from ctresample.geometry import ConeBeam
from ctresample.operators import LinearOperator, Projector
from ctresample.pipelines.physics import LINEARISATIONS, Problem
from ctresample.prior import LatentPrior
from ctresample.solvers.cgls import cgls
from ctresample.solvers.fbp import fbp
from ctresample.solvers.fdk import fdk
from ctresample.solvers.ramp import Window
from ctresample.solvers.resample import ReSampleSettings, resample
from ctresample.solvers.sirt import sirt
from ctresample.solvers.tv import tv
from ctresample.solvers.wls import wls
from ctresample.status import Status

Watch = Callable[[float, Status], None]
"""Told the share of the batch done, and the status of the solver at work."""

_ROUGH_HU = 10.0
"""A rough image will do where sampling starts: from its noised latents."""


def solve_classically(
    method: str, y: torch.Tensor, A: Projector, sigma: torch.Tensor, problem: Problem, window: Window, watch: Watch
) -> torch.Tensor:
    """Attenuation in 1/mm of line integrals ``y`` by a method without a prior.

    Args:
        method: "fbp" (of a cone beam FDK), "sirt", "cgls", "wls" or "tv".
        y: line integrals ``(B, 1, *A.range_shape)``.
        A: the projector.
        sigma: standard deviation of ``y``.
        problem: what is really measured; where that is not ``y`` by ``A``, the image is refined by it.
        window: of the ramp filter.
        watch: told of every step.
    """
    if method == "fbp":
        direct = fdk if isinstance(A.geometry, ConeBeam) else fbp
        return direct(y, A.geometry, A.grid, window=window)
    if method in ("sirt", "cgls"):
        return {"sirt": sirt, "cgls": cgls}[method](
            y, A, sigma=sigma, callback=lambda status: watch(status.step / status.n_steps, status)
        )
    rounds = count()

    def solve(y: torch.Tensor, A: LinearOperator, sigma: torch.Tensor) -> torch.Tensor:
        solver = {"wls": wls, "tv": tv}[method]
        return solver(y, A, sigma=sigma, spacing=spacing, callback=_one_of(next(rounds), problem, watch))

    spacing = [abs(step) / A.grid.pixel_size_mm for step in A.grid.steps_mm]
    x = solve(y, A, sigma)
    return x if problem.is_linear else problem.refined(x, solve)


def solve_by_resample(
    y: torch.Tensor,
    A: Projector,
    sigma: torch.Tensor,
    problem: Problem,
    prior: LatentPrior,
    *,
    settings: ReSampleSettings,
    generators: Sequence[torch.Generator],
    mu_water_per_mm: float,
    watch: Watch,
) -> torch.Tensor:
    """Attenuation in 1/mm by ReSample, from a TV image where the settings want a start; see `solve_classically`."""
    start = None
    if settings.warm_start == "tv" or not problem.is_linear:  # the noise of counts follows from an image
        rounds = count()

        def solve(y: torch.Tensor, A: LinearOperator, sigma: torch.Tensor) -> torch.Tensor:
            callback = _one_of(next(rounds), problem, lambda share, status: watch(0.3 * share, status))
            return tv(y, A, sigma=sigma, tolerance_hu=_ROUGH_HU, callback=callback)

        start = solve(y, A, sigma)
        if not problem.is_linear:
            start, sigma = problem.refined(start, solve), problem.sigma(start)
    base = 0.0 if start is None else 0.3
    return resample(
        problem.data,
        problem.model,
        prior,
        sigma=sigma,
        settings=settings,
        generators=generators,
        start=start if settings.start_level < 1 else None,
        mu_water_per_mm=mu_water_per_mm,
        callback=lambda status: watch(base + (1 - base) * status.step / status.n_steps, status),
    )


def _one_of(round_number: int, problem: Problem, watch: Watch) -> Callable[[Status], None]:
    """A callback for one of the linear problems that are solved in turn."""
    n_rounds = 1 if problem.is_linear else 1 + LINEARISATIONS

    def callback(status: Status) -> None:
        named = replace(status, solver=f"{status.solver}, linearisation {round_number}") if round_number else status
        watch((round_number + status.step / status.n_steps) / n_rounds, named)

    return callback
