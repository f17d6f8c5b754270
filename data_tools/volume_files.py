"""Volumes as NIfTI and NRRD files, for programs that read no DICOM.

Both hold HU as 32-bit floats and say where the voxels lie: NRRD in the patient coordinates of DICOM (LPS), NIfTI in
its own (RAS), so that x and y change their sign. Neither holds anything of the DICOM headers.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from ctresample.choices import VOLUME_SUFFIXES
from ctresample.data_tools.upright import check_upright
from ctresample.errors import GeometryError, OutputError, UsageError
from ctresample.files import whole_file
from ctresample.paths import StrPath, as_path
from ctresample.volume import Volume


def write_volume_file(volume: Volume, path: StrPath, *, description: str) -> None:
    """Write a volume as one compressed file, whole or not at all; read it back to be sure.

    Args:
        volume: finite HU; its headers are left out.
        path: a new file, whose name ends as `VOLUME_SUFFIXES` says.
        description: for the file's note; at most 79 characters, which is what NIfTI holds.

    Raises:
        GeometryError: slices that are not evenly spaced, or an affine with shear, which these formats cannot express.
        OutputError: values that are not finite, or a place that cannot be written.
        UsageError: a name with another ending.
    """
    path = as_path(path, "path")
    suffix = next((suffix for suffix in VOLUME_SUFFIXES.values() if path.name.endswith(suffix)), None)
    if suffix is None:
        endings = " or ".join(VOLUME_SUFFIXES.values())
        raise UsageError(f"{path} names no known format; expected it to end with {endings}")
    image = _image(volume, path)
    image.SetMetaData("ITK_FileNotes", description[:79])
    if path.exists():
        raise OutputError(f"{path} exists; delete it or choose another name")
    with whole_file(path, ending=suffix) as unfinished:
        try:
            SimpleITK.WriteImage(image, str(unfinished), useCompression=True)
            written = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(unfinished)))
        except RuntimeError as error:  # SimpleITK's only one; it names the unfinished file
            _let_the_system_say_why(unfinished, volume.hu.nbytes)
            raise OutputError(f"{path} cannot be written; choose a folder with space and access") from error
        if not np.array_equal(written, volume.hu):  # the libraries behind it do not tell of every failure
            _let_the_system_say_why(unfinished, volume.hu.nbytes)
            raise OutputError(f"{path} came out damaged; is the disk full?")


def _let_the_system_say_why(path: Path, n_bytes: int) -> None:
    """Write as much ourselves: the `OSError` of a full disk, or of a limit, which SimpleITK swallows."""
    with path.open("wb") as file:
        file.write(bytes(n_bytes))
        file.flush()
        os.fsync(file.fileno())


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
