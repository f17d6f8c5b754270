"""A CT volume: HU values, where they lie in the patient, and the headers they came with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctresample.errors import GeometryError


@dataclass(frozen=True)
class Volume:
    """Axial slices in Hounsfield units with their place in the patient.

    Attributes:
        hu: float32 array ``[z, y, x]`` (slice, row, column), in HU.
        affine: float64 ``(4, 4)``; maps ``(column, row, slice, 1)`` to DICOM patient coordinates
            (LPS, mm) of the voxel centre.
        headers: one DICOM JSON header a slice (without pixel data), or empty when the volume
            did not come from DICOM. The core never reads them; exporters do.
    """

    hu: NDArray[np.float32]
    affine: NDArray[np.float64]
    headers: tuple[dict[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if self.hu.ndim != 3 or 0 in self.hu.shape:
            raise GeometryError(f"volume hu has shape {self.hu.shape}; expected (slices, rows, columns), none 0")
        if self.affine.shape != (4, 4) or not np.isfinite(self.affine).all():
            raise GeometryError("volume affine must be a finite 4 x 4 matrix (column, row, slice -> LPS mm)")
        if self.headers and len(self.headers) != len(self.hu):
            raise GeometryError(f"volume has {len(self.hu)} slices but {len(self.headers)} headers")

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distances between voxel centres ``(column step, row step, slice step)`` in mm."""
        x, y, z = (float(np.linalg.norm(self.affine[:3, i])) for i in range(3))
        return x, y, z

    def with_hu(self, hu: NDArray[np.float32]) -> Volume:
        """The same place and headers with other values of the same shape."""
        if hu.shape != self.hu.shape:
            raise GeometryError(f"new values have shape {hu.shape}; expected {self.hu.shape}")
        return replace(self, hu=hu)
