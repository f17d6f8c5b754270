"""Write reconstructed volumes as derived CT series that say what they are and where they come from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from ctresample.data_tools.dicom.files import quiet_pydicom
from ctresample.data_tools.dicom_export.content import CT_IMAGE, Content
from ctresample.data_tools.dicom_export.derived import PlacedSlice, derived_datasets, mendings
from ctresample.data_tools.dicom_export.provenance import Provenance
from ctresample.data_tools.moment import moment
from ctresample.data_tools.upright import check_upright
from ctresample.errors import DicomError, OutputError, UsageError
from ctresample.files import as_output_error, whole_folder
from ctresample.paths import StrPath, as_path
from ctresample.volume import Volume

__all__ = ["Provenance", "check_ct_series", "headers_changed", "write_ct_series", "write_ct_slices"]

_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "SOPClassUID", "SOPInstanceUID")


def write_ct_series(
    volume: Volume, folder: StrPath, *, description: str, provenance: Provenance, content: Content = CT_IMAGE
) -> list[Path]:
    """Write a volume as one derived CT series of its source's study, or of a new study without a source.

    16-bit values with one rescale for the series; every HU value survives within half a rescale step, which of a CT
    image is 1 HU unless the values span more than 65535 HU. Equal runs give equal UIDs. Nothing is left behind on
    failure.

    Args:
        volume: finite HU; the headers, if any, all of one study.
        folder: new or empty; it receives ``0001.dcm`` ... in slice order.
        description: SeriesDescription, at most 64 characters.
        provenance: what made the values.
        content: what the values are.

    Returns:
        The files in slice order.

    Raises:
        DicomError: headers of several studies, or unusable ones.
        GeometryError: an affine that no DICOM series can express.
        OutputError: not finite values, or a folder that cannot be written or is not empty.
    """
    folder = as_path(folder, "folder")
    slices = _slices_of_one_study(volume)
    return _write([slices], [list(range(len(slices)))], folder, content, description, provenance)


@quiet_pydicom()
def check_ct_series(affine: NDArray[np.float64], headers: Sequence[Mapping[str, Any]]) -> None:
    """Raise what :func:`write_ct_series` would of a place and headers, before there are any values.

    Args:
        affine: ``(4, 4)``, of the volume.
        headers: of its slices, or none.

    Raises:
        DicomError: as there.
        GeometryError: as there.
    """
    empty = np.zeros((max(1, len(headers)), 1, 1), np.float32)
    slices = _slices_of_one_study(Volume(empty, affine, tuple(map(dict, headers))))
    for _ in derived_datasets(slices, CT_IMAGE, "check", Provenance("", "check"), moment()):
        pass


@quiet_pydicom()
def headers_changed(headers: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What a derived series does not take over from its source as it is, because no rule of DICOM allows it.

    Returns:
        By keyword, what is done: mended, left out or replaced. No value of a header.
    """
    empty = np.zeros((max(1, len(headers)), 1, 1), np.float32)
    try:
        slices = _placed_slices(Volume(empty, np.eye(4), tuple(map(dict, headers))))
    except DicomError:
        return {}  # no series comes of them
    return mendings([placed.source for placed in slices])


def _slices_of_one_study(volume: Volume) -> list[PlacedSlice]:
    slices = _placed_slices(volume)
    studies = {placed.source.get("StudyInstanceUID") for placed in slices}
    if len(studies) > 1:
        raise DicomError(
            f"the volume's headers come from {len(studies)} studies; expected one, as a series belongs to one patient; "
            "simulate each study on its own (--series KEY), or write --format nifti,nrrd"
        )
    return slices


