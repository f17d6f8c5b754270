"""One batch of a sinogram to attenuation images: the ways in which the solvers are called."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any, cast

import torch

from ctresample.bad_rays import BAD_RAY_SIGMA
from ctresample.choices import ViewWeights, Window
from ctresample.consistency import Neighbours, noise_ratio, per_slice, residual_ratio
from ctresample.learned import LearnedModel
from ctresample.operators import LinearOperator, Projector, StackProjector
from ctresample.pipelines.reconstruction.methods import Method
from ctresample.pipelines.reconstruction.problem import LINEARISATIONS, Problem
from ctresample.solvers.cgls import cgls
from ctresample.solvers.coarse_tv import coarse_tv
from ctresample.solvers.fbp import fbp
from ctresample.solvers.fdk import fdk
from ctresample.solvers.itnet import ItNetSettings, itnet
from ctresample.solvers.truncation import cut_off_share
from ctresample.solvers.tv import tv
from ctresample.solvers.wfbp import wfbp
from ctresample.status import Status

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Watch = Callable[[float, Status], None]
"""Told the share of the batch done, and the status of the solver at work."""

Solver = Callable[..., torch.Tensor]

CUT_OFF = 0.05
"""Share of the views from which on an object counts as wider than the detector."""

LEVEL_CUTOFF = 0.4
"""Of an FBP that tells the level of an image and little of its streaks; 0.1 to 1 are much alike."""

MISFIT_ROUNDS = 2
"""After the first image (of a helix a rough one), at most."""

_SAME_MISFIT = math.log(1.3)

_UNEXPLAINED = 1.2
"""Misfit of a TV image, in noise levels, from which on it is not noise: where pixels are fine enough it is 0.7 to 1."""

_SETTLED = 500
"""Iterations of total variation of slices that are coupled: 440 to 460 is what they take at 25 views and 256 x 256
pixels. So all stop together, and none depends on which others are in its slab."""

_ROUGHLY_SETTLED = 200
"""The same of the rough image that sampling starts from, and no more: they take 120 to 200 by themselves."""

_ROUGH_HU = 10.0
"""A rough image will do where sampling starts: from its noised latents."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Slices, or a cone beam's scan, to be reconstructed together.

    Attributes:
        y: line integrals ``(B, 1, *A.range_shape)``.
        A: the projector.
        sigma: standard deviation of ``y``.
        problem: what is really measured; where that is not ``y`` by ``A``, the image is refined by it.
        mu_water_per_mm: attenuation of water that HU refer to.
        window: of the ramp filter.
        view_weights: what a view counts in FBP.
        model: the learned model, of a method that needs one.
        settings: of a method that has any.
        generators: one CPU generator a slice.
        neighbours: of a volume, what its slices have to do with each other; None of slices by themselves, and for a
            method that does not ask.
        watch: told of every step.
    """

    y: torch.Tensor
    A: Projector | StackProjector
    sigma: torch.Tensor
    problem: Problem
    mu_water_per_mm: float
    window: Window = "hann"
    view_weights: ViewWeights = "arcs"
    model: LearnedModel | None
    settings: DataclassInstance | None
    generators: Sequence[torch.Generator]
    neighbours: Neighbours | None = None
    watch: Watch

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distance of pixels along each axis of an image, relative to the columns."""
        if self.neighbours:
            return self.neighbours.spacing
        return tuple(abs(step) / abs(self.A.steps_mm[-1]) for step in self.A.steps_mm)

    @property
    def along_z(self) -> dict[str, Any]:
        """What a solver that knows neighbours is told of them, by argument; nothing of slices by themselves."""
        return {"neighbours": self.neighbours} if self.neighbours else {}


def direct(solver: Solver, batch: Batch, cutoff: float = 1.0) -> torch.Tensor:
    """In one step; of a cone beam by FDK, of a helix by weighted filtered back projection.

    ``cutoff`` is that of the ramp filter, but of a helix.
    """
    A = cast(Projector, batch.A)
    if A.geometry.name == "helical":
        return wfbp(batch.y, A.geometry, A.grid, window=batch.window, mu_water_per_mm=batch.mu_water_per_mm)
    solver = fdk if A.geometry.is_volume else solver
    return solver(
        batch.y,
        A.geometry,
        A.grid,
        window=batch.window,
        cutoff=cutoff,
        view_weights=batch.view_weights,
        mu_water_per_mm=batch.mu_water_per_mm,
    )


