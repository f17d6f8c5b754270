"""What file formats expect of a volume's axes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctresample.errors import GeometryError


def check_upright(affine: NDArray[np.float64]) -> None:
    """Refuse shear and voxels without size: DICOM, NIfTI and NRRD readers know unit vectors and three spacings.

    Args:
        affine: ``(4, 4)``, maps (column, row, slice, 1) to mm.

    Raises:
        GeometryError: the axes are not orthogonal, or one has no length.
    """
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if lengths.min() <= 0:
        raise GeometryError(f"the volume's voxel size is {lengths.tolist()} mm; expected three distances above 0")
    axes = affine[:3, :3] / lengths
    if np.abs(axes.T @ axes - np.eye(3)).max() > 1e-4:
        raise GeometryError("the volume's axes are not orthogonal; expected an upright stack; resample it first")
