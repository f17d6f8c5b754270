"""Build the data sets of a derived CT series."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid

from ctresample.data_tools.dicom.mend import is_uid
from ctresample.data_tools.dicom.numbers import decimal_or_none, decimals
from ctresample.data_tools.dicom_export import provenance as provenances
from ctresample.data_tools.dicom_export.content import Content
from ctresample.data_tools.dicom_export.provenance import TOOLKIT, Provenance
from ctresample.data_tools.dicom_export.source import Told, decimal, keep, keep_flags, keep_from_source


@dataclass(frozen=True, eq=False)
class PlacedSlice:
    """One slice to write.

    Attributes:
        hu: ``(rows, columns)``, finite.
        affine: ``(4, 4)``, maps (column, row, 0, 1) to LPS mm.
        source: header of the image it was made from; empty if it was made from none.
    """

    hu: NDArray[np.float32]
    affine: NDArray[np.float64]
    source: Dataset


def derived_datasets(
    slices: Sequence[PlacedSlice], content: Content, description: str, provenance: Provenance, created: datetime
) -> Iterator[Dataset]:
    """Yield one data set a slice, all of one new series, numbered in the given order.

    Patient, study and frame of reference are those of the first slice's source.
    """
    uids = _Uids(slices, description, provenance)
    shared = _shared(slices, uids, content, description, provenance, created)
    slope, intercept = float(shared.RescaleSlope), float(shared.RescaleIntercept)
    for number, placed in enumerate(slices, start=1):
        dataset, source = copy.deepcopy(shared), placed.source
        dataset.SOPInstanceUID = uids.new("instance", str(number))
        dataset.InstanceNumber = number
        _set_place(dataset, placed.affine)
        if source.get("SliceThickness"):
            keep(dataset, source, "SliceThickness")
        dataset.Rows, dataset.Columns = placed.hu.shape
        dataset.PixelData = np.rint((placed.hu.astype(np.float64) - intercept) / slope).astype("<i2").tobytes()
        if has_reference(source):
            dataset.SourceImageSequence = provenances.source_image(source, _same_pixels(dataset, source))
            dataset.ReferencedSeriesSequence = provenances.referenced_series(source)
        yield dataset


class _Uids:
    """UIDs that depend on source, place and provenance alone, so that equal runs give equal ones."""

    def __init__(self, slices: Sequence[PlacedSlice], description: str, provenance: Provenance) -> None:
        self._entropy = [description, provenance.fingerprint()]
        for placed in slices:
            # without a source the values themselves tell one image from another
            name = placed.source.get("SOPInstanceUID") or hashlib.sha256(placed.hu.tobytes()).hexdigest()
            self._entropy.append(json.dumps([str(name), placed.hu.shape, placed.affine.tolist()]))

    def new(self, *role: str) -> UID:
        return generate_uid(entropy_srcs=[json.dumps([*role, *self._entropy])])

    def kept(self, source: Dataset, keyword: str) -> UID:
        """The source's UID; a new one for none, or for text that is none: one for all of one patient and text."""
        uid = str(source.get(keyword) or "").strip()
        if uid and not is_uid(uid):
            who = [str(source.get(name) or "") for name in ("PatientID", "PatientName", "PatientBirthDate")]
            return generate_uid(entropy_srcs=[json.dumps([keyword, uid, *who])])
        return UID(uid) if uid else self.new(keyword)


def has_reference(source: Dataset) -> bool:
    """Whether an image can be named as a source: by UIDs that are some."""
    uids = [str(source.get(keyword) or "") for keyword in ("SOPInstanceUID", "SeriesInstanceUID")]
    return all(map(is_uid, uids)) and is_uid(str(source.get("SOPClassUID") or CTImageStorage))


def mendings(sources: Sequence[Dataset]) -> Told:
    """What a derived series does not take over as it is, because no rule of DICOM allows it.

    Args:
        sources: headers of the images, in the order of the slices.
    """
    if not sources:
        return {}
    told: Told = {}
    keep_from_source(Dataset(), sources[0], told)
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID"):
        uid = str(sources[0].get(keyword) or "").strip()
        if uid and not is_uid(uid):
            told[keyword] = "replaced by a new UID"
    if any(source and not has_reference(source) for source in sources):
        told["SourceImageSequence"] = "left out: the source's UIDs are missing or invalid"
    return told


