"""What is reconstructed together: batches of slices, slabs of neighbours that overlap, or a cone beam's volume."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ctresample.consistency import Neighbours
from ctresample.operators import Projector, StackProjector
from ctresample.pipelines.reconstruction.z_coupling import FADE_HU, Coupling
from ctresample.sinogram import Sinogram

SLAB_BATCHES = 6
"""Batches of slices whose images a slab has room for; its neighbours' come on top."""

HALO_MM = 15.0
"""How far beyond each end of a slab slices are computed with it, and then left to the next one."""

LEAST_HALO = 12
"""Slices that it is at least. By total variation of 25 views, slabs of 12 validation slices of 1.25 mm then differ from
the undivided run by 0.5 HU (root mean square of the worst slice), and no more at their ends than elsewhere."""


@dataclass(frozen=True, eq=False)
class Part:
    """Slices that are reconstructed together.

    Attributes:
        slices: their numbers, in any order.
        kept: those of them, by place in ``slices``, whose images count.
        A: what measures them.
        is_volume: whether they are one image to the solver.
    """

    slices: tuple[int, ...]
    kept: slice
    A: Projector | StackProjector
    is_volume: bool

    def as_batch(self, values: NDArray[np.float32]) -> torch.Tensor:
        """Measurements of the whole scan ``[slice, ...]`` as the operator takes those of these slices."""
        chosen = torch.from_numpy(values[list(self.slices)] if len(self.slices) else values)
        return (chosen[None, None] if self.is_volume else chosen[:, None]).to(self.A.device, self.A.dtype)


def parts_of(sinogram: Sinogram, coupling: Coupling, make: Callable[..., Projector], batch_size: int) -> Iterator[Part]:
    """The parts of a scan, which cover every slice once.

    Args:
        sinogram: the scan.
        coupling: of its slices.
        make: the projector of a geometry. Those of equal angles are made once, and kept as long as parts in a row need
            them: a matrix takes a hundred times the memory of a slice.
        batch_size: slices at a time.
    """
    n = sinogram.n_slices
    made: dict[float, Projector] = {}

    def projectors(wanted: Sequence[float]) -> list[Projector]:
        for shift in made.keys() - set(wanted):
            del made[shift]
        for shift in wanted:
            if shift not in made:
                made[shift] = make(sinogram.turned(shift))
        return [made[shift] for shift in wanted]

    if sinogram.geometry.is_volume:
        yield Part((), slice(0, n), projectors([0.0])[0], is_volume=True)
        return
    shifts = sinogram.angle_shifts_rad or (0.0,) * n
    alone: list[int] = []
    halo = halo_of(coupling)
    for first, stop in coupling.runs or ((0, n),):
        if not coupling.strength or stop - first < 2:
            alone += range(first, stop)
            continue
        for begin, end in slabs(first, stop, SLAB_BATCHES * batch_size, halo):
            low, high = max(first, begin - halo), min(stop, end + halo)
            A = StackProjector(projectors(shifts[low:high]), coupling.step_mm)
            yield Part(tuple(range(low, high)), slice(begin - low, end - low), A, is_volume=True)
    for shift in dict.fromkeys(shifts[k] for k in alone):
        group = [k for k in alone if shifts[k] == shift]
        for begin in range(0, len(group), batch_size):
            numbers = tuple(group[begin : begin + batch_size])
            yield Part(numbers, slice(0, len(numbers)), projectors([shift])[0], is_volume=False)


def halo_of(coupling: Coupling) -> int:
    """Slices beyond each end of a slab."""
    return max(LEAST_HALO, math.ceil(HALO_MM / coupling.step_mm)) if coupling.step_mm else 0


def largest_slab(coupling: Coupling, batch_size: int) -> int:
    """Most slices that are solved as one volume; 0 where slices are not coupled."""
    halo, most = halo_of(coupling), 0
    for first, stop in coupling.runs if coupling.strength else ():
        for begin, end in slabs(first, stop, SLAB_BATCHES * batch_size, halo):
            most = max(most, min(stop, end + halo) - max(first, begin - halo))
    return most


def slabs(first: int, stop: int, size: int, halo: int) -> Sequence[tuple[int, int]]:
    """Ranges of nearly equal length that cover one; one range where two with their halos would be larger."""
    count = max(1, -(-(stop - first) // size)) if stop - first > size + 2 * halo else 1
    ends = np.linspace(first, stop, count + 1).round().astype(int).tolist()
    return list(zip(ends[:-1], ends[1:], strict=True))


def by_slice(residual: torch.Tensor, part: Part) -> torch.Tensor:
    """What was measured of a part, one row a slice; of a cone beam, whose slices are measured together, one row."""
    return residual.flatten(0, 2) if part.is_volume and part.slices else residual


def neighbours_of(part: Part, coupling: Coupling, mu_water_per_mm: float) -> Neighbours | None:
    """What the slices of a part have to do with each other; None of slices by themselves."""
    if not part.is_volume:
        return None
    A = part.A
    spacing = [abs(step / A.steps_mm[-1]) for step in A.steps_mm]
    if isinstance(A, StackProjector):
        spacing[0] = coupling.z_spacing(abs(A.steps_mm[-1]))
    elif A.domain_shape[0] > 1:
        spacing[0] = spacing[0] / coupling.strength if coupling.strength else math.inf
    return Neighbours(tuple(spacing), coupling.correlation, FADE_HU * mu_water_per_mm / 1000)
