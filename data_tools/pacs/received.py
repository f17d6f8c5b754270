"""Images as they come from an archive, as files with names of our own."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.uid import UID

from ctresample.data_tools.dicom_files import damage_as_dicom_error, quiet_pydicom
from ctresample.errors import ArchiveError, CTResampleError, DicomError
from ctresample.files import write_file


class ReceivedSeries:
    """A folder that takes exactly the images that were asked for: ``0001.dcm`` and so on, in the order given.

    Args:
        folder: new; made here.
        sop_instances: SOPInstanceUID of each image.
        on_file: called after each with how many there are.
    """

    def __init__(self, folder: Path, sop_instances: Iterable[str], on_file: Callable[[int], None]) -> None:
        folder.mkdir()
        self._paths = {uid: folder / f"{number:04d}.dcm" for number, uid in enumerate(sop_instances, 1)}
        self._missing = set(self._paths)
        self._on_file = on_file
        self._lock = threading.Lock()  # an archive may send over several connections
        self.error: CTResampleError | None = None

    def receive(self, sop_instance: str, content: bytes) -> None:
        """Write one image, whole or not at all.

        Raises:
            ArchiveError: nobody asked for it, or it is damaged; also kept as ``error``, for a thread's is lost.
            OutputError: likewise if it cannot be written.
        """
        with self._lock:
            if self.error:
                raise self.error
            try:
                self._write(sop_instance, content)
            except CTResampleError as error:
                self.error = error
                raise
            self._missing.discard(sop_instance)
            self._on_file(len(self._paths) - len(self._missing))

    def check_complete(self, place: str) -> None:
        """`ArchiveError` unless all images are there; ``place`` names the archive."""
        if self._missing:
            n, missing = len(self._paths), len(self._missing)
            raise ArchiveError(
                f"{place} sent only {n - missing} of the {n} images it says it has of a series; nothing was kept; "
                "try again"
            )

    def _write(self, sop_instance: str, content: bytes) -> None:
        path = self._paths.get(sop_instance)
        if path is None:
            raise ArchiveError("the archive sent an image that nobody asked for; nothing was kept")
        write_file(path, content)
        try:
            _check(path, sop_instance)
        except DicomError:
            path.unlink()
            raise ArchiveError("the archive sent a damaged image; nothing was kept; try again") from None


@quiet_pydicom()
def _check(path: Path, sop_instance: str) -> None:
    with damage_as_dicom_error(path):
        dataset = dcmread(path)
        if dataset.get("SOPInstanceUID") != sop_instance or _is_cut_short(dataset):
            raise DicomError("not the image it was sent as, or not all of it")


def _is_cut_short(dataset: Dataset) -> bool:
    """Whether pixels are missing: pydicom reads a file that ends too early without a word."""
    if "PixelData" not in dataset:
        return UID(str(dataset.get("SOPClassUID"))).name.endswith("Image Storage")
    if dataset.file_meta.TransferSyntaxUID.is_compressed:
        return False
    factors = ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated")
    declared = math.prod(int(dataset.get(factor) or 0) for factor in factors) * int(dataset.get("NumberOfFrames") or 1)
    return len(dataset.PixelData) * 8 < declared