def _shared(
    slices: Sequence[PlacedSlice],
    uids: _Uids,
    content: Content,
    description: str,
    provenance: Provenance,
    created: datetime,
) -> Dataset:
    """All elements that are the same in every slice."""
    source, date, time = slices[0].source, created.strftime("%Y%m%d"), created.strftime("%H%M%S.%f")
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SpecificCharacterSet = "ISO_IR 192"  # holds every name, whatever the source's character set
    dataset.SOPClassUID = CTImageStorage
    dataset.Modality = "CT"
    dataset.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    keep_from_source(dataset, source)
    keep_flags(dataset, [placed.source for placed in slices])
    dataset.StudyInstanceUID = uids.kept(source, "StudyInstanceUID")
    dataset.FrameOfReferenceUID = uids.kept(source, "FrameOfReferenceUID")
    dataset.SeriesInstanceUID = uids.new("series")
    if not source:
        dataset.PatientName = "Unknown^Patient"
        dataset.PatientID = f"CTR{dataset.StudyInstanceUID[-10:]}"
        dataset.StudyDate, dataset.StudyTime = date, time
    dataset.StudyID = dataset.StudyID or dataset.StudyInstanceUID[-10:]
    number = content.series_number + int(decimal_or_none(source, "SeriesNumber") or 0)
    dataset.SeriesNumber = number if abs(number) < 2**31 else content.series_number
    dataset.SeriesDescription = description
    # one time for all: some viewers split a series by it
    dataset.SeriesDate = dataset.ContentDate = dataset.InstanceCreationDate = date
    dataset.SeriesTime = dataset.ContentTime = dataset.InstanceCreationTime = time

    dataset.Manufacturer = dataset.ManufacturerModelName = TOOLKIT
    dataset.SoftwareVersions = provenance.software_version
    dataset.DerivationDescription = provenance.description()
    dataset.ContributingEquipmentSequence = provenances.contributing_equipment(source, provenance, created)
    dataset.ContentQualification = "RESEARCH"
    dataset.ImageComments = content.comments

    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 1
    dataset.RescaleSlope, dataset.RescaleIntercept = map(decimal, _rescale(slices, content))
    dataset.RescaleType = "HU"
    levels, widths = zip(*content.windows.values(), strict=True)
    dataset.WindowCenter, dataset.WindowWidth = list(map(decimal, levels)), list(map(decimal, widths))
    dataset.WindowCenterWidthExplanation = list(content.windows)
    if (step_mm := _even_step_mm(slices)) is not None:
        dataset.SpacingBetweenSlices = decimal(step_mm)
    return dataset


def _rescale(slices: Sequence[PlacedSlice], content: Content) -> tuple[float, float]:
    """Slope and intercept that put every value into 16 bits: those of the content, else coarser ones or shifted."""
    lowest = min(float(placed.hu.min()) for placed in slices)
    highest = max(float(placed.hu.max()) for placed in slices)
    middle = float(round((lowest + highest) / 2))
    for slope in (content.step_hu, 1.0):
        for intercept in (content.intercept_hu, middle):
            if lowest - intercept >= -32768 * slope and highest - intercept <= 32767 * slope:
                return slope, intercept
    return float(f"{(highest - lowest) / 65500:.6g}"), float(f"{middle:.8g}")  # fewer steps than 65536: digits are cut


def _set_place(dataset: Dataset, affine: NDArray[np.float64]) -> None:
    column_mm, row_mm = (float(np.linalg.norm(affine[:3, axis])) for axis in (0, 1))
    cosines = [*(affine[:3, 0] / column_mm), *(affine[:3, 1] / row_mm)]
    dataset.PixelSpacing = [decimal(row_mm), decimal(column_mm)]
    dataset.ImageOrientationPatient = [decimal(cosine) for cosine in cosines]
    dataset.ImagePositionPatient = [decimal(coordinate) for coordinate in affine[:3, 3]]


def _even_step_mm(slices: Sequence[PlacedSlice]) -> float | None:
    """The distance between neighbours, if it is one; a lone slice has that of its source."""
    if len(slices) == 1:
        nominal = decimal_or_none(slices[0].source, "SpacingBetweenSlices")
        return abs(nominal) if nominal else None
    places = np.stack([placed.affine[:3, 3] for placed in slices])
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    mean = float(steps.mean())
    return mean if mean > 0 and np.allclose(steps, mean, rtol=0, atol=max(0.01 * mean, 0.05)) else None


def _same_pixels(dataset: Dataset, source: Dataset) -> bool:
    """Whether a pixel (row, column) of the result lies where that of the source lies."""
    if (dataset.Rows, dataset.Columns) != (source.get("Rows"), source.get("Columns")):
        return False
    for keyword in ("PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient"):
        try:
            ours, theirs = decimals(dataset, keyword), decimals(source, keyword)
        except (TypeError, ValueError):
            return False
        if len(ours) != len(theirs) or not np.allclose(ours, theirs, rtol=0, atol=1e-3):
            return False
    return True
