"""A reconstruction written by itself: what its methods do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ctresample.choices import FORMATS, VOLUME_SUFFIXES
from ctresample.errors import UsageError
from ctresample.files import whole_folder
from ctresample.pipelines.results.images import check_export, write_dicom, write_images, write_volume
from ctresample.pipelines.results.record import write_record
from ctresample.pipelines.results.report import write_page
from ctresample.result import Reconstruction


def to_dicom(result: Reconstruction, folder: Path) -> list[Path]:
    """Write a derived DICOM series; the same one as of the whole result folder."""
    return write_dicom(folder, result)


def to_nifti(result: Reconstruction, file: Path) -> None:
    """Write a NIfTI file."""
    if not file.name.endswith(VOLUME_SUFFIXES["nifti"]):
        raise UsageError(f"file is {file}; expected a name that ends with {VOLUME_SUFFIXES['nifti']}")
    write_volume(file, result)


def save(result: Reconstruction, folder: Path, formats: Sequence[str]) -> None:
    """Write the whole result folder."""
    wanted = [formats] if isinstance(formats, str) else list(formats)
    if unknown := [name for name in wanted if name not in FORMATS]:
        raise UsageError(f"formats holds {unknown[0]!r}; expected some of {', '.join(FORMATS)}")
    check_export(result.sinogram, wanted)
    with whole_folder(folder) as place:
        write_images(place, result, formats=wanted)
        write_page(place, result)
        write_record(place, result, seconds={"reconstruct": result.seconds})
