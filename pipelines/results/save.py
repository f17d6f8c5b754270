"""A reconstruction written by itself: what its methods do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ctresample.choices import FORMATS, VOLUME_SUFFIXES
from ctresample.errors import UsageError
from ctresample.files import whole_folder
from ctresample.learned import LearnedModel
from ctresample.learned.folders import BUNDLED
from ctresample.pipelines.calibration.judge import Judge
from ctresample.pipelines.calibration.lights import lights_of, record_of
from ctresample.pipelines.calibration.trust import Trust
from ctresample.pipelines.reconstruction.learned_models import load_model
from ctresample.pipelines.reconstruction.methods import method_named
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
    """Write the whole result folder; what is known without a truth is asked of a model that comes with the package."""
    wanted = [formats] if isinstance(formats, str) else list(formats)
    if unknown := [name for name in wanted if name not in FORMATS]:
        raise UsageError(f"formats holds {unknown[0]!r}; expected some of {', '.join(FORMATS)}")
    check_export(result.sinogram, wanted)
    trust = _trust(result)
    lights = lights_of(result, trust)
    if trust.warning:
        result = replace(result, doubts=(*result.doubts, trust.warning))
    with whole_folder(folder) as place:
        write_images(place, result, formats=wanted)
        write_page(place, result, lights=lights)
        write_record(place, result, seconds={"reconstruct": result.seconds}, trust=record_of(trust, lights))


def _trust(result: Reconstruction) -> Trust:
    model = _bundled(result)
    judge = Judge.of(
        result.sinogram, method=result.method, preset=result.preset, model=model, prior=model.name if model else None
    )
    return judge.trust(result, device=result.device)


def _bundled(result: Reconstruction) -> LearnedModel | None:
    """The model that made it, where it is one of the package's own."""
    kind = method_named(result.method).needs
    if result.model is None or not kind or not (BUNDLED / result.model.name).is_dir():
        return None
    model = load_model(result.model.name, result.device, kind)
    return model if model.sha256 == result.model.sha256 else None
