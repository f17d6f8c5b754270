"""What the reader needs of one CT image's header, checked; and the whole header as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage

from ctresample.data_tools.dicom_files import SkippedFile, damage_as_dicom_error, open_dicom, quiet_pydicom
from ctresample.errors import DicomError

_ENHANCED = {
    EnhancedCTImageStorage: "Enhanced CT",
    LegacyConvertedEnhancedCTImageStorage: "Legacy Converted Enhanced CT",
}
_BULK_VRS = {"OB", "OD", "OF", "OL", "OV", "OW", "UN"}


class EnhancedCTError(DicomError):
    """A multi-frame CT image."""

    def __init__(self, path: Path, kind: str) -> None:
        super().__init__(
            f"{path} is a multi-frame {kind} image; expected single-frame CT images; export the series as classic "
            "(single-frame) CT, or choose another series of the folder by its series UID"
        )


@dataclass(frozen=True, eq=False)
class SliceHeader:
    """Identity and place of one CT image.

    Attributes:
        path: the file.
        series_uid: SeriesInstanceUID.
        frame_of_reference_uid: empty if absent.
        shape: rows, columns.
        spacing_mm: distance between rows, between columns.
        orientation: float64 ``(2, 3)``: unit vectors along a row and down a column, LPS, orthonormal.
        position: float64 ``(3,)``: centre of the first pixel, LPS mm.
        nominal_step_mm: SpacingBetweenSlices, else SliceThickness, else 1: the slice step of a lone slice.
    """

    path: Path
    series_uid: str
    frame_of_reference_uid: str
    shape: tuple[int, int]
    spacing_mm: tuple[float, float]
    orientation: NDArray[np.float64]
    position: NDArray[np.float64]
    nominal_step_mm: float

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit vector ``(3,)`` across the slice, row x column."""
        return np.cross(self.orientation[0], self.orientation[1])


@quiet_pydicom()
def read_slice_header(path: Path, series_uid: str | None = None) -> SliceHeader:
    """Read and check the header of one CT image.

    Args:
        path: any file.
        series_uid: skip images of other series unchecked.

    Raises:
        SkippedFile: not DICOM, no CT image, a localizer, or of another series.
        EnhancedCTError: a multi-frame CT image.
        DicomError: a CT image that lacks or garbles what places it in the patient.
    """
    with damage_as_dicom_error(path):
        dataset = open_dicom(path, pixels=False)
        kind = dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID")
        series = str(dataset.get("SeriesInstanceUID") or "")
        if kind not in (CTImageStorage, *_ENHANCED):
            raise SkippedFile("not a CT image")
        if series_uid is not None and series and series != series_uid:
            raise SkippedFile("of another series")
        if kind in _ENHANCED:
            raise EnhancedCTError(path, _ENHANCED[kind])
        if "LOCALIZER" in (dataset.get("ImageType") or ()):
            raise SkippedFile("localizer")
        return _parse(dataset, series, path)


def _parse(dataset: Dataset, series: str, path: Path) -> SliceHeader:
    if not series:
        raise DicomError(f"{path} has no SeriesInstanceUID; expected a whole CT image; it may be truncated")
    rows, columns = (int(_numbers(dataset, name, 1, path)[0]) for name in ("Rows", "Columns"))
    spacing = _numbers(dataset, "PixelSpacing", 2, path)
    if min(spacing) <= 0:
        raise DicomError(f"{path} has PixelSpacing {spacing[0]:g}, {spacing[1]:g}; expected two distances above 0 mm")
    along_row, down_column = np.reshape(_numbers(dataset, "ImageOrientationPatient", 6, path), (2, 3))
    lengths = np.linalg.norm(along_row), np.linalg.norm(down_column)
    if max(abs(lengths[0] - 1), abs(lengths[1] - 1), abs(along_row @ down_column)) > 1e-3:
        raise DicomError(f"{path} has an ImageOrientationPatient that is no pair of orthogonal unit vectors")
    along_row = along_row / lengths[0]
    down_column = down_column - along_row * (along_row @ down_column)  # exactly orthogonal, despite rounded digits
    down_column /= np.linalg.norm(down_column)
    return SliceHeader(
        path=path,
        series_uid=series,
        frame_of_reference_uid=str(dataset.get("FrameOfReferenceUID") or ""),
        shape=(rows, columns),
        spacing_mm=(spacing[0], spacing[1]),
        orientation=np.stack([along_row, down_column]),
        position=np.array(_numbers(dataset, "ImagePositionPatient", 3, path)),
        nominal_step_mm=_nominal_step_mm(dataset),
    )


def _numbers(dataset: Dataset, name: str, count: int, path: Path) -> list[float]:
    """The ``count`` finite numbers of an element that must be there."""
    try:
        value = dataset.get(name)
        numbers = [float(number) for number in ([value] if count == 1 else value)]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise DicomError(f"{path} has no usable {name}; expected {count} number(s); it may be truncated")
    return numbers


def _nominal_step_mm(dataset: Dataset) -> float:
    for name in ("SpacingBetweenSlices", "SliceThickness"):
        try:
            step = abs(float(dataset.get(name)))
        except (TypeError, ValueError):
            continue
        if step > 0 and math.isfinite(step):
            return step
    return 1.0


def header_json(dataset: Dataset) -> dict[str, Any]:
    """DICOM JSON of all elements but pixel data, private, bulk and unreadable ones; ``json.dumps`` takes it."""
    header = {}
    for tag in list(dataset.keys()):
        if tag.is_private or tag.group >> 8 in (0x50, 0x60, 0x7F):  # curves, overlays, pixels
            continue
        try:
            element = dataset[tag]
            if element.VR in _BULK_VRS:
                continue
            entry = _without_bulk(element.to_json_dict(None, 0))
            json.dumps(entry, allow_nan=False)
        except Exception:  # noqa: S112 (a value that no one can read serves no one; the needed ones are checked)
            continue
        header[f"{tag:08X}"] = entry
    return header


def _without_bulk(entry: dict[str, Any]) -> dict[str, Any]:
    """The same element without private and bulk elements in its sequence items."""
    if entry["vr"] != "SQ":
        return entry
    items = [
        {
            tag: _without_bulk(inner)
            for tag, inner in item.items()
            if inner["vr"] not in _BULK_VRS and int(tag[:4], 16) % 2 == 0
        }
        for item in entry.get("Value", [])
    ]
    return {"vr": "SQ", "Value": items}