def corrected(solver: Solver, batch: Batch) -> torch.Tensor:
    """In one step, and by a network trained for the scan."""
    A = cast(Projector, batch.A)
    return solver(batch.y, A.geometry, A.grid, batch.model, mu_water_per_mm=batch.mu_water_per_mm)


def unrolled(solver: Solver, batch: Batch) -> torch.Tensor:
    """By rounds of network and data, from a quick image."""
    return solver(
        batch.y,
        batch.A,
        batch.model,
        sigma=batch.sigma,
        settings=batch.settings,
        start=coarse_tv(batch.y, batch.A, sigma=batch.sigma, spacing=batch.spacing),
        mu_water_per_mm=batch.mu_water_per_mm,
        callback=lambda status: batch.watch(status.step / status.n_steps, status),
    )


def iterative(solver: Solver, batch: Batch) -> torch.Tensor:
    """By a solver of line integrals without a prior.

    It starts from zero; of an object that is wider than the detector from FBP, which goes on with water: rays through
    the middle alone do not tell the level there, and the way from zero leaves it tens of HU off.
    """
    geometry = cast(Projector, batch.A).geometry
    cut_off = geometry.name != "helical" and cut_off_share(batch.y, geometry, batch.mu_water_per_mm) > CUT_OFF
    return solver(
        batch.y,
        batch.A,
        sigma=batch.sigma,
        start=direct(fbp, batch, LEVEL_CUTOFF) if cut_off else None,
        callback=lambda status: batch.watch(status.step / status.n_steps, status),
    )


def penalised(solver: Solver, batch: Batch) -> torch.Tensor:
    """By a solver that knows the spacing of pixels; what is not linear is linearised at the last image, in rounds."""
    rounds, A, problem, spacing = count(), batch.A, batch.problem, batch.spacing
    helix = isinstance(A, Projector) and A.geometry.name == "helical"
    if problem.is_linear and (helix or solver is tv):
        return _by_misfit(solver, batch, never_fits=helix)

    def solve(y: torch.Tensor, A: LinearOperator, sigma: torch.Tensor) -> torch.Tensor:
        return solver(y, A, sigma=sigma, spacing=spacing, callback=_one_of(next(rounds), problem, batch.watch))

    x = solve(batch.y, A, batch.sigma)
    return x if problem.is_linear else problem.refined(x, solve)


def _by_misfit(solver: Solver, batch: Batch, *, never_fits: bool) -> torch.Tensor:
    """Images for which what they cannot explain of the data counts as noise (discrepancy principle).

    Of many photons and coarse pixels no image fits the data up to their noise, and one that tries to is a checkerboard,
    tens of HU high. An image says how far off any is at most; its solution with so much noise says it better. Each
    slice by itself, so that none depends on the others.

    Args:
        solver: of total variation or least squares.
        batch: of a linear problem.
        never_fits: of a helix, whose voxels are coarser than its rays: a rough first image will do.
    """
    stacked = isinstance(batch.A, StackProjector)

    def apart(values: torch.Tensor) -> torch.Tensor:
        """The slices of a stack as a batch; they are solved together, whichever is to be solved again."""
        return values.flatten(0, 2) if stacked else values

    sigmas = apart(batch.sigma)
    scale = torch.ones(len(sigmas), device=batch.y.device)
    again = torch.ones_like(scale, dtype=torch.bool)
    x = batch.y.new_zeros(())
    for number in range(1 + MISFIT_ROUNDS):
        rough = never_fits and number == 0

        def told(status: Status, number: int = number) -> None:
            batch.watch(min(1.0, (number + status.step / status.n_steps) / (2 if never_fits else 1)), status)

        # a helix's data are not to be copied
        some: slice | torch.Tensor = slice(None) if stacked or again.all() else again
        found = solver(
            batch.y[some],
            batch.A,
            sigma=_noisier(sigmas, per_slice(scale, sigmas)).view_as(batch.sigma)[some],
            spacing=batch.spacing,
            callback=told,
            **({"tolerance_hu": _ROUGH_HU} if rough else {}),
            **_in_common(batch.A, _SETTLED),
        )
        x = found if stacked or number == 0 else x.index_copy(0, again.nonzero()[:, 0], found)
        wanted = _unexplained(apart((batch.A(x) - batch.y) / batch.sigma), sigmas).to(scale)
        again = rough | torch.where(scale > 1, (wanted / scale).log().abs() >= _SAME_MISFIT, wanted > 1)
        if not again.any():
            break
        scale = torch.where(again, wanted, scale)
    return x


