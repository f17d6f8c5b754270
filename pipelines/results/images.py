"""The images of one reconstruction on disk: itself and its maps, as DICOM series, NIfTI and NRRD."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctresample.choices import VOLUME_SUFFIXES, MapKind
from ctresample.data_tools.dicom_export.content import CT_IMAGE, RESIDUAL_MAP, UNCERTAINTY_MAP, Content
from ctresample.data_tools.dicom_export.write import check_ct_series, write_ct_series
from ctresample.data_tools.volume_files import check_expressible, write_volume_file
from ctresample.learned import LearnedModel
from ctresample.paths import StrPath, as_path
from ctresample.pipelines.results.provenance import DICOM_FOLDER, method_label, provenance_of, scan_facts
from ctresample.result import ModelIdentity, Reconstruction
from ctresample.sinogram import Sinogram
from ctresample.volume import Volume


@dataclass(frozen=True, eq=False)
class ResultMap:
    """A map that belongs to a reconstruction.

    Attributes:
        kind: "residual" or "uncertainty".
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
    "uncertainty": _Kind("Uncertainty map (SD, HU)", "dicom-uncertainty-map", "uncertainty-map", UNCERTAINTY_MAP),
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
    sinogram: Sinogram,
    prior: LearnedModel | ModelIdentity | None,
    *,
    formats: Collection[str] = ("dicom",),
    maps: Sequence[ResultMap] = (),
    created: datetime | None = None,
) -> None:
    """Write a reconstruction and its maps below a folder, each in every format.

    Args:
        folder: where: ``dicom/``, ``reconstruction.nii.gz``, ``dicom-residual-map/`` and so on are written.
        result: the reconstruction.
        sinogram: what was reconstructed.
        prior: the one used, if any.
        formats: of `ctresample.choices.FORMATS`.
        maps: of the reconstruction.
        created: the date that DICOM images bear; None for now.

    Raises:
        GeometryError: slices that are not evenly spaced, in another format than DICOM.
        OutputError: a file that cannot be written.
    """
    folder = as_path(folder, "folder")
    label = method_label(result.method, result.preset, sinogram.geometry.n_views)
    images: list[tuple[_Kind, NDArray[np.float32], Mapping[str, Any]]] = [(_RECONSTRUCTION, result.image_hu, {})]
    images += [(_MAPS[one.kind], one.hu, {"map": {"kind": one.kind, **one.facts}}) for one in maps]
    for kind, hu, facts in images:
        volume = Volume(hu, sinogram.affine, sinogram.headers, sinogram.slice_offsets_mm)
        description = f"{kind.title}, {label}" if kind.title else label
        for name in formats:
            if name == "dicom":
                provenance = provenance_of(
                    description,
                    scan=scan_facts(sinogram),
                    sampling={**result.settings, **facts},
                    prior=prior,
                    seed=result.seed,
                    created=created,
                )
                place = folder / kind.dicom_folder
                write_ct_series(volume, place, description=description, provenance=provenance, content=kind.content)
            else:
                file = folder / f"{kind.file}{VOLUME_SUFFIXES[name]}"
                write_volume_file(volume, file, description=f"{description}; research use only")
