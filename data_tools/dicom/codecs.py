"""Decode one frame of pixel data, distrusting what it says of its own size."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    UID,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from ctresample.data_tools.dicom.files import DicomFile
from ctresample.errors import DicomError

# JPEG Lossless is the commonest compression in archives; pydicom's decoders for it are not permissively licensed, and
# pyjpegls computes for seconds on some damaged streams. The last two, spectral selection and full progression, are
# long retired.
_BY_GDCM = (
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    "1.2.840.10008.1.2.4.53",
    "1.2.840.10008.1.2.4.55",
)
_DECODERS = (  # start of the transfer syntax name, what to install
    ("JPEG 2000", "pylibjpeg pylibjpeg-openjpeg"),
    ("High-Throughput JPEG 2000", "pylibjpeg pylibjpeg-openjpeg"),
    ("JPEG Baseline", "pillow"),
)
_PIXEL_MODULE = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
)
_MOST_PER_RLE_BYTE = 64  # two bytes stand for 128 at most
_FRAME_SIZES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xF7}  # second bytes of the JPEG markers that state a size


def decode_frame(dataset: Dataset, index: int, n_frames: int, file: DicomFile) -> NDArray[Any]:
    """Stored values of one frame.

    Args:
        dataset: with its pixel module and pixel data, both checked against each other.
        index: of the frame, from 0.
        n_frames: in the pixel data.
        file: named in errors.

    Returns:
        Integers ``(rows, columns)``.

    Raises:
        DicomError: damaged, of another size than declared, or compressed in a way that cannot be undone here.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_encapsulated:
        _check_decoder(syntax, file)
    try:
        if syntax.is_encapsulated:
            coded = get_frame(dataset.PixelData, index, number_of_frames=n_frames)
            _check_size(coded, dataset, file)
            if syntax in _BY_GDCM:
                return _decode_by_gdcm(coded, dataset)
        return get_decoder(syntax).as_array(dataset, index=index)[0]
    except DicomError:
        raise
    except Exception as error:  # every decoder has its own types
        raise DicomError(f"{file} has damaged {syntax.name} pixel data; export it again") from error


def _check_decoder(syntax: UID, file: DicomFile) -> None:
    if syntax in _BY_GDCM:
        return
    package = next((package for start, package in _DECODERS if syntax.name.startswith(start)), None)
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        raise DicomError(
            f"{file} is compressed as {syntax.name}, which is not supported; convert it to an uncompressed transfer "
            "syntax, for example by gdcmconv --raw of Debian's libgdcm-tools"
        ) from None
    if not available:
        raise DicomError(f"{file} is compressed as {syntax.name}; its decoder is missing: pip install {package}")


def _check_size(coded: bytes, dataset: Dataset, file: DicomFile) -> None:
    """Refuse a frame of another size than the header's: decoders take memory for what it says before they fail."""
    rows, columns = dataset.Rows, dataset.Columns
    if dataset.file_meta.TransferSyntaxUID == RLELossless:
        possible = len(coded) * _MOST_PER_RLE_BYTE >= rows * columns * dataset.BitsAllocated // 8
        found = "too few bytes"
    else:
        shape = _stated_size(coded)
        possible, found = shape == (rows, columns), "no size" if shape is None else f"{shape[0]} x {shape[1]} pixels"
    if not possible:
        raise DicomError(
            f"{file} has compressed pixel data of {found}; expected {rows} x {columns} pixels as in its header; it is "
            "damaged, export it again"
        )


def _stated_size(coded: bytes) -> tuple[int, int] | None:
    """Rows and columns in the header of a JPEG, JPEG-LS or JPEG 2000 stream."""
    start = coded.find(b"\xff\x4f\xff\x51", 0, 1024)  # JPEG 2000, sometimes inside boxes
    if start >= 0:
        columns, rows, left, top = (int.from_bytes(coded[start + at : start + at + 4]) for at in (8, 12, 16, 20))
        return rows - top, columns - left
    place = 2
    while coded[:2] == b"\xff\xd8" and place + 9 <= len(coded) and coded[place] == 0xFF:
        if coded[place + 1] in _FRAME_SIZES:
            rows, columns = (int.from_bytes(coded[at : at + 2]) for at in (place + 5, place + 7))
            return rows, columns
        if coded[place + 1] == 0xFF:  # filling
            place += 1
        else:
            place += 2 + int.from_bytes(coded[place + 2 : place + 4])
    return None


def _decode_by_gdcm(coded: bytes, dataset: Dataset) -> NDArray[Any]:
    """By the GDCM inside SimpleITK, which wants a file: one of these pixels alone, with no rescale and no patient."""
    import SimpleITK  # slow to load, rarely needed

    bare = Dataset()
    bare.file_meta = FileMetaDataset()
    bare.file_meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    bare.SOPClassUID, bare.SOPInstanceUID = SecondaryCaptureImageStorage, "1.2"
    for keyword in _PIXEL_MODULE:
        if keyword in dataset:
            bare[keyword] = dataset[keyword]
    bare.PixelData = encapsulate([coded])
    bare["PixelData"].is_undefined_length = True
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frame.dcm"
        bare.save_as(path, enforce_file_format=True)
        with quiet_stderr():  # it tells of each decoder that it tried in vain
            return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))[0]


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back what C libraries print, past Python's own streams."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
