"""The frames of a multi-frame CT image, each as the classic single-frame image it could have been."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom import Dataset, FileDataset
from pydicom.uid import EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage

from ctresample.data_tools.dicom_files import DicomFile
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
)
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


def sop_class(dataset: FileDataset) -> str:
    """SOPClassUID, where some writers have it; empty if absent."""
    return str(dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID") or "")


def images_of(dataset: FileDataset, file: DicomFile) -> Iterator[tuple[int | None, Dataset]]:
    """Each image of a file as a classic data set, with its number from 0: one, numbered None, if not multi-frame.

    Args:
        dataset: the whole file.
        file: named in errors.

    Raises:
        DicomError: as :class:`Frames`.
    """
    if sop_class(dataset) in MULTI_FRAME:
        yield from enumerate(Frames(dataset, file))
    else:
        yield None, dataset


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
        declared = int(dataset.get("NumberOfFrames") or 1)
        if not len(self._own) == declared <= MAX_FRAMES:
            raise DicomError(
                f"{file} declares {declared} frames and describes {len(self._own)}; expected as many descriptions as "
                f"frames, at most {MAX_FRAMES}; it may be truncated, export it again"
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
