"""The frames of a multi-frame CT image, each as the classic single-frame image it could have been."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydicom import Dataset, FileDataset
from pydicom.uid import UID, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage

from ctresample.data_tools.dicom.files import DicomFile
from ctresample.data_tools.dicom.numbers import decimal_or_none, decimals
from ctresample.errors import DicomError

MULTI_FRAME = (EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)
MAX_FRAMES = 50_000

_SHARED, _PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
_CLASSIC_GROUPS = (  # what a classic image has at its top level
    "PixelMeasuresSequence",
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelValueTransformationSequence",
    "CTXRayDetailsSequence",
    "CTExposureSequence",
    "FrameVOILUTSequence",
    "CTReconstructionSequence",
    "CardiacSynchronizationSequence",
    "RespiratorySynchronizationSequence",
    "ContrastBolusUsageSequence",
)
_CONTENT = {  # of FrameContentSequence, by their names in a classic image
    "FrameAcquisitionNumber": "AcquisitionNumber",
    "FrameAcquisitionDateTime": "AcquisitionDateTime",
    "TemporalPositionIndex": "TemporalPositionIndex",
    "StackID": "StackID",
}
_UNASSIGNED_GROUPS = (  # what a legacy conversion found no place for
    "UnassignedSharedConvertedAttributesSequence",
    "UnassignedPerFrameConvertedAttributesSequence",
)
_NOT_OF_ONE_FRAME = (
    _SHARED,
    _PER_FRAME,
    "DimensionIndexSequence",
    "DimensionOrganizationSequence",
    "ReferencedSeriesSequence",  # of a legacy conversion: all the images that it began with
    "NumberOfFrames",
    "PixelData",
)


def sop_class(dataset: FileDataset) -> UID:
    """SOPClassUID, where some writers have it; empty if absent."""
    return UID(str(dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID") or ""))


def images_of(dataset: FileDataset, file: DicomFile) -> Iterator[tuple[int | None, Dataset]]:
    """Each image of a file as a classic data set, with its number from 0: one, numbered None, if not multi-frame.

    Args:
        dataset: the whole file.
        file: named in errors.

    Raises:
        DicomError: as :class:`Frames`.
    """
    if is_multi_frame(dataset):
        yield from enumerate(frames_of(dataset, file))
    else:
        yield None, dataset


def is_multi_frame(dataset: FileDataset) -> bool:
    """Whether a file holds frames, also where its SOP class knows none."""
    return sop_class(dataset) in MULTI_FRAME or _PER_FRAME in dataset or _declared(dataset) > 1


def frames_of(dataset: FileDataset, file: DicomFile) -> Frames | EvenFrames:
    """The frames of a multi-frame image; errors as of the two classes."""
    if sop_class(dataset) in MULTI_FRAME or _PER_FRAME in dataset:
        return Frames(dataset, file)
    return EvenFrames(dataset, file)


def _declared(dataset: Dataset) -> int:
    return int(dataset.get("NumberOfFrames") or 1)


class Frames:
    """Each frame of a multi-frame CT image as a classic data set without pixels.

    What the functional groups say of a frame stands at the top level of its data set. The frame's number, from 1, is
    its ReferencedFrameNumber; SOP class and instance stay those of the file.

    Args:
        dataset: the whole image.
        file: named in errors.

    Raises:
        DicomError: not one set of functional groups for each frame.
    """

    def __init__(self, dataset: Dataset, file: DicomFile) -> None:
        self._own = dataset.get(_PER_FRAME) or []
        declared = _declared(dataset)
        if not len(self._own) == declared <= MAX_FRAMES:
            raise DicomError(
                f"{file} declares {declared} frames and describes {len(self._own)}; expected as many descriptions as "
                f"frames, at most {MAX_FRAMES}; export it again"
            )
        self._common = _copy(dataset)
        for keyword in _NOT_OF_ONE_FRAME:
            if keyword in self._common:
                del self._common[keyword]
        shared = dataset.get(_SHARED) or []
        for item in shared[:1]:
            _lift(item, self._common)

    def __len__(self) -> int:
        return len(self._own)

    def __iter__(self) -> Iterator[Dataset]:
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, index: int) -> Dataset:
        frame = _copy(self._common)
        _lift(self._own[index], frame)
        frame.ReferencedFrameNumber = index + 1
        return frame


class EvenFrames:
    """As `Frames`, of an image without functional groups, as cone beam and dental scanners write them.

    Its one position is that of the first frame. The others follow along the normal as GridFrameOffsetVector says, else
    in steps of SpacingBetweenSlices or SliceThickness, as SimpleITK and vtk-dicom place them.

    Raises:
        DicomError: too many frames, or nothing says how far they lie apart.
    """

    def __init__(self, dataset: Dataset, file: DicomFile) -> None:
        declared = _declared(dataset)
        if declared > MAX_FRAMES:
            raise DicomError(f"{file} declares {declared} frames; expected at most {MAX_FRAMES}; export it again")
        self._offsets_mm = _frame_offsets_mm(dataset, declared, file)
        self._normal = _normal(dataset)
        self._common = _copy(dataset)
        for keyword in _NOT_OF_ONE_FRAME:
            if keyword in self._common:
                del self._common[keyword]

    def __len__(self) -> int:
        return len(self._offsets_mm)

    def __iter__(self) -> Iterator[Dataset]:
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, index: int) -> Dataset:
        frame = _copy(self._common)
        first = decimals(frame, "ImagePositionPatient")
        if len(first) == 3 and self._normal is not None:
            frame.ImagePositionPatient = (np.array(first) + self._offsets_mm[index] * self._normal).tolist()
        frame.ReferencedFrameNumber = index + 1
        return frame


def _frame_offsets_mm(dataset: Dataset, n: int, file: DicomFile) -> list[float]:
    offsets = decimals(dataset, "GridFrameOffsetVector")
    if len(offsets) == n:
        return [offset - offsets[0] for offset in offsets]
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        if step := abs(decimal_or_none(dataset, keyword) or 0.0):
            return [step * k for k in range(n)]
    raise DicomError(
        f"{file} has {n} frames and neither functional groups nor SpacingBetweenSlices nor SliceThickness, which say "
        "where they lie; export the scan as single slices, or as an enhanced CT image"
    )


def _normal(dataset: Dataset) -> np.ndarray | None:
    cosines = decimals(dataset, "ImageOrientationPatient")
    return np.cross(cosines[:3], cosines[3:]) if len(cosines) == 6 else None


def _copy(dataset: Dataset) -> Dataset:
    """Another set of the same elements, unread ones unread."""
    tags = list(dataset.keys())  # iterating over the data set itself would read them
    return Dataset({tag: dataset.get_item(tag) for tag in tags})


def _lift(groups: Dataset, frame: Dataset) -> None:
    """Bring the elements of functional groups up to the top level."""
    for name in (*_CLASSIC_GROUPS, *_UNASSIGNED_GROUPS):
        for group in (groups.get(name) or [])[:1]:
            for tag in list(group.keys()):
                # what is unassigned says the least: other series numbers and dates among it
                if name in _CLASSIC_GROUPS or tag not in frame:
                    frame[tag] = group[tag]
    for group in (groups.get("CTImageFrameTypeSequence") or [])[:1]:
        if "FrameType" in group:
            frame.ImageType = group.FrameType
    for group in (groups.get("FrameContentSequence") or [])[:1]:
        for theirs, ours in _CONTENT.items():
            if theirs in group:
                setattr(frame, ours, group[theirs].value)
    if "RealWorldValueMappingSequence" in groups:
        frame.RealWorldValueMappingSequence = groups.RealWorldValueMappingSequence
