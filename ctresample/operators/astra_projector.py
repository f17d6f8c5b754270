"""The projectors of the ASTRA Toolbox on torch tensors."""

from __future__ import annotations

import weakref
from functools import partial
from typing import Any

import numpy as np
import torch

from ctresample.errors import DeviceError, GeometryError
from ctresample.geometry import FanBeam, Geometry, Grid, ParallelBeam
from ctresample.operators.astra_export import lifted, scan_geometry, scan_vectors, volume_geometry
from ctresample.operators.projector import Projector


class AstraProjector(Projector):
    """Line integrals by ASTRA, in single precision; see `Projector`.

    On the CPU: slices one by one by ASTRA's ``linear`` (parallel) and ``line_fanflat`` kernels, an exact pair. On CUDA:
    all slices of a parallel beam in one call, fans slice by slice, and cone beams. ASTRA's CUDA back projection is
    driven by voxels, its projection by rays, so they are no exact pair, and ``exact_adjoint`` says so: conjugate
    gradients may stall. Tensors are handed over without a copy. Curved fans ASTRA cannot project as slices.

    Raises:
        DeviceError: ASTRA or the GPU is not there. (Without a GPU ASTRA's own 3D calls end the process.)
        GeometryError: a beam that ASTRA cannot project on this device.
    """

    def __init__(self, geometry: Geometry, grid: Grid, *, device: torch.device | str = "cuda") -> None:
        super().__init__(geometry, grid, device=device)
        self._astra = _import_astra(self.device)
        self._on_cuda = self.device.type == "cuda"
        self.exact_adjoint = not self._on_cuda
        if geometry.is_curved:
            raise GeometryError("ASTRA projects no slices of a curved fan; use SparseProjector")
        if geometry.is_volume and not self._on_cuda:
            raise GeometryError("ASTRA projects cone beams on CUDA only; use ConeProjector")
        if abs(grid.steps_mm[-1] + grid.steps_mm[-2]) > 1e-6 * grid.pixel_size_mm:
            raise GeometryError("ASTRA's kernels are wrong for pixels that are not square; use SparseProjector")
        self._made: dict[int, Any] = {}  # by number of slices in a call

    def project(self, x: torch.Tensor) -> torch.Tensor:
        return self._each(x, self.range_shape, "direct_FP")

    def back_project(self, y: torch.Tensor) -> torch.Tensor:
        return self._each(y, self.domain_shape, "direct_BP")

    def _each(self, batch: torch.Tensor, shape: tuple[int, ...], call: str) -> torch.Tensor:
        if batch.dtype != torch.float32 or batch.device.type != self.device.type:
            raise GeometryError(
                f"AstraProjector got {batch.dtype} on {batch.device}; expected float32 on {self.device}"
            )
        # where ASTRA fails on a GPU it may say nothing and leave the output as it is
        out = torch.full((len(batch), *shape), torch.nan, device=batch.device)
        given = batch.detach()[:, 0].contiguous()
        if self._on_cuda:
            self._astra.set_gpu_index(self.device.index or 0)
            torch.cuda.current_stream(self.device).synchronize()  # ASTRA works on a stream of its own
        whole = self._on_cuda and isinstance(self.geometry, ParallelBeam)
        in_2d = isinstance(self.geometry, FanBeam) or not self._on_cuda
        module = self._astra.projector if in_2d else self._astra.projector3d
        run = partial(getattr(module, call), self._projector(len(batch) if whole else 1))
        for source, target in [(given, out)] if whole else zip(given, out, strict=True):
            run(source, out=target)
        if self._on_cuda and not torch.isfinite(out).all():
            raise DeviceError(f"ASTRA failed on {self.device} without a word; is there enough memory on the GPU?")
        return out[:, None]

    def _projector(self, n_slices: int) -> int:
        if n_slices not in self._made:
            kind, scan, volume = self._describe(n_slices)
            number = self._astra.create_projector(kind, scan, volume)
            module = self._astra.projector3d if kind == "cuda3d" else self._astra.projector
            weakref.finalize(self, module.delete, number)
            self._made[n_slices] = number
        return int(self._made[n_slices])

    def _describe(self, n_slices: int) -> tuple[str, dict[str, Any], dict[str, Any]]:
        scan, volume = scan_geometry(self.geometry, self.grid.pixel_size_mm), volume_geometry(self.grid)
        if not self._on_cuda:
            return ("linear" if isinstance(self.geometry, ParallelBeam) else "line_fanflat"), scan, volume
        if isinstance(self.geometry, FanBeam):
            return "cuda", scan, volume
        if isinstance(self.geometry, ParallelBeam):
            source, middle, step = map(lifted, scan_vectors(self.geometry))
            up = np.broadcast_to([0.0, 0.0, self.grid.pixel_size_mm], step.shape)
            scan = {
                "type": "parallel3d_vec",
                "DetectorRowCount": n_slices,
                "DetectorColCount": self.geometry.n_detectors,
                "Vectors": np.concatenate([source, middle, step, up], axis=1),
            }
            volume = volume_geometry(self.grid, n_slices)
        # ASTRA's volumes begin at the smallest y, ours at the largest: mirror the scan rather than copy the volume
        scan["Vectors"][:, [1, 4, 7, 10]] *= -1
        window = volume["option"]
        window["WindowMinY"], window["WindowMaxY"] = -window["WindowMaxY"], -window["WindowMinY"]
        return "cuda3d", scan, volume


def _import_astra(device: torch.device) -> Any:
    try:
        import astra
    except ImportError as error:
        raise DeviceError(
            f"ASTRA cannot be imported ({error}); pip install 'ctresample[astra]', or use SparseProjector"
        ) from None
    if device.type == "cuda" and not (torch.cuda.is_available() and astra.use_cuda()):
        raise DeviceError(f"AstraProjector was asked for {device}, but there is no CUDA device; use device='cpu'")
    return astra
