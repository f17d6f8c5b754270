"""Which projector fits the scan, the device and the memory."""

from __future__ import annotations

import torch

from ctresample.geometry import Geometry, Grid
from ctresample.operators.cone import ConeProjector
from ctresample.operators.projector import Projector
from ctresample.operators.sparse import SparseProjector, matrix_bytes
from ctresample.operators.streamed import StreamedProjector

MATRIX_BUDGET_BYTES = 6 * 2**30
"""Memory a stored matrix may take when nothing else is said: 512 x 512 pixels and 800 views."""


def make_projector(
    geometry: Geometry,
    grid: Grid,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    memory_budget_bytes: int = MATRIX_BUDGET_BYTES,
) -> Projector:
    """A `SparseProjector` where its matrix fits the budget, else one that stores none and has the same weights.

    That is a `StreamedProjector` for slices, a `ConeProjector` for volumes.

    Args:
        geometry: the scan.
        grid: the image grid.
        device: where to project.
        dtype: floating-point type of images and measurements.
        memory_budget_bytes: for the matrix and its transpose. They must also fit 32-bit indices, and half of what is
            free on a GPU.
    """
    if torch.device(device).type == "cuda":
        memory_budget_bytes = min(memory_budget_bytes, torch.cuda.mem_get_info(device)[0] // 2)
    n_bytes = matrix_bytes(geometry, grid) * (2 if dtype == torch.float64 else 1)
    fits = n_bytes <= memory_budget_bytes and n_bytes < 2**34
    if fits:
        return SparseProjector(geometry, grid, device=device, dtype=dtype)
    kind = ConeProjector if geometry.is_volume else StreamedProjector
    return kind(geometry, grid, device=device, dtype=dtype)
