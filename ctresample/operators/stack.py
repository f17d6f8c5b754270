"""The slices of a volume as one image, so that solvers can let neighbours help each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import torch

from ctresample.errors import GeometryError
from ctresample.operators.base import LinearOperator
from ctresample.operators.projector import Projector

Work = Callable[[Projector, torch.Tensor], torch.Tensor]


class StackProjector(LinearOperator):
    """A scan slice by slice, taken as one of the volume: each slice is seen by a projector, which many may share.

    ``A(x)`` maps ``(B, 1, slices, rows, columns)`` to ``(B, 1, slices, views, detectors)``. It couples nothing by
    itself; that is left to what solvers know of volumes.

    Attributes:
        projectors: of each slice, on one grid; the same object again where slices are seen from the same angles.
        slice_step_mm: from one slice to the next.
    """

    def __init__(self, projectors: Sequence[Projector], slice_step_mm: float) -> None:
        first = projectors[0]
        for one in projectors:
            if one.grid.is_volume or one.grid != first.grid or one.range_shape != first.range_shape:
                raise GeometryError("stack: expected projectors of slices on one grid, with equally many rays")
        self.projectors, self.slice_step_mm, self.slice_grid = tuple(projectors), slice_step_mm, first.grid
        self.domain_shape = (len(self.projectors), *first.domain_shape)
        self.range_shape = (len(self.projectors), *first.range_shape)
        self.device, self.dtype = first.device, first.dtype
        self.exact_adjoint = all(one.exact_adjoint for one in self._groups)

    @cached_property
    def _groups(self) -> dict[Projector, torch.Tensor]:
        """The slices of each projector."""
        slices: dict[Projector, list[int]] = {}
        for k, one in enumerate(self.projectors):
            slices.setdefault(one, []).append(k)
        return {one: torch.tensor(numbers, device=self.device) for one, numbers in slices.items()}

    @property
    def steps_mm(self) -> tuple[float, ...]:
        """From one voxel to the next along each axis of the array."""
        return self.slice_step_mm, *self.slice_grid.steps_mm

    @cached_property
    def row_norms(self) -> torch.Tensor:
        return torch.stack([one.row_norms[0, 0] for one in self.projectors])[None, None]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._each(x, lambda one, slices: one(slices), self.range_shape)

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        return self._each(y, lambda one, slices: one.T(slices), self.domain_shape)

    def _each(self, volumes: torch.Tensor, work: Work, shape: tuple[int, ...]) -> torch.Tensor:
        slices = volumes[:, 0].flatten(0, 1)[:, None]
        if len(self._groups) == 1:
            made = work(self.projectors[0], slices)
        else:
            first = torch.arange(len(volumes), device=self.device)[:, None] * len(self.projectors)
            chosen = {one: (first + numbers).flatten() for one, numbers in self._groups.items()}
            parts = torch.cat([work(one, slices[numbers]) for one, numbers in chosen.items()])
            made = parts[torch.cat(list(chosen.values())).argsort()]
        return made.reshape(len(volumes), 1, *shape)


class SlicesOf(LinearOperator):
    """A stack with its slices as a batch: ``(slices, 1, rows, columns)`` to ``(slices, 1, views, detectors)``.

    For what is done to each slice by itself, where slices may be seen from different angles; a batch is the whole
    stack.
    """

    def __init__(self, stack: StackProjector) -> None:
        self.stack = stack
        self.domain_shape, self.range_shape = stack.domain_shape[1:], stack.range_shape[1:]
        self.device, self.dtype, self.exact_adjoint = stack.device, stack.dtype, stack.exact_adjoint

    @property
    def row_norms(self) -> torch.Tensor:
        return self.stack.row_norms[0, 0][:, None]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return one_by_one(self.stack.forward(x.reshape(-1, 1, *self.stack.domain_shape)))

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        return one_by_one(self.stack.adjoint(y.reshape(-1, 1, *self.stack.range_shape)))


def one_by_one(values: torch.Tensor) -> torch.Tensor:
    """The slices of a volume as a batch."""
    return values.flatten(0, 2)[:, None]
