"""Archives of images, zip and tar files and gzipped ones: members are read into memory, and none is ever unpacked."""

from __future__ import annotations

import io
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from ctresample.data_tools.dicom.tarballs import read_gzip, read_tar_member, tar_member_names, tarball_kind
from ctresample.errors import DicomError

MAX_MEMBERS = 100_000
MAX_MEMBER_BYTES = 256 * 1024**2
MAX_RATIO = 200
"""Of all members together to the file; CT images shrink to a third, even empty ones rarely to a hundredth."""
HARMLESS_BYTES = 1024**3

ZIP_START = b"PK\x03\x04"


def is_zip(path: Path) -> bool:
    """Whether a file begins as a zip file does, whatever its name."""
    try:
        with path.open("rb") as file:
            return file.read(len(ZIP_START)) == ZIP_START
    except OSError:
        return False  # whoever opens it next says why


def is_archive(path: Path) -> bool:
    """Whether a file is a zip or tar file or one gzipped DICOM file, whatever its name."""
    return is_zip(path) or tarball_kind(path) != ""


def member_names(path: Path) -> list[str]:
    """Names of the members that are files, in the order of the archive; one name may come twice.

    The one content of a gzipped DICOM file has no name.

    Raises:
        DicomError: no whole archive; encrypted; too many members, or they would swell beyond all bounds.
    """
    if kind := "" if is_zip(path) else tarball_kind(path):
        return [""] if kind == "gzip" else tar_member_names(path, MAX_MEMBERS, _most_bytes(path))
    with _zip_errors(path):
        members = _files(path)
        n_encrypted = sum(member.flag_bits & 1 for member in members)
        if n_encrypted:
            raise DicomError(
                f"{path} is a zip file with {n_encrypted} encrypted member(s); unpack it with its password first"
            )
        if len(members) > MAX_MEMBERS:
            raise DicomError(f"{path} is a zip file of {len(members)} members; expected at most {MAX_MEMBERS}")
        declared = sum(member.file_size for member in members)
        if declared > _most_bytes(path):
            raise DicomError(f"{path} is a zip file that would swell to {declared >> 20} MiB, more than CT images can")
        return [member.filename for member in members]


def read_member(path: Path, index: int) -> io.BytesIO:
    """The content of one member.

    Args:
        path: the archive.
        index: in the list of :func:`member_names`.

    Raises:
        DicomError: too large, damaged, or of more bytes than it declares.
    """
    if kind := "" if is_zip(path) else tarball_kind(path):
        if kind == "gzip":
            return read_gzip(path, MAX_MEMBER_BYTES)
        return read_tar_member(path, index, MAX_MEMBERS, _most_bytes(path), MAX_MEMBER_BYTES)
    with _zip_errors(path):
        member = _files(path)[index]
        if member.file_size > MAX_MEMBER_BYTES:
            raise DicomError(
                f"{path} holds a member of {member.file_size >> 20} MiB; expected at most {MAX_MEMBER_BYTES >> 20}; "
                "unpack it first"
            )
        # reads no more than is declared, and fails where there is more
        return io.BytesIO(_archive(path).read(member))


def _most_bytes(path: Path) -> int:
    return max(HARMLESS_BYTES, MAX_RATIO * path.stat().st_size)


@contextmanager
def _zip_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
        raise DicomError(f"{path} is no whole zip file ({type(error).__name__}); export or copy it again") from error
    except (NotImplementedError, RuntimeError) as error:
        raise DicomError(f"{path} is packed in a way that cannot be read; unpack it first") from error


def _archive(path: Path) -> zipfile.ZipFile:
    status = path.stat()
    return _opened(path, status.st_size, status.st_mtime_ns, os.getpid())


def _files(path: Path) -> list[zipfile.ZipInfo]:
    return [member for member in _archive(path).infolist() if not member.is_dir()]


@lru_cache(maxsize=1)
def _opened(path: Path, size: int, changed_ns: int, process: int) -> zipfile.ZipFile:
    """The open archive, as its list of members takes long to read; processes may not share a file's position."""
    return zipfile.ZipFile(path)
