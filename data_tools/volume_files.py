"""Volumes as NIfTI and NRRD files, for programs that read no DICOM.

Both hold HU as 32-bit floats and say where the voxels lie: NRRD in the patient coordinates of DICOM (LPS), NIfTI in
its own (RAS), so that x and y change their sign. Neither holds anything of the DICOM headers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from ctresample.data_tools.upright import check_upright
from ctresample.errors import GeometryError, OutputError, UsageError
from ctresample.files import whole_file
from ctresample.paths import StrPath, as_path
from ctresample.volume import Volume

Format = Literal["nifti", "nrrd"]

SUFFIXES: dict[Format, str] = {"nifti": ".nii.gz", "nrrd": ".nrrd"}


def write_volume_file(volume: Volume, path: StrPath, *, description: str) -> None:
    """Write a volume as one compressed file, whole or not at all; read it back to be sure.

    Args:
        volume: finite HU; its headers are left out.
        path: a new file, whose name ends as `SUFFIXES` says.
        description: for the file's note; at most 79 characters, which is what NIfTI holds.

    Raises:
        GeometryError: slices that are not evenly spaced, or an affine with shear, which these formats cannot express.
        OutputError: values that are not finite, or a place that cannot be written.
        UsageError: a name with another ending.
    """
    path = as_path(path, "path")
    suffix = next((suffix for suffix in SUFFIXES.values() if path.name.endswith(suffix)), None)
    if suffix is None:
        raise UsageError(f"{path} names no known format; expected it to end with {' or '.join(SUFFIXES.values())}")
    image = _image(volume, path)
    image.SetMetaData("ITK_FileNotes", description[:79])
    if path.exists():
        raise OutputError(f"{path} exists; delete it or choose another name")
    with whole_file(path, ending=suffix) as unfinished:
        try:
            SimpleITK.WriteImage(image, str(unfinished), useCompression=True)
            written = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(unfinished)))
        except RuntimeError as error:  # SimpleITK's only one; it names the unfinished file
            raise OutputError(f"{path} cannot be written; choose a folder with space and access") from error
        if not np.array_equal(written, volume.hu):  # the libraries behind it do not tell of every failure
            raise OutputError(f"{path} came out damaged; is the disk full?")


def check_expressible(affine: NDArray[np.float64], slice_offsets_mm: tuple[float, ...] | None) -> None:
    """Refuse what these formats cannot say of a `ctresample.volume.Volume`; errors as `write_volume_file`."""
    check_upright(affine)
    if slice_offsets_mm is not None:
        raise GeometryError(
            "the slices are not evenly spaced, which NIfTI and NRRD cannot express; write DICOM, where each slice has "
            "a position of its own"
        )


def _image(volume: Volume, path: Path) -> SimpleITK.Image:
    check_expressible(volume.affine, volume.slice_offsets_mm)
    if not np.isfinite(volume.hu).all():
        raise OutputError(f"{path.name}: the volume has values that are not finite; check the reconstruction")
    image = SimpleITK.GetImageFromArray(volume.hu)
    image.SetSpacing(volume.spacing_mm)
    image.SetOrigin(volume.affine[:3, 3].tolist())
    image.SetDirection((volume.affine[:3, :3] / volume.spacing_mm).ravel().tolist())
    return image
