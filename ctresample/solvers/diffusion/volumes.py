"""Volumes as the slices that a prior knows, and back: what lets solvers of slices take cone beams and stacks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F


def n_slices(shape: Sequence[int]) -> int:
    """Slices of one image of this shape: 1 of ``(rows, columns)``, those of ``(slices, rows, columns)``."""
    return math.prod(shape[:-2])


def to_slices(x: torch.Tensor, multiple: int) -> torch.Tensor:
    """The slices ``(B * slices, 1, rows, columns)`` of volumes ``(B, 1, slices, rows, columns)`` in 1/mm.

    Sides that networks do not take are padded with air, at the bottom and on the right, to a multiple of
    ``multiple``. Images of slices come back as they are.
    """
    if x.ndim == 4:
        return x
    rows, columns = x.shape[-2:]
    return F.pad(x.reshape(-1, 1, rows, columns), (0, -columns % multiple, 0, -rows % multiple))


def from_slices(x: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """The images ``(B, 1, *shape)`` of slices, the inverse of `to_slices`."""
    return x if len(shape) == 2 else x[..., : shape[-2], : shape[-1]].reshape(-1, 1, *shape)
