"""The images of one reconstruction on disk: itself and its maps, as DICOM series, NIfTI and NRRD."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctresample.choices import VOLUME_SUFFIXES, MapKind
from ctresample.data_tools.dicom_export.content import (
    CT_IMAGE,
    HALF_WIDTH,
    LOWER_BOUND,
    ORIGIN_MAP,
    RESIDUAL_MAP,
    TV_DIFFERENCE_MAP,
    UNCERTAINTY_MAP,
    UPPER_BOUND,
    Content,
)
from ctresample.data_tools.dicom_export.write import check_ct_series, write_ct_series
from ctresample.data_tools.volume_files import check_expressible, write_volume_file
from ctresample.paths import StrPath, as_path
from ctresample.pipelines.results.provenance import DICOM_FOLDER, method_label, provenance_of, scan_facts
from ctresample.result import Reconstruction
from ctresample.sinogram import Sinogram
from ctresample.volume import Volume


@dataclass(frozen=True, eq=False)
class ResultMap:
    """A map that belongs to a reconstruction.

    Attributes:
        kind: of `ctresample.choices.MapKind`.
        hu: ``[slice, y, x]`` in HU.
        facts: how it came about, JSON-able.
    """

    kind: MapKind
    hu: NDArray[np.float32]
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rms_hu(self) -> float:
        """Root mean square over all voxels, in HU."""
        return float(np.sqrt(np.mean(self.hu.astype(np.float64) ** 2)))


@dataclass(frozen=True)
class _Kind:
    """How an image is named: in descriptions, and in the places of its files."""

    title: str
    dicom_folder: str
    file: str
    content: Content


_RECONSTRUCTION = _Kind("", DICOM_FOLDER, "reconstruction", CT_IMAGE)
_MAPS: dict[MapKind, _Kind] = {
    "residual": _Kind("Residual map (HU)", "dicom-residual-map", "residual-map", RESIDUAL_MAP),
    "origin": _Kind("Origin map: not measured (HU)", "dicom-origin-map", "origin-map", ORIGIN_MAP),
    "tv-difference": _Kind(
        "Difference to TV (RMS over 1 cm2, HU)", "dicom-tv-difference-map", "tv-difference-map", TV_DIFFERENCE_MAP
    ),
    "uncertainty": _Kind("Uncertainty map (SD, HU)", "dicom-uncertainty-map", "uncertainty-map", UNCERTAINTY_MAP),
    "lower": _Kind("Lower bound", "dicom-lower", "lower", LOWER_BOUND),
    "upper": _Kind("Upper bound", "dicom-upper", "upper", UPPER_BOUND),
    "half-width": _Kind("Half-width (HU)", "dicom-half-width", "half-width", HALF_WIDTH),
}


def check_export(sinogram: Sinogram, formats: Collection[str]) -> None:
    """Raise, before anything is computed, what :func:`write_images` would after it.

    Raises:
        DicomError: headers of several studies, or unusable ones, for DICOM.
        GeometryError: slices that no format asked for can express.
    """
    if "dicom" in formats:
        check_ct_series(sinogram.affine, sinogram.headers)
    if set(formats) - {"dicom"}:
        check_expressible(sinogram.affine, sinogram.slice_offsets_mm)


def write_images(
    folder: StrPath,
    result: Reconstruction,
    *,
    formats: Collection[str] = ("dicom",),
    maps: Sequence[ResultMap] = (),
    created: datetime | None = None,
) -> None:
    """Write a reconstruction and its maps below a folder, each in every format.

    Args:
        folder: where: ``dicom/``, ``reconstruction.nii.gz``, ``dicom-residual-map/`` and so on are written.
        result: the reconstruction.
        formats: of `ctresample.choices.FORMATS`.
        maps: of the reconstruction.
        created: the date that DICOM images bear; None for now.

    Raises:
        GeometryError: slices that are not evenly spaced, in another format than DICOM.
        OutputError: a file that cannot be written.
    """
    folder = as_path(folder, "folder")
    for shown in (None, *maps):
        kind = _kind(shown)
        for name in formats:
            if name == "dicom":
                write_dicom(folder / kind.dicom_folder, result, shown, created=created)
            else:
                write_volume(folder / f"{kind.file}{VOLUME_SUFFIXES[name]}", result, shown)


def write_dicom(
    folder: Path, result: Reconstruction, shown: ResultMap | None = None, *, created: datetime | None = None
) -> list[Path]:
    """Write a reconstruction, or a map of it, as a derived DICOM series; returns the files in slice order."""
    description = _description(result, shown)
    facts = {} if shown is None else {"map": {"kind": shown.kind, **shown.facts}}
    provenance = provenance_of(
        description,
        scan=scan_facts(result.sinogram),
        sampling={**result.settings, **facts},
        prior=result.model,
        seed=result.seed,
        created=created,
    )
    content = _kind(shown).content
    return write_ct_series(
        _volume(result, shown), folder, description=description, provenance=provenance, content=content
    )


def write_volume(file: Path, result: Reconstruction, shown: ResultMap | None = None) -> None:
    """Write a reconstruction, or a map of it, as NIfTI or NRRD, by the file's ending."""
    write_volume_file(_volume(result, shown), file, description=f"{_description(result, shown)}; research use only")


def _kind(shown: ResultMap | None) -> _Kind:
    return _RECONSTRUCTION if shown is None else _MAPS[shown.kind]


def _volume(result: Reconstruction, shown: ResultMap | None) -> Volume:
    return result.volume if shown is None else result.volume.with_hu(shown.hu)


def _description(result: Reconstruction, shown: ResultMap | None) -> str:
    label = method_label(result.method, result.preset, result.sinogram.geometry.n_views)
    return ", ".join(filter(None, (_kind(shown).title, label)))
