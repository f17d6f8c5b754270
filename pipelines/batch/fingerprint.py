"""Whether the files of a series are still what they were."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ctresample.data_tools.dicom.files import DicomFile, damage_as_dicom_error
from ctresample.data_tools.dicom.series import FoundSeries

_CHUNK_BYTES = 1024**2


def stamp_of(source: FoundSeries | Path) -> str:
    """SHA-256 over what is read of the files, and their sizes and times: quick, and blind to a change that keeps them.

    Raises:
        DicomError: a file is gone.
    """
    found = []
    for file in _files(source):
        with damage_as_dicom_error(file):
            status = file.path.stat()
        found.append([file.index, status.st_size, status.st_mtime_ns])
    return hashlib.sha256(json.dumps([_facts(source), found]).encode()).hexdigest()


def contents_of(source: FoundSeries | Path) -> str:
    """SHA-256 over what is read of the files, and every byte of them.

    Raises:
        DicomError: a file cannot be read.
    """
    digest = hashlib.sha256(json.dumps(_facts(source)).encode())
    for file in _files(source):
        with damage_as_dicom_error(file), file.open() as stream:
            one = hashlib.sha256()
            while chunk := stream.read(_CHUNK_BYTES):
                one.update(chunk)
        digest.update(one.digest())
    return digest.hexdigest()


def _files(source: FoundSeries | Path) -> list[DicomFile]:
    if isinstance(source, Path):
        return [DicomFile(source)]
    return list(dict.fromkeys(header.file for header in source.headers))


def _facts(source: FoundSeries | Path) -> list[object]:
    """What of a series is known from its headers: which images, in which order."""
    if isinstance(source, Path):
        return []
    return [source.key, *([header.instance_uid, header.frame, header.position.tolist()] for header in source.headers)]
