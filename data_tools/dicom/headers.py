"""What the reader needs of one CT image's header, checked; and the whole header as JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, FileDataset
from pydicom.uid import CTImageStorage

from ctresample.data_tools.dicom.errors import UnreadableImageError
from ctresample.data_tools.dicom.files import (
    DicomFile,
    SkippedFile,
    damage_as_dicom_error,
    open_dicom,
    quiet_pydicom,
)
from ctresample.data_tools.dicom.frames import MULTI_FRAME, images_of, sop_class
from ctresample.data_tools.dicom.hu import header_doubts, why_no_hu
from ctresample.data_tools.dicom.marks import marks_of, patient_of
from ctresample.data_tools.dicom.numbers import decimal_or_none, decimals
from ctresample.data_tools.dicom.spacing import pixel_doubts, spacing_problem
from ctresample.errors import DicomError

MAX_PIXELS = 4096 * 4096
"""Far above any CT slice; a file that declares more would cost its reader gigabytes before it fails."""

_BULK_VRS = {"OB", "OD", "OF", "OL", "OV", "OW", "UN"}
_CT_CLASSES = (CTImageStorage, *MULTI_FRAME)
_PROJECTION_GROUPS = (0x7029, 0x7031, 0x7033, 0x7037)  # of DICOM-CT-PD
_MOST_DISTANT_MM = 1e5
_NEEDED_OF_OTHER_CLASSES = ("ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept")


@dataclass(frozen=True, eq=False)
class SliceHeader:
    """Identity and place of one CT image, or of one frame of a multi-frame image.

    Attributes:
        file: where it is.
        frame: which of the file's frames, from 0; None for a single-frame image.
        instance_uid: SOPInstanceUID, of a frame that of its file; empty if absent.
        series_uid: SeriesInstanceUID; empty if absent, which is allowed only where it is not asked.
        frame_of_reference_uid: empty if absent.
        shape: rows, columns.
        spacing_mm: distance between rows, between columns.
        orientation: float64 ``(2, 3)``: unit vectors along a row and down a column, LPS, orthonormal.
        position: float64 ``(3,)``: centre of the first pixel, LPS mm.
        nominal_step_mm: SpacingBetweenSlices, else SliceThickness, else 1: the slice step of a lone slice.
        study_uid: StudyInstanceUID; empty if absent.
        patient: from `patient_of`; not shown.
        marks: from `marks_of`; not shown.
        slice_location_mm: SliceLocation, None if absent.
        thickness_mm: SliceThickness, 0 if absent.
        doubts: what in the header is odd, each in one phrase.
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
    study_uid: str = ""
    patient: tuple[str, ...] = field(default=("", "", "", ""), repr=False)
    marks: Mapping[str, str] = field(default_factory=dict, repr=False)
    slice_location_mm: float | None = None
    thickness_mm: float = 0.0
    doubts: tuple[str, ...] = ()

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit vector ``(3,)`` across the slice, row x column."""
        return np.cross(self.orientation[0], self.orientation[1])

    @property
    def centre(self) -> NDArray[np.float64]:
        """The middle of the slice, LPS mm."""
        return self.position + from_first_to_centre_mm(self.shape, self.spacing_mm) @ self.orientation

    @property
    def name(self) -> str:
        """The file's name, with the frame's number where it has several."""
        return self.file.short_name + ("" if self.frame is None else f" frame {self.frame + 1}")


def from_first_to_centre_mm(shape: tuple[int, int], spacing_mm: tuple[float, float]) -> NDArray[np.float64]:
    """From the first pixel to the middle of a slice: along a row, down a column."""
    return np.array([(shape[1] - 1) * spacing_mm[1], (shape[0] - 1) * spacing_mm[0]]) / 2


@quiet_pydicom()
def read_slice_headers(file: DicomFile, *, any_class: bool = False, one_series: bool = False) -> list[SliceHeader]:
    """Read and check the header of a CT image, or of every frame of a multi-frame one that is no localizer.

    Args:
        file: any file.
        any_class: take images that are stored as another class than CT, where Modality, HU and place are all there.
        one_series: take images without SeriesInstanceUID, and place those without position by SliceLocation.

    Raises:
        SkippedFile: not DICOM, no CT image, a localizer, or values that are no HU.
        UnreadableImageError: a CT image that lacks or garbles what places it in the patient.
        DicomError: a file that cannot be read at all.
    """
    with damage_as_dicom_error(file):
        dataset = open_dicom(file, pixels=False)
        series = str(dataset.get("SeriesInstanceUID") or "")
        if any(tag.group in _PROJECTION_GROUPS for tag in dataset.keys()):  # noqa: SIM118 (values stay unread)
            raise SkippedFile("with raw projections (DICOM-CT-PD), no slices")
        enhanced = sop_class(dataset) in MULTI_FRAME
        foreign = sop_class(dataset) not in _CT_CLASSES
        if foreign:
            _check_other_class(dataset, file, any_class)
        try:
            with damage_as_dicom_error(file):
                images = [(n, image) for n, image in images_of(dataset, file) if not _is_localizer(image)]
                reasons = {why_no_hu(image, enhanced=enhanced): None for _, image in images}
                found = [
                    _parse(image, series, file, n, one_series)
                    for n, image in images
                    if not why_no_hu(image, enhanced=enhanced)
                ]
        except DicomError as error:
            raise UnreadableImageError(f"{error}{_if_cut_off(file)}", series) from error
        if not images:
            raise SkippedFile("localizer")
        if not found:
            raise SkippedFile(f"not in HU ({', '.join(reasons)})")
        return found


def _if_cut_off(file: DicomFile) -> str:
    """What explains elements that are missing: bytes that are missing, too."""
    try:
        whole = open_dicom(file, pixels=True)
    except Exception:
        return ""
    has_pixels = any(keyword in whole for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"))
    return "" if has_pixels else "; the file ends before any pixels: it is truncated, or no image"


def _check_other_class(dataset: FileDataset, file: DicomFile, any_class: bool) -> None:
    """Leave out what is no CT; and what could be one, unless it was asked for."""
    uid = sop_class(dataset)
    name = uid.name if re.fullmatch(r"[0-9.]{1,64}", uid) else "no SOP class"
    if str(dataset.get("Modality") or "").strip() != "CT":
        raise SkippedFile(f"not a CT image ({name})")
    first = next((image for _, image in images_of(dataset, file)), dataset)
    missing = [keyword for keyword in _NEEDED_OF_OTHER_CLASSES if first.get(keyword) in (None, "")]
    if first.get("ImagePositionPatient") in (None, "") and first.get("SliceLocation") in (None, ""):
        missing.append("ImagePositionPatient")
    if missing:
        raise SkippedFile(f"not a CT image ({name} of Modality CT without {', '.join(missing)})")
    if not any_class:
        raise SkippedFile(f"not a CT image by class, yet of Modality CT with HU and place ({name}): --any-class")


def _is_localizer(dataset: Dataset) -> bool:
    return "LOCALIZER" in (dataset.get("ImageType") or ())


def _parse(dataset: Dataset, series: str, file: DicomFile, frame: int | None, one_series: bool) -> SliceHeader:
    if not series and not one_series:
        raise DicomError(
            f"{file} has no SeriesInstanceUID, so that nothing says what belongs together; where the images of each "
            "folder are one series, take them with --one-series"
        )
    rows, columns = (int(_numbers(dataset, name, 1, file)[0]) for name in ("Rows", "Columns"))
    if not 0 < rows * columns <= MAX_PIXELS or min(rows, columns) < 1:
        raise DicomError(f"{file} declares {rows} x {columns} pixels; expected a CT slice of at most 4096 x 4096")
    spacing = _numbers(dataset, "PixelSpacing", 2, file)
    if problem := spacing_problem(spacing):
        raise DicomError(f"{file} has PixelSpacing {spacing[0]:g}, {spacing[1]:g}; {problem}")
    along_row, down_column = np.reshape(_numbers(dataset, "ImageOrientationPatient", 6, file), (2, 3))
    lengths = np.linalg.norm(along_row), np.linalg.norm(down_column)
    if max(abs(lengths[0] - 1), abs(lengths[1] - 1), abs(along_row @ down_column)) > 1e-3:
        raise DicomError(f"{file} has an ImageOrientationPatient that is no pair of orthogonal unit vectors")
    along_row = along_row / lengths[0]
    down_column = down_column - along_row * (along_row @ down_column)  # exactly orthogonal, despite rounded digits
    down_column /= np.linalg.norm(down_column)
    orientation = np.stack([along_row, down_column])
    thickness_mm = abs(decimal_or_none(dataset, "SliceThickness") or 0.0)
    doubts = header_doubts(dataset) + pixel_doubts(spacing, thickness_mm)
    location = decimal_or_none(dataset, "SliceLocation")
    if dataset.get("ImagePositionPatient") in (None, "") and location is not None:
        if not one_series:
            raise DicomError(
                f"{file} has no ImagePositionPatient, only SliceLocation; the original images have both; "
                "--one-series places slices by SliceLocation"
            )
        middle = from_first_to_centre_mm((rows, columns), (spacing[0], spacing[1]))
        position = location * np.cross(along_row, down_column) - middle @ orientation
        doubts.append(BY_SLICE_LOCATION)
    else:
        position = np.array(_numbers(dataset, "ImagePositionPatient", 3, file))
    if np.abs(position).max() > _MOST_DISTANT_MM:
        raise DicomError(
            f"{file} lies {np.abs(position).max():.3g} mm from the origin (ImagePositionPatient); expected at most "
            f"{_MOST_DISTANT_MM:g}; correct the header"
        )
    return SliceHeader(
        file=file,
        frame=frame,
        instance_uid=str(dataset.get("SOPInstanceUID") or ""),
        series_uid=series,
        frame_of_reference_uid=str(dataset.get("FrameOfReferenceUID") or ""),
        shape=(rows, columns),
        spacing_mm=(spacing[0], spacing[1]),
        orientation=orientation,
        position=position,
        nominal_step_mm=_nominal_step_mm(dataset),
        study_uid=str(dataset.get("StudyInstanceUID") or ""),
        patient=patient_of(dataset),
        marks=marks_of(dataset),
        slice_location_mm=location,
        thickness_mm=thickness_mm,
        doubts=tuple(doubts),
    )


BY_SLICE_LOCATION = (
    "no usable ImagePositionPatient: slices are placed by SliceLocation, so that their order may be reversed and their "
    "place within the plane is not known"
)


def _numbers(dataset: Dataset, name: str, count: int, file: DicomFile) -> list[float]:
    """The ``count`` finite numbers of an element that must be there."""
    try:
        numbers = decimals(dataset, name)
    except (TypeError, ValueError, OverflowError):
        raise DicomError(
            f"{file} has no usable {name}: it holds text; expected {count} number(s); correct the header"
        ) from None
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        found = "none" if not numbers else f"{len(numbers)}, not all finite" if len(numbers) == count else len(numbers)
        raise DicomError(
            f"{file} has no usable {name}; expected {count} number(s), found {found}; use the original images"
        )
    return numbers


def _nominal_step_mm(dataset: Dataset) -> float:
    for name in ("SpacingBetweenSlices", "SliceThickness"):
        step = abs(decimal_or_none(dataset, name) or 0.0)
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
        except DicomError:  # more than may be read
            raise
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
