"""Find and open DICOM files that may be damaged, hostile or full of patient data."""

from __future__ import annotations

import logging
import os
import stat
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydicom import FileDataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_dataset, read_partial
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from ctresample.data_tools.dicom.archives import ZIP_START, member_names, read_member
from ctresample.data_tools.dicom.budget import budget_of
from ctresample.data_tools.plain_text import one_line
from ctresample.errors import CTResampleError, DicomError

MAX_FILE_BYTES = 2 * 1024**3
MAX_INFLATED_BYTES = 256 * 1024**2
_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_PREAMBLE_BYTES = 128
_CHUNK_BYTES = 1024**2


@dataclass(frozen=True, order=True)
class DicomFile:
    """A file that may hold a CT image: on disk, or inside an archive.

    Attributes:
        path: the file on disk.
        index: the member's number, if ``path`` is an archive.
        name: the member's name: to show, never to open; empty for what is gzipped alone.
    """

    path: Path
    index: int | None = None
    name: str = ""

    def __str__(self) -> str:
        return f"{self.path}/{one_line(self.name, 200)}" if self.name else str(self.path)

    @property
    def short_name(self) -> str:
        """To tell it from its neighbours."""
        return one_line(self.name.rpartition("/")[2], 100) if self.name else self.path.name

    @property
    def folder(self) -> Path:
        """What holds it: a folder, or an archive."""
        return self.path if self.name else self.path.parent

    def open(self) -> BinaryIO:
        """The content, a member's in memory; `OSError` or `DicomError` if there is none."""
        return self.path.open("rb") if self.index is None else read_member(self.path, self.index)


def members(path: Path) -> list[DicomFile]:
    """The files inside an archive; errors as `member_names`."""
    return [DicomFile(path, index, name) for index, name in enumerate(member_names(path))]


class SkippedFile(Exception):  # noqa: N818 (no error: most folders hold files that are not CT images)
    """A file that is no CT image; the text says what it is instead."""


_TALKATIVE = [logging.getLogger(name) for name in ("pydicom", "openjpeg", "pylibjpeg")]
for _logger in _TALKATIVE:
    _logger.addHandler(logging.NullHandler())  # else what does not propagate goes to stderr


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep the warnings and log records of pydicom and its decoders from the user: they quote values, patient data."""
    before = [logger.propagate for logger in _TALKATIVE]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in _TALKATIVE:
            logger.propagate = False
        try:
            yield
        finally:
            for logger, propagate in zip(_TALKATIVE, before, strict=True):
                logger.propagate = propagate


@contextmanager
def damage_as_dicom_error(path: Path | DicomFile) -> Iterator[None]:
    """Turn whatever pydicom raises on a damaged file into a `DicomError` that names the file and no value of it.

    What is read of the file in the block is bounded (`ctresample.data_tools.dicom.budget`).
    """
    try:
        with budget_of(path):
            yield
    except (CTResampleError, SkippedFile):
        raise
    except OSError as error:
        raise DicomError(f"{path} cannot be opened ({error.strerror or type(error).__name__})") from error
    except Exception as error:  # a dozen types, also from access to a single element
        raise DicomError(f"{path} is damaged ({type(error).__name__} while reading it); export it again") from error


def find_files(folder: Path, on_unreadable: Callable[[Path, DicomError], object] | None = None) -> list[Path]:
    """All plain files below ``folder``, sorted by path; links to folders are not followed.

    Args:
        folder: which must be there and readable.
        on_unreadable: told of each folder or file below it that cannot be looked at, and why; else that is raised.
    """
    if not folder.is_dir():
        raise DicomError(f"{folder} is {'a file' if folder.exists() else 'not there'}; expected a folder of CT images")

    def refuse(error: OSError) -> None:
        place = Path(os.fsdecode(error.filename)) if error.filename else folder
        reason = DicomError(f"{place} cannot be searched ({error.strerror}); expected a readable folder")
        if on_unreadable is None or place == folder:
            raise reason from error
        on_unreadable(place, reason)

    found = []
    for place, _, names in os.walk(folder, onerror=refuse):
        for name in names:
            path = Path(place) / name
            try:
                if stat.S_ISREG(path.stat().st_mode):
                    found.append(path)
            except FileNotFoundError:  # a link to nowhere, or gone by now
                continue
            except OSError as error:  # a path too long, a circle of links
                refuse(OSError(error.errno, error.strerror, str(path)))
    return sorted(found)


def open_dicom(file: DicomFile, *, pixels: bool) -> FileDataset:
    """The data set of a DICOM file, with or without its pixel data.

    Call it inside :func:`quiet_pydicom` and :func:`damage_as_dicom_error`, and stay there while elements are read.

    Raises:
        SkippedFile: not a DICOM file, or far too large for a CT image.
        DicomError: inflates beyond all bounds, or has more elements than any image.
    """
    has_pixels = False

    def stop(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        nonlocal has_pixels
        if has_pixels:  # what comes behind them may be filling of any kind
            return True
        has_pixels = tag == _PIXELS[-1]
        return not pixels and tag in _PIXELS

    with file.open() as stream:
        if stream.seek(0, os.SEEK_END) > MAX_FILE_BYTES:
            raise SkippedFile("over 2 GiB")
        start = _start(stream)
        stream.seek(start)
        meta = read_dataset(stream, False, True, stop_when=lambda tag, _, __: tag.group != 2)
        if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
            _check_inflated_size(stream, file)
        stream.seek(0)
        try:
            dataset = read_partial(stream, stop, force=start == 0)
        except InvalidDicomError:
            raise SkippedFile("not DICOM") from None
    if start == 0 and "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta.TransferSyntaxUID = _guessed_syntax(dataset)
    return dataset


def _start(stream: BinaryIO) -> int:
    """Where the elements begin: behind preamble and prefix, or at once in files from before 1995.

    Only files whose first element is one that data sets begin with count as such: any text can be "read" as elements.
    """
    stream.seek(0)
    head = stream.read(_PREAMBLE_BYTES + 4)
    if head[_PREAMBLE_BYTES:] == b"DICM":
        return len(head)
    if head.startswith(ZIP_START):
        raise SkippedFile("a zip file inside another")
    if head[:4] in (b"\2\0\0\0", b"\2\0\1\0", b"\2\0\x10\0", b"\x08\0\0\0", b"\x08\0\5\0", b"\x08\0\x08\0"):
        return 0
    raise SkippedFile("not DICOM")


def _guessed_syntax(dataset: FileDataset) -> UID:
    implicit, little = dataset.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def _check_inflated_size(stream: BinaryIO, file: DicomFile) -> None:
    """Refuse deflated elements that would swell beyond all bounds: pydicom inflates them whole, even for a header."""
    inflater, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while not inflater.eof and (packed := inflater.unconsumed_tail or stream.read(_CHUNK_BYTES)):
        size += len(inflater.decompress(packed, _CHUNK_BYTES))
        if size > MAX_INFLATED_BYTES:
            raise DicomError(
                f"{file} inflates to over {MAX_INFLATED_BYTES >> 20} MiB; expected one CT image; store it uncompressed"
            )
