"""Find and open DICOM files that may be damaged, hostile or full of patient data."""

from __future__ import annotations

import logging
import os
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydicom import FileDataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian

from ctresample.errors import CTResampleError, DicomError

MAX_FILE_BYTES = 2 * 1024**3
MAX_INFLATED_BYTES = 512 * 1024**2


class SkippedFile(Exception):  # noqa: N818 (no error: most folders hold files that are not CT images)
    """A file that is no single-frame CT image; the text says what it is instead."""


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep pydicom's warnings and log records from the user: they quote values, so patient data."""
    logger = logging.getLogger("pydicom")
    propagate = logger.propagate
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.propagate = False
        try:
            yield
        finally:
            logger.propagate = propagate


@contextmanager
def damage_as_dicom_error(path: Path) -> Iterator[None]:
    """Turn whatever pydicom raises on a damaged file into a `DicomError` that names the file and no value of it."""
    try:
        yield
    except (CTResampleError, SkippedFile):
        raise
    except OSError as error:
        raise DicomError(f"{path} cannot be opened ({error.strerror or type(error).__name__})") from error
    except Exception as error:  # a dozen types, also from access to a single element
        raise DicomError(f"{path} is damaged ({type(error).__name__} while reading it); export it again") from error


def find_files(folder: Path) -> list[Path]:
    """All plain files below ``folder``, sorted by path; links to folders are not followed."""
    if not folder.is_dir():
        raise DicomError(f"{folder} is {'a file' if folder.exists() else 'not there'}; expected a folder of CT images")
    found = (Path(place) / name for place, _, names in os.walk(folder, onerror=_refuse) for name in names)
    return sorted(path for path in found if path.is_file())


def _refuse(error: OSError) -> None:
    raise DicomError(f"{error.filename} cannot be searched ({error.strerror}); expected a readable folder") from error


def open_dicom(path: Path, *, pixels: bool) -> FileDataset:
    """The data set of a DICOM file, with or without its pixel data.

    Call it inside :func:`quiet_pydicom` and :func:`damage_as_dicom_error`, and stay there while elements are read.

    Raises:
        SkippedFile: not a DICOM file, or far too large for a CT slice.
        DicomError: inflates beyond all bounds.
    """
    if path.stat().st_size > MAX_FILE_BYTES:
        raise SkippedFile("over 2 GiB")
    try:
        if read_file_meta_info(path).get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
            _check_inflated_size(path)
        return dcmread(path, stop_before_pixels=not pixels)
    except InvalidDicomError:  # never forced: any text can be "read" as elements
        raise SkippedFile("not DICOM") from None


def _check_inflated_size(path: Path) -> None:
    """Refuse a deflated file that would swell beyond all bounds: pydicom inflates it whole, even for its header."""
    content = path.read_bytes()
    start = 144 + int.from_bytes(content[140:144], "little")  # behind the file meta group, whose length is stated
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflater.decompress(content[start:], MAX_INFLATED_BYTES)
    if inflater.unconsumed_tail:
        raise DicomError(f"{path} inflates to over {MAX_INFLATED_BYTES >> 20} MiB; expected one CT slice; remove it")
