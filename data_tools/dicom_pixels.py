"""Turn the stored values of one CT image into HU."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    UID,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSNearLossless,
)

from ctresample.data_tools.dicom_files import damage_as_dicom_error, open_dicom, quiet_pydicom
from ctresample.data_tools.dicom_headers import header_json
from ctresample.errors import DicomError
from ctresample.units import AIR_HU

MAX_PIXELS = 8192 * 8192
"""Far above any CT slice; a file that declares more would cost its reader gigabytes before it fails."""

_SURELY_LOSSY = {JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless}
_HOUNSFIELD_TYPES = {"", "HU", "HU_MOD", "US"}  # US: unspecified, what several programs write with plain HU
_DECODERS = (  # start of the transfer syntax name, what to install
    ("JPEG-LS", "pyjpegls"),
    ("JPEG 2000", "pylibjpeg pylibjpeg-openjpeg"),
    ("High-Throughput JPEG 2000", "pylibjpeg pylibjpeg-openjpeg"),
    ("JPEG Baseline", "pillow"),
)
# JPEG Lossless is the commonest compression in archives; pydicom's decoders for it are not permissively licensed
_ONLY_GDCM = {JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1}


@dataclass(frozen=True, eq=False)
class DecodedSlice:
    """One slice in HU.

    Attributes:
        hu: float32 ``(rows, columns)``.
        header: DICOM JSON header without pixel data, private and bulk elements.
        n_padding: how many pixels were padding; they are air now.
    """

    hu: NDArray[np.float32]
    header: dict[str, Any]
    n_padding: int


@quiet_pydicom()
def decode_slice(path: Path) -> DecodedSlice:
    """Read one CT image: decode, find the padding, rescale to HU.

    Raises:
        DicomError: truncated or inconsistent pixel data, no rescale to HU, or a decoder that is not installed.
    """
    with damage_as_dicom_error(path):
        dataset = open_dicom(path, pixels=True)
        slope, intercept = _rescale(dataset, path)
        stored = _stored_values(dataset, path)
        padding = _padding_mask(dataset, stored)  # before the rescale: padding is declared in stored values
        hu = (stored.astype(np.float64) * slope + intercept).astype(np.float32)
        hu[padding] = AIR_HU
        if dataset.file_meta.TransferSyntaxUID in _SURELY_LOSSY:
            dataset.LossyImageCompression = "01"  # some writers forget to say so
        return DecodedSlice(hu, header_json(dataset), int(np.count_nonzero(padding)))


def _rescale(dataset: Dataset, path: Path) -> tuple[float, float]:
    slope, intercept = dataset.get("RescaleSlope"), dataset.get("RescaleIntercept")
    if slope is None or intercept is None:
        raise DicomError(
            f"{path} has no RescaleSlope and RescaleIntercept; expected both, as stored values are not HU; "
            "use the original CT images"
        )
    slope, intercept = float(slope), float(intercept)
    if slope == 0 or not math.isfinite(slope) or not math.isfinite(intercept):
        raise DicomError(f"{path} has RescaleSlope {slope}, RescaleIntercept {intercept}; expected finite, slope not 0")
    kind = str(dataset.get("RescaleType") or "")
    if kind not in _HOUNSFIELD_TYPES:
        raise DicomError(f"{path} holds values of RescaleType {kind[:16]!r}; expected HU; choose an ordinary CT series")
    return slope, intercept


def _stored_values(dataset: Dataset, path: Path) -> NDArray[Any]:
    """Decode the pixel data, after a check that the declared size can be true."""
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    needed = ("Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation", "SamplesPerPixel", "PixelData")
    missing = [name for name in needed if dataset.get(name) is None]
    if syntax is None or missing:
        absent = ", ".join(missing or ["TransferSyntaxUID"])
        raise DicomError(f"{path} has no {absent}; expected a whole CT image; it may be truncated, export it again")
    rows, columns, bits = dataset.Rows, dataset.Columns, dataset.BitsAllocated
    samples, frames = dataset.SamplesPerPixel, int(dataset.get("NumberOfFrames") or 1)
    if (samples, frames) != (1, 1) or bits not in (8, 16):
        raise DicomError(f"{path} has {frames} frame(s), {samples} sample(s) of {bits} bits; expected 1, 1 of 8 or 16")
    if not 0 < rows * columns <= MAX_PIXELS:
        raise DicomError(f"{path} declares {rows} x {columns} pixels; expected a CT slice of at most 8192 x 8192")
    declared, row_bytes, found = rows * columns * bits // 8, columns * bits // 8, len(dataset.PixelData)
    # less than a row too much is harmless filling
    if not syntax.is_encapsulated and not declared <= found < declared + max(row_bytes, 2):
        raise DicomError(
            f"{path} has {found} bytes of pixel data; expected {declared} for {rows} x {columns} pixels of {bits} "
            "bits; it is truncated or damaged, export it again"
        )
    values = _decode_by_gdcm(dataset, path) if syntax in _ONLY_GDCM else _decode(dataset, syntax, path)
    if values.shape != (rows, columns):
        raise DicomError(f"{path} decodes to shape {values.shape}; expected one frame of {rows} x {columns} pixels")
    return values


def _decode(dataset: Dataset, syntax: UID, path: Path) -> NDArray[Any]:
    package = next((package for start, package in _DECODERS if syntax.name.startswith(start)), None)
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        raise DicomError(
            f"{path} is compressed as {syntax.name}, which is not supported; "
            "convert it to an uncompressed transfer syntax"
        ) from None
    if not available:
        raise DicomError(f"{path} is compressed as {syntax.name}; its decoder is missing: pip install {package}")
    try:
        return dataset.pixel_array
    except Exception as error:  # every decoder has its own types
        raise DicomError(f"{path} has damaged {syntax.name} pixel data; export it again") from error


def _decode_by_gdcm(dataset: Dataset, path: Path) -> NDArray[Any]:
    """Stored values by way of the GDCM inside SimpleITK, which hands out rescaled ones."""
    import SimpleITK  # slow to load, rarely needed

    rescaled = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))[0]
    slope, intercept = _rescale(dataset, path)
    return np.rint((rescaled.astype(np.float64) - intercept) / slope).astype(np.int32)


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