def write_ct_slices(
    volumes: Sequence[Volume], folder: StrPath, *, description: str, provenance: Provenance
) -> list[Path]:
    """Write one-slice volumes, each into the derived series of its own source series.

    Slices of one source series with equal matrix, spacing and orientation share a series; without headers each
    has its own study. Else as :func:`write_ct_series`.

    Returns:
        One file a volume, in the given order: ``0001.dcm`` is the first.
    """
    folder = as_path(folder, "folder")
    if not volumes or any(len(volume.hu) != 1 for volume in volumes):
        raise UsageError(f"got {[len(volume.hu) for volume in volumes]} slices a volume; expected volumes of one slice")
    slices = [_placed_slices(volume)[0] for volume in volumes]
    groups: dict[tuple[object, ...], list[int]] = {}
    for index, placed in enumerate(slices):
        groups.setdefault(_series_key(placed, index), []).append(index)
    for members in groups.values():
        normal = np.cross(slices[members[0]].affine[:3, 0], slices[members[0]].affine[:3, 1])
        members.sort(key=lambda index: float(slices[index].affine[:3, 3] @ normal))
    in_series = [[slices[index] for index in members] for members in groups.values()]
    return _write(in_series, list(groups.values()), folder, CT_IMAGE, description, provenance)


def _series_key(placed: PlacedSlice, index: int) -> tuple[object, ...]:
    if not placed.source:
        return (index,)
    uids = (str(placed.source.get("StudyInstanceUID")), str(placed.source.get("SeriesInstanceUID")))
    return (*uids, placed.hu.shape, *np.round(placed.affine[:3, :2], 4).ravel().tolist())


@quiet_pydicom()
def _placed_slices(volume: Volume) -> list[PlacedSlice]:
    if not np.isfinite(volume.hu).all():
        n_bad = int(np.count_nonzero(~np.isfinite(volume.hu)))
        raise OutputError(f"the volume has {n_bad} values that are not finite; expected HU; check the reconstruction")
    check_upright(volume.affine)
    headers: Sequence[Mapping[str, Any]] = volume.headers or [{}] * len(volume.hu)
    placed = []
    for z, (hu, header, origin) in enumerate(zip(volume.hu, headers, volume.slice_origins_mm, strict=True)):
        affine = volume.affine.copy()
        affine[:3, 3] = origin
        try:
            source = Dataset.from_json(dict(header))
        except Exception as error:  # pydicom raises several types on bad JSON
            raise DicomError(
                f"the header of slice {z} is no DICOM JSON ({type(error).__name__}); read it anew"
            ) from error
        if not all(isinstance(source.get(keyword) or "", str) for keyword in _UIDS):  # damaged files have numbers there
            raise DicomError(f"the header of slice {z} has UIDs that are not one text each; read its series anew")
        placed.append(PlacedSlice(hu, affine, source))
    return placed


@quiet_pydicom()
def _write(
    series: Sequence[Sequence[PlacedSlice]],
    numbers: Sequence[Sequence[int]],
    folder: Path,
    content: Content,
    description: str,
    provenance: Provenance,
) -> list[Path]:
    """Write each series; ``numbers`` says which file each of its slices becomes."""
    if not re.fullmatch(r"[^\\\x00-\x1f\x7f]{1,64}", description):
        raise UsageError(f"description is {description!r}; expected 1 to 64 characters without backslash or line break")
    created = provenance.created or moment()
    datasets = (
        (index, dataset)
        for slices, members in zip(series, numbers, strict=True)
        for index, dataset in zip(
            members, derived_datasets(slices, content, description, provenance, created), strict=True
        )
    )
    return _write_whole(datasets, sum(map(len, numbers)), folder.resolve())


def _write_whole(datasets: Iterable[tuple[int, Dataset]], count: int, folder: Path) -> list[Path]:
    """Write all files next to ``folder`` and move them into place together, so that no half result is left."""
    names = [f"{index + 1:0{max(4, len(str(count)))}d}.dcm" for index in range(count)]
    with whole_folder(folder) as partial, as_output_error(folder):
        for index, dataset in datasets:
            dataset.save_as(partial / names[index], enforce_file_format=True)
    return [folder / name for name in names]
