"""Tar archives and gzip files of images, as `dicom_archives` reads zip files.

A compressed archive can only be read from its start, so it is unpacked once: into a temporary file that has no name,
within bounds, and never into the files that it names.
"""

from __future__ import annotations

import gzip
import io
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, Literal, cast

from ctresample.errors import DicomError

Kind = Literal["tar", "gzip", ""]

_GZIP_START = b"\x1f\x8b"
_TAR_MARK, _TAR_MARK_AT = b"ustar", 257
_HEAD_BYTES = 512
_PREAMBLE_BYTES = 128
_CHUNK_BYTES = 1024**2


def tarball_kind(path: Path) -> Kind:
    """What a file is: a tar archive, compressed by gzip or not ("tar"); one DICOM file in a gzip file ("gzip")."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        if head.startswith(_GZIP_START):
            with gzip.open(path) as inside:
                head = inside.read(_HEAD_BYTES)
            if head[_PREAMBLE_BYTES : _PREAMBLE_BYTES + 4] == b"DICM":
                return "gzip"
    except (OSError, EOFError, zlib.error):
        return ""  # whoever opens it next says why
    return "tar" if head[_TAR_MARK_AT : _TAR_MARK_AT + len(_TAR_MARK)] == _TAR_MARK else ""


def tar_member_names(path: Path, most: int, most_bytes: int) -> list[str]:
    """Names of the members that are plain files, in the order of the archive.

    Args:
        path: of kind "tar".
        most: members.
        most_bytes: unpacked.

    Raises:
        DicomError: no whole archive, or beyond these bounds.
    """
    with _tar_errors(path):
        return [member.name for member in _members(path, most, most_bytes)]


def read_tar_member(path: Path, index: int, most: int, most_bytes: int, most_member_bytes: int) -> io.BytesIO:
    """The content of one member; errors as above, and for one of more than ``most_member_bytes``."""
    with _tar_errors(path):
        member = _members(path, most, most_bytes)[index]
        if member.size > most_member_bytes:
            raise DicomError(
                f"{path} holds a member of {member.size >> 20} MiB; expected at most {most_member_bytes >> 20}; "
                "unpack it first"
            )
        content = _archive(path, most_bytes).extractfile(member)
        found = content.read() if content else b""
        if len(found) != member.size:
            raise DicomError(f"{path} is no whole archive: a member is cut off; copy it again")
        return io.BytesIO(found)


def read_gzip(path: Path, most_bytes: int) -> io.BytesIO:
    """The content of a gzip file, up to ``most_bytes``; `DicomError` beyond, and for a damaged one."""
    with _tar_errors(path), gzip.open(path) as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise DicomError(f"{path} inflates to over {most_bytes >> 20} MiB; expected one CT image; unpack it first")
    return io.BytesIO(content)


class _Tar(tarfile.TarFile):
    """An archive that closes its file when nobody needs it any more, as zip files do."""

    def __del__(self) -> None:
        if self.fileobj:
            self.fileobj.close()


@contextmanager
def _tar_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError) as error:
        raise DicomError(f"{path} is no whole archive ({type(error).__name__}); export or copy it again") from error


def _members(path: Path, most: int, most_bytes: int) -> list[tarfile.TarInfo]:
    found = []
    for number, member in enumerate(_archive(path, most_bytes)):
        if number >= most:
            raise DicomError(f"{path} is an archive of over {most} members; unpack a part of it")
        if member.isreg() and not member.issparse():
            found.append(member)
    return found


def _archive(path: Path, most_bytes: int) -> _Tar:
    status = path.stat()
    return _opened(path, most_bytes, status.st_size, status.st_mtime_ns, os.getpid())


@lru_cache(maxsize=1)
def _opened(path: Path, most_bytes: int, size: int, changed_ns: int, process: int) -> _Tar:
    """The open archive; of a compressed one, its content in a temporary file without a name."""
    with path.open("rb") as file:
        compressed = file.read(len(_GZIP_START)) == _GZIP_START
    if not compressed:
        return _Tar(path)  # it stays open, for its other members
    unpacked = tempfile.TemporaryFile()  # noqa: SIM115
    try:
        with gzip.open(path) as packed:
            _copy(cast(IO[bytes], packed), unpacked, path, most_bytes)
    except BaseException as error:
        unpacked.close()
        if not isinstance(error, OSError) or isinstance(error, gzip.BadGzipFile):
            raise
        raise DicomError(f"{path} cannot be unpacked ({error.strerror}); unpack it yourself first") from error
    unpacked.seek(0)
    return _Tar(fileobj=unpacked)


def _copy(packed: IO[bytes], unpacked: IO[bytes], path: Path, most_bytes: int) -> None:
    size, room = 0, shutil.disk_usage(tempfile.gettempdir()).free
    while chunk := packed.read(_CHUNK_BYTES):
        size += len(chunk)
        if size > min(most_bytes, room // 2):
            why = "more than CT images can" if size > most_bytes else "more than there is space for temporary files"
            raise DicomError(f"{path} is an archive that swells to over {size >> 20} MiB, {why}; unpack it first")
        unpacked.write(chunk)
