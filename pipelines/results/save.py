"""A reconstruction written by itself: what its methods do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ctresample.choices import FORMATS, VOLUME_SUFFIXES
from ctresample.data_tools.dicom_export.write import write_ct_series
from ctresample.data_tools.volume_files import write_volume_file
from ctresample.errors import UsageError
from ctresample.files import whole_folder
from ctresample.pipelines.results.images import check_export, write_images
from ctresample.pipelines.results.provenance import method_label, provenance_of, scan_facts
from ctresample.pipelines.results.record import write_record
from ctresample.pipelines.results.report import write_page
from ctresample.result import Reconstruction


def to_dicom(result: Reconstruction, folder: Path) -> list[Path]:
    """Write a derived DICOM series; the same one as of the whole result folder."""
    label = _label(result)
    provenance = provenance_of(
        label, scan=scan_facts(result.sinogram), sampling=result.settings, prior=result.model, seed=result.seed
    )
    return write_ct_series(result.volume, folder, description=label, provenance=provenance)


def to_nifti(result: Reconstruction, file: Path) -> None:
    """Write a NIfTI file."""
    if not file.name.endswith(VOLUME_SUFFIXES["nifti"]):
        raise UsageError(f"file is {file}; expected a name that ends with {VOLUME_SUFFIXES['nifti']}")
    write_volume_file(result.volume, file, description=f"{_label(result)}; research use only")


def save(result: Reconstruction, folder: Path, formats: Sequence[str]) -> None:
    """Write the whole result folder."""
    wanted = [formats] if isinstance(formats, str) else list(formats)
    if unknown := [name for name in wanted if name not in FORMATS]:
        raise UsageError(f"formats holds {unknown[0]!r}; expected some of {', '.join(FORMATS)}")
    check_export(result.sinogram, wanted)
    with whole_folder(folder) as place:
        write_images(place, result, result.sinogram, result.model, formats=wanted)
        write_page(place, result, result.sinogram, prior=result.model)
        write_record(
            place,
            result,
            result.sinogram,
            prior=result.model,
            device=result.device,
            seconds={"reconstruct": result.seconds},
            metrics=None,
        )


def _label(result: Reconstruction) -> str:
    return method_label(result.method, result.preset, result.sinogram.geometry.n_views)
