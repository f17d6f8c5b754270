"""The parts of a planned reconstruction one after the other: each solved, judged by its residual, and kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ctresample.consistency import noise_ratio, residual_ratio
from ctresample.geometry import Geometry
from ctresample.operators import Projector, make_projector
from ctresample.operators.choice import MATRIX_BUDGET_BYTES
from ctresample.pipelines.reconstruction.in_parts import InParts
from ctresample.pipelines.reconstruction.kept_parts import KeptPart, KeptParts
from ctresample.pipelines.reconstruction.parts import Part, by_slice, largest_slab, neighbours_of, parts_of
from ctresample.pipelines.reconstruction.plan import Plan
from ctresample.pipelines.reconstruction.slab import inside
from ctresample.pipelines.reconstruction.slice_generators import slice_generators
from ctresample.pipelines.reconstruction.solve import Batch, Watch, solve
from ctresample.sinogram import Sinogram
from ctresample.status import Status
from ctresample.units import mu_to_hu


@dataclass(frozen=True, eq=False)
class SolvedParts:
    """Of every slice of the plan's sinogram, in its order.

    Attributes:
        image_hu: images ``[slice, y, x]``.
        residual_ratios: weighted residual of each slice in noise levels; of a cone beam all have one in common.
        residual_history: the residual after each step, averaged over slices.
    """

    image_hu: NDArray[np.float32]
    residual_ratios: NDArray[np.float64]
    residual_history: tuple[float, ...]


def solve_parts(
    plan: Plan,
    *,
    projector: Projector | None = None,
    keeping: KeptParts | None = None,
    share: tuple[int, int] = (0, 1),
    progress: Callable[[float], None] | None = None,
) -> SolvedParts:
    """Solve every part of a plan, or a share of them.

    Args:
        plan: what is to be done.
        projector: of all slices, where there is one already.
        keeping: where finished parts lie and are put.
        share: ``(k, n)``: only every n-th part from the k-th on. The slices of others stay NaN.
        progress: told the fraction done, from 0 to 1.
    """
    scan, n = plan.sinogram, plan.sinogram.n_slices
    judge = _judge_of(plan)
    sigma = np.ones_like(scan.values) if judge else scan.sigma()

    # filled, for an empty one would take its memory only as it is written to: more and more
    image_hu = np.full((n, *scan.grid.shape[-2:]), np.nan, np.float32)
    ratios, history, done = np.full(n, np.nan), _History(), 0
    at_once = 1 if plan.method.one_by_one else plan.batch_size
    # the same for all parts, whichever are made again after a stop
    n_sets = min(len(set(scan.angle_shifts_rad or (0.0,))), max(1, largest_slab(plan.coupling, at_once)))

    def make(geometry: Geometry) -> Projector:
        budget = MATRIX_BUDGET_BYTES // n_sets
        return projector or make_projector(geometry, scan.grid, device=plan.device, memory_budget_bytes=budget)

    for number, part in enumerate(parts_of(scan, plan.coupling, make, at_once)):
        own = list(part.slices or range(n))
        kept = own[part.kept]
        if number % share[1] == share[0]:
            finished = keeping.get(kept) if keeping else None
            if finished is None:
                told = _told(progress, done / n, (done + len(kept)) / n)
                finished = _solved(plan, part, own, sigma, judge, told)
                if keeping:
                    keeping.put(kept, finished)
            image_hu[kept], ratios[kept] = finished.image_hu, finished.ratios
            history.add(finished.steps, len(own))
        done += len(kept)
        if progress:
            progress(done / n)
    return SolvedParts(image_hu, ratios, history.means())


def _solved(
    plan: Plan,
    part: Part,
    own: Sequence[int],
    sigma: NDArray[np.float32],
    judge: Sinogram | None,
    progress: Callable[[float], None],
) -> KeptPart:
    """Of those slices of a part that count; all of it have the numbers ``own``."""
    seen: list[Status] = []

    def watch(share: float, status: Status) -> None:
        seen.append(status)
        progress(share)

    batch = _batch(plan, part, own, sigma, watch)
    mu = solve(plan.method, batch)
    ratios = _residual_ratios(plan, batch, mu, part, judge)
    hu = plan.sinogram.geometry.as_slices(mu_to_hu(mu, plan.sinogram.mu_water_per_mm)).cpu().numpy()
    n_kept = len(own[part.kept])
    # asked for at the end and all at once, for a device is to be waited for as seldom as can be
    residuals = (
        torch.stack([torch.as_tensor(status.ratio, device=mu.device) for status in seen]).tolist() if seen else []
    )
    steps = [(status.solver, status.step, ratio) for status, ratio in zip(seen, residuals, strict=True)]
    return KeptPart(hu[part.kept], ratios[part.kept] if part.slices else np.repeat(ratios, n_kept), steps)


def _judge_of(plan: Plan) -> Sinogram | None:
    """What images of a helix are judged by, where they are not fitted to it: a few views, for all would take longer."""
    is_direct_helix = plan.whole.geometry.name == "helical" and plan.method.way == "direct"
    return inside(plan.sinogram) if is_direct_helix else None


def _told(progress: Callable[[float], None] | None, begin: float, end: float) -> Callable[[float], None]:
    """Told the share of a part, tells that of all, from ``begin`` to ``end``."""
    return lambda share: progress(begin + share * (end - begin)) if progress else None


def _batch(plan: Plan, part: Part, own: Sequence[int], sigma: NDArray[np.float32], watch: Watch) -> Batch:
    """What the solver is given of a part, whose slices have the numbers ``own``."""
    scan, model = plan.sinogram, plan.model
    # a part at a time, so that smaller ones take less memory of the device
    y, s = part.as_batch(scan.values), part.as_batch(sigma)
    return Batch(
        y=y,
        A=part.A,
        sigma=s,
        problem=plan.physics.problem(scan, part.A, y, s),
        mu_water_per_mm=scan.mu_water_per_mm,
        window=plan.window,
        view_weights=plan.view_weights,
        model=InParts(model, plan.batch_size) if part.is_volume and model is not None else model,
        settings=plan.settings,
        generators=slice_generators(plan.seed, [plan.slice_numbers[k] for k in own], coupled=plan.noise_in_common),
        neighbours=neighbours_of(part, plan.coupling, scan.mu_water_per_mm) if plan.method.couples else None,
        watch=watch,
    )


def _residual_ratios(plan: Plan, batch: Batch, mu: torch.Tensor, part: Part, judge: Sinogram | None) -> NDArray[Any]:
    """Weighted residual of each slice of a part in noise levels; a single one of a volume that is measured as one."""
    problem, sigma = batch.problem, batch.sigma
    if judge:
        A = make_projector(judge.geometry, judge.grid, device=plan.device, memory_budget_bytes=0)
        y, sigma = part.as_batch(judge.values), part.as_batch(judge.sigma())
        problem = plan.physics.problem(judge, A, y, sigma)
    residual = by_slice((problem.model(mu) - problem.data) / problem.sigma(mu), part)
    return (residual_ratio(residual) / noise_ratio(by_slice(sigma, part))).cpu().numpy()


class _History:
    """Residual after each step, averaged over batches."""

    def __init__(self) -> None:
        self._steps: dict[tuple[str, int], list[tuple[float, int]]] = {}

    def add(self, steps: Sequence[tuple[str, int, float]], weight: int) -> None:
        for solver, step, residual in steps:
            self._steps.setdefault((solver, step), []).append((residual, weight))

    def means(self) -> tuple[float, ...]:
        return tuple(sum(r * w for r, w in seen) / sum(w for _, w in seen) for seen in self._steps.values())
