"""The files of a folder that is to be sent, checked before the first one leaves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID

from ctresample.data_tools.dicom.files import damage_as_dicom_error, find_files, quiet_pydicom
from ctresample.errors import DicomError
from ctresample.paths import StrPath, as_path


@dataclass(frozen=True)
class OutgoingFile:
    """A DICOM file and what an archive must accept to take it.

    Attributes:
        path: the file.
        sop_class: what it is.
        sop_instance: which one.
        transfer_syntax: how it is encoded.
    """

    path: Path
    sop_class: UID
    sop_instance: UID
    transfer_syntax: UID


def find_outgoing(folder: StrPath) -> list[OutgoingFile]:
    """All files below a folder, sorted by path.

    Raises:
        DicomError: one of them is not DICOM or does not say what it is, or there are none.
    """
    folder = as_path(folder, "folder")
    paths = find_files(folder)
    if not paths:
        raise DicomError(f"{folder} is empty; expected the DICOM files to send")
    return [_outgoing(path) for path in paths]


@quiet_pydicom()
def _outgoing(path: Path) -> OutgoingFile:
    with damage_as_dicom_error(path):
        try:
            dataset = dcmread(path, stop_before_pixels=True)
        except InvalidDicomError:
            raise DicomError(f"{path} is not DICOM; expected only DICOM files; choose a folder of these") from None
        uids = [
            UID(str(part.get(keyword) or ""))
            for part, keyword in (
                (dataset, "SOPClassUID"),
                (dataset, "SOPInstanceUID"),
                (dataset.file_meta, "TransferSyntaxUID"),
            )
        ]
    if not all(uid and uid.is_valid for uid in uids):
        raise DicomError(f"{path} lacks a valid SOP class, SOP instance or transfer syntax UID; export it again")
    return OutgoingFile(path, *uids)
