"""What the reader needs of one CT image's header, checked; and the whole header as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import CTImageStorage

from ctresample.data_tools.dicom_errors import UnreadableImageError
from ctresample.data_tools.dicom_files import (
    DicomFile,
    SkippedFile,
    damage_as_dicom_error,
    open_dicom,
    quiet_pydicom,
)
from ctresample.data_tools.dicom_frames import MULTI_FRAME, images_of, sop_class
from ctresample.errors import DicomError

MAX_PIXELS = 4096 * 4096
"""Far above any CT slice; a file that declares more would cost its reader gigabytes before it fails."""

_BULK_VRS = {"OB", "OD", "OF", "OL", "OV", "OW", "UN"}


@dataclass(frozen=True, eq=False)
class SliceHeader:
    """Identity and place of one CT image, or of one frame of a multi-frame image.

    Attributes:
        file: where it is.
        frame: which of the file's frames, from 0; None for a single-frame image.
        instance_uid: SOPInstanceUID, of a frame that of its file; empty if absent.
        series_uid: SeriesInstanceUID.
        frame_of_reference_uid: empty if absent.
        shape: rows, columns.
        spacing_mm: distance between rows, between columns.
        orientation: float64 ``(2, 3)``: unit vectors along a row and down a column, LPS, orthonormal.
        position: float64 ``(3,)``: centre of the first pixel, LPS mm.
        nominal_step_mm: SpacingBetweenSlices, else SliceThickness, else 1: the slice step of a lone slice.
    """

    file: DicomFile
    frame: int | None
    instance_uid: str
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

    @property
    def name(self) -> str:
        """The file's name, with the frame's number where it has several."""
        return self.file.short_name + ("" if self.frame is None else f" frame {self.frame + 1}")


@quiet_pydicom()
def read_slice_headers(file: DicomFile) -> list[SliceHeader]:
    """Read and check the header of a CT image, or of every frame of a multi-frame one that is no localizer.

    Raises:
        SkippedFile: not DICOM, no CT image, or a localizer.
        UnreadableImageError: a CT image that lacks or garbles what places it in the patient.
        DicomError: a file that cannot be read at all.
    """
    with damage_as_dicom_error(file):
        dataset = open_dicom(file, pixels=False)
        series = str(dataset.get("SeriesInstanceUID") or "")
        if sop_class(dataset) not in (CTImageStorage, *MULTI_FRAME):
            raise SkippedFile("not a CT image")
        try:
            with damage_as_dicom_error(file):
                images = images_of(dataset, file)
                found = [_parse(image, series, file, n) for n, image in images if not _is_localizer(image)]
        except DicomError as error:
            raise UnreadableImageError(str(error), series) from error
        if not found:
            raise SkippedFile("localizer")
        return found


def _is_localizer(dataset: Dataset) -> bool:
    return "LOCALIZER" in (dataset.get("ImageType") or ())


def _parse(dataset: Dataset, series: str, file: DicomFile, frame: int | None) -> SliceHeader:
    if not series:
        raise DicomError(f"{file} has no SeriesInstanceUID; expected a whole CT image; it may be truncated")
    rows, columns = (int(_numbers(dataset, name, 1, file)[0]) for name in ("Rows", "Columns"))
    if not 0 < rows * columns <= MAX_PIXELS:
        raise DicomError(f"{file} declares {rows} x {columns} pixels; expected a CT slice of at most 4096 x 4096")
    spacing = _numbers(dataset, "PixelSpacing", 2, file)
    if min(spacing) <= 0:
        raise DicomError(f"{file} has PixelSpacing {spacing[0]:g}, {spacing[1]:g}; expected two distances above 0 mm")
    along_row, down_column = np.reshape(_numbers(dataset, "ImageOrientationPatient", 6, file), (2, 3))
    lengths = np.linalg.norm(along_row), np.linalg.norm(down_column)
    if max(abs(lengths[0] - 1), abs(lengths[1] - 1), abs(along_row @ down_column)) > 1e-3:
        raise DicomError(f"{file} has an ImageOrientationPatient that is no pair of orthogonal unit vectors")
    along_row = along_row / lengths[0]
    down_column = down_column - along_row * (along_row @ down_column)  # exactly orthogonal, despite rounded digits
    down_column /= np.linalg.norm(down_column)
    return SliceHeader(
        file=file,
        frame=frame,
        instance_uid=str(dataset.get("SOPInstanceUID") or ""),
        series_uid=series,
        frame_of_reference_uid=str(dataset.get("FrameOfReferenceUID") or ""),
        shape=(rows, columns),
        spacing_mm=(spacing[0], spacing[1]),
        orientation=np.stack([along_row, down_column]),
        position=np.array(_numbers(dataset, "ImagePositionPatient", 3, file)),
        nominal_step_mm=_nominal_step_mm(dataset),
    )


def _numbers(dataset: Dataset, name: str, count: int, file: DicomFile) -> list[float]:
    """The ``count`` finite numbers of an element that must be there."""
    try:
        value = dataset.get(name)
        numbers = [float(number) for number in ([value] if count == 1 else value)]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise DicomError(f"{file} has no usable {name}; expected {count} number(s); it may be truncated")
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