def _in_common(A: LinearOperator, n_iterations: int) -> dict[str, Any]:
    """So many iterations of total variation, no more and no fewer, of slices that are coupled; nothing of others."""
    coupled = isinstance(A, StackProjector)
    return {"min_iterations": n_iterations, "max_iterations": n_iterations} if coupled else {}


def _unexplained(residual: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """So many times the noise is what an image of total variation leaves of each measurement, or 1 where it is noise.

    Args:
        residual: whitened ``(B, 1, ...)``.
        sigma: that whitened it.
    """
    misfit = residual_ratio(residual) / noise_ratio(sigma)
    return torch.where(misfit > _UNEXPLAINED, misfit, torch.ones_like(misfit))


def _noisier(sigma: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """So many times the noise; rays that are not known stay what they are."""
    return torch.where(sigma < BAD_RAY_SIGMA, scale * sigma, sigma)


def sampled(solver: Solver, batch: Batch) -> torch.Tensor:
    """By a solver with a diffusion prior, from the image that its settings want as ``warm_start``, if any."""
    problem, sigma, start = batch.problem, batch.sigma, None
    wanted = getattr(batch.settings, "warm_start", None)
    if wanted or not problem.is_linear:  # the noise of counts follows from an image
        rounds = count()

        def watch(share: float, status: Status) -> None:
            batch.watch(0.3 * share, status)

        def solve(y: torch.Tensor, A: LinearOperator, sigma: torch.Tensor) -> torch.Tensor:
            callback = _one_of(next(rounds), problem, watch)
            if wanted == "cgls":
                return cgls(y, A, sigma=sigma, callback=callback)
            if wanted == "coarse-tv" and problem.is_linear:
                return coarse_tv(y, batch.A, sigma=sigma, spacing=batch.spacing)
            if wanted == "itnet":
                return unrolled(itnet, replace(batch, settings=ItNetSettings(), watch=watch))
            # of slices all steps count alike here, whatever the height of their pixels
            spacing = batch.spacing if batch.neighbours else None
            n = _in_common(A, _ROUGHLY_SETTLED)
            return tv(y, A, sigma=sigma, tolerance_hu=_ROUGH_HU, spacing=spacing, callback=callback, **n)

        start = solve(batch.y, batch.A, sigma)
        if not problem.is_linear:
            start, sigma = problem.refined(start, solve), problem.sigma(start)
        elif wanted == "tv" and start.ndim == 5 and not isinstance(batch.A, StackProjector):
            # as for total variation itself: what coarse voxels cannot explain of a cone beam is not to be fitted
            factor = _unexplained((batch.A(start) - batch.y) / sigma, sigma)
            sigma = _noisier(sigma, per_slice(factor, sigma))
    base = 0.0 if start is None else 0.3
    return solver(
        problem.data,
        problem.model,
        batch.model,
        sigma=sigma,
        settings=batch.settings,
        generators=batch.generators,
        **({"start": start} if wanted else {}),
        **batch.along_z,
        mu_water_per_mm=batch.mu_water_per_mm,
        callback=lambda status: batch.watch(base + (1 - base) * status.step / status.n_steps, status),
    )


def _one_of(round_number: int, problem: Problem, watch: Watch) -> Callable[[Status], None]:
    """A callback for one of the linear problems that are solved in turn."""
    n_rounds = 1 if problem.is_linear else 1 + LINEARISATIONS

    def callback(status: Status) -> None:
        named = replace(status, solver=f"{status.solver}, linearisation {round_number}") if round_number else status
        watch((round_number + status.step / status.n_steps) / n_rounds, named)

    return callback


WAYS: dict[str, Callable[[Solver, Batch], torch.Tensor]] = {
    "direct": direct,
    "corrected": corrected,
    "unrolled": unrolled,
    "iterative": iterative,
    "penalised": penalised,
    "sampled": sampled,
}
"""By name."""


def solve(method: Method, batch: Batch) -> torch.Tensor:
    """Attenuation images of a batch by a method."""
    return WAYS[method.way](method.load_solver(), batch)
