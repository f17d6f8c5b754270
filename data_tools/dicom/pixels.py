"""Turn the stored values of one CT image into HU."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, FileDataset
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless

from ctresample.data_tools.dicom.codecs import decode_frame
from ctresample.data_tools.dicom.files import DicomFile, SkippedFile, damage_as_dicom_error, open_dicom, quiet_pydicom
from ctresample.data_tools.dicom.frames import MULTI_FRAME, EvenFrames, Frames, frames_of, sop_class
from ctresample.data_tools.dicom.headers import MAX_PIXELS, header_json
from ctresample.data_tools.dicom.hu import why_no_hu
from ctresample.data_tools.dicom.numbers import decimals
from ctresample.data_tools.dicom.values import ValueCounts
from ctresample.errors import DicomError
from ctresample.units import AIR_HU

_SURELY_LOSSY = (
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
    "1.2.840.10008.1.2.4.53",
    "1.2.840.10008.1.2.4.55",
)


@dataclass(frozen=True, eq=False)
class DecodedSlice:
    """One slice in HU.

    Attributes:
        hu: float32 ``(rows, columns)``.
        header: DICOM JSON header without pixel data, private and bulk elements.
        values: what the pixels hold; those that were padding, and are air now, count apart.
    """

    hu: NDArray[np.float32]
    header: dict[str, Any]
    values: ValueCounts

    @property
    def n_padding(self) -> int:
        """How many pixels were padding."""
        return self.values.n_padding


class SliceDecoder:
    """Turns CT images into HU, one after another; keeps the last multi-frame file, to read it once for all frames."""

    def __init__(self) -> None:
        self._kept: tuple[DicomFile, FileDataset, Frames | EvenFrames] | None = None

    @quiet_pydicom()
    def decode(self, file: DicomFile, frame: int | None = None) -> DecodedSlice:
        """Read one slice: decode, find the padding, rescale to HU.

        Args:
            file: a CT image.
            frame: which of a multi-frame image, from 0.

        Raises:
            DicomError: truncated or inconsistent pixel data, no rescale to HU, or a decoder that is not installed.
        """
        with damage_as_dicom_error(file):
            try:
                dataset, image = self._opened(file, frame)
            except SkippedFile as reason:
                raise DicomError(f"{file} has changed while it was read: {reason}; start again") from None
            slope, intercept = _rescale(image, file, enhanced=sop_class(dataset) in MULTI_FRAME)
            stored = _stored_values(dataset, frame, file)
            padding = _padding_mask(image, stored)  # before the rescale: padding is declared in stored values
            hu = (stored.astype(np.float64) * slope + intercept).astype(np.float32)
            hu[padding] = AIR_HU
            if dataset.file_meta.TransferSyntaxUID in _SURELY_LOSSY:
                image.LossyImageCompression = "01"  # some writers forget to say so
            return DecodedSlice(hu, header_json(image), ValueCounts.of(hu, padding))

    def _opened(self, file: DicomFile, frame: int | None) -> tuple[FileDataset, Dataset]:
        """The data set with the pixels, and the one that describes the frame."""
        if frame is None:
            dataset = open_dicom(file, pixels=True)
            return dataset, dataset
        if self._kept is None or self._kept[0] != file:
            self._kept = None  # before the next one takes memory
            dataset = open_dicom(file, pixels=True)
            self._kept = file, dataset, frames_of(dataset, file)
        return self._kept[1], self._kept[2][frame]


def _rescale(dataset: Dataset, file: DicomFile, *, enhanced: bool) -> tuple[float, float]:
    slope, intercept = decimals(dataset, "RescaleSlope"), decimals(dataset, "RescaleIntercept")
    if not slope or not intercept:
        table = " (its ModalityLUTSequence is not read)" if "ModalityLUTSequence" in dataset else ""
        raise DicomError(
            f"{file} has no RescaleSlope and RescaleIntercept{table}; expected both, as stored values are not HU; "
            "use the original CT images"
        )
    if len(slope) + len(intercept) != 2 or not all(map(math.isfinite, slope + intercept)) or slope[0] == 0:
        raise DicomError(
            f"{file} has RescaleSlope {slope[0]}, RescaleIntercept {intercept[0]}; expected finite, slope not 0"
        )
    if reason := why_no_hu(dataset, enhanced=enhanced):
        raise DicomError(f"{file} holds values of {reason}; expected HU; choose an ordinary CT series")
    return slope[0], intercept[0]


def _stored_values(dataset: Dataset, frame: int | None, file: DicomFile) -> NDArray[Any]:
    """Decode the pixel data, after a check that the declared size can be true."""
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if "PixelData" not in dataset and ("FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset):
        raise DicomError(
            f"{file} has pixels of floating point numbers; expected integers; have them exported as CT images"
        )
    needed = ("Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation", "SamplesPerPixel", "PixelData")
    missing = [name for name in needed if dataset.get(name) is None]
    if syntax is None or missing:
        absent = ", ".join(missing or ["TransferSyntaxUID"])
        cut = "the file is truncated, or no image" if "PixelData" in missing else "its header is not whole"
        raise DicomError(f"{file} has no {absent}; expected a whole CT image; {cut}; export it again")
    # exchanged elements may hold names: what is no number is not shown
    if odd := [name for name in needed[:-1] if not isinstance(dataset.get(name), int)]:
        raise DicomError(
            f"{file} has a {', '.join(odd)} that is no whole number; its header is damaged; export it again"
        )
    rows, columns, bits = dataset.Rows, dataset.Columns, dataset.BitsAllocated
    samples, frames = dataset.SamplesPerPixel, int(dataset.get("NumberOfFrames") or 1)
    if samples != 1 or (frame is None and frames != 1) or bits not in (8, 16, 32):
        raise DicomError(
            f"{file} has {frames} frame(s), {samples} sample(s) of {bits} bits; expected 1, 1 of 8, 16 or 32; export "
            "the scan as CT images of grey values"
        )
    if (high := dataset.get("HighBit")) is not None and high >= dataset.BitsStored:
        raise DicomError(
            f"{file} has its {dataset.BitsStored} bits up to bit {high}; expected them at the low end, as decoders "
            "would read other values; have the archive export it anew"
        )
    if not 0 < rows * columns <= MAX_PIXELS:
        raise DicomError(f"{file} declares {rows} x {columns} pixels; expected a CT slice of at most 4096 x 4096")
    row_bytes, found = columns * bits // 8, len(dataset.PixelData)
    declared = rows * row_bytes * frames
    # less than a row too much is harmless filling, and so is any length of one and the same byte
    if not syntax.is_encapsulated and not declared <= found < declared + max(row_bytes, 2):
        what = f"{rows} x {columns} pixels of {bits} bits" + (f" in {frames} frames" if frames > 1 else "")
        problem = f"{file} has {found} bytes of pixel data; expected {declared} for {what}; "
        if found < declared:
            raise DicomError(f"{problem}it is truncated, export it again")
        if (excess := dataset.PixelData[declared:]) and excess.count(excess[:1]) < len(excess):
            raise DicomError(f"{problem}its header contradicts the pixels; export it again")
    values = decode_frame(dataset, frame or 0, frames, file)
    if values.shape != (rows, columns):
        raise DicomError(f"{file} decodes to shape {values.shape}; expected one frame of {rows} x {columns} pixels")
    return values


def _padding_mask(dataset: Dataset, stored: NDArray[Any]) -> NDArray[np.bool_]:
    declared = (dataset.get("PixelPaddingValue"), dataset.get("PixelPaddingRangeLimit"))
    ends = [_as_stored(value, dataset) for value in declared if isinstance(value, int)]
    if not isinstance(declared[0], int):  # the limit alone means nothing
        return np.zeros(stored.shape, np.bool_)
    return (stored >= min(ends)) & (stored <= max(ends))


def _as_stored(value: int, dataset: Dataset) -> int:
    """Undo a wrong sign: -2000 is often written as the unsigned 63536, and the other way round."""
    span = 1 << dataset.BitsAllocated
    value %= span
    return value - span if dataset.PixelRepresentation == 1 and value >= span // 2 else value
