"""Images as they come from an archive, as files with names of our own."""

from __future__ import annotations

import hashlib
import math
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from pydicom import Dataset
from pydicom.uid import UID

from ctresample.data_tools.dicom.files import DicomFile, SkippedFile, damage_as_dicom_error, open_dicom, quiet_pydicom
from ctresample.data_tools.pacs.archive import Verdict
from ctresample.data_tools.pacs.limits import MAX_REFUSED
from ctresample.errors import ArchiveError, CTResampleError, DicomError
from ctresample.files import write_file

_UNLISTED = "that nobody asked for"
_TWICE = "that came again with another content"
_DAMAGED = "that came damaged, or not as the image it was sent as"


class ReceivedSeries:
    """A folder that takes exactly the images that were asked for: ``0001.dcm`` and so on, in the order given.

    What else comes is refused and counted, and does no harm: to a C-MOVE somebody else than the archive may answer.

    Args:
        folder: new; made here.
        series_uid: SeriesInstanceUID of all of them.
        sop_instances: SOPInstanceUID of each image.
        on_file: called after each with how many there are.
    """

    def __init__(
        self, folder: Path, series_uid: str, sop_instances: Iterable[str], on_file: Callable[[int], None]
    ) -> None:
        folder.mkdir()
        self._series_uid = series_uid
        self._paths = {uid: folder / f"{number:04d}.dcm" for number, uid in enumerate(sop_instances, 1)}
        self._came: dict[str, bytes] = {}
        self._on_file = on_file
        self._lock = threading.Lock()  # an archive may send over several connections
        self.refused: Counter[str] = Counter()
        self.error: CTResampleError | None = None

    def receive(self, sop_instance: str, content: bytes) -> Verdict:
        """Write one image, whole or not at all.

        Raises:
            ArchiveError: too much was refused by now; also kept as ``error``, for a thread's is lost.
            OutputError: likewise if it cannot be written.
        """
        with self._lock:
            if self.error:
                raise self.error
            before = len(self._came)
            try:
                if wrong := self._take(sop_instance, content):
                    self.refused[wrong] += 1
                if self.refused.total() > MAX_REFUSED:
                    raise ArchiveError(f"the archive sent {self.said()}; nothing was kept")
            except CTResampleError as error:
                self.error = error
                raise
            if len(self._came) == before:
                return "refused" if wrong else "again"
            self._on_file(len(self._came))
            return "new"

    def check_complete(self, place: str) -> None:
        """`ArchiveError` unless all images are there; ``place`` names the archive."""
        n, came = len(self._paths), len(self._came)
        if came < n:
            refused = f", and {self.said()}" if self.refused else ""
            raise ArchiveError(
                f"{place} sent only {came} of the {n} images it says it has of a series{refused}; nothing was kept; "
                "try again"
            )

    def said(self) -> str:
        """What was refused, in words."""
        return ", ".join(f"{n} image{'s'[: n > 1]} {reason}" for reason, n in self.refused.items())

    def _take(self, sop_instance: str, content: bytes) -> str:
        """Keep an image, or say why not."""
        path = self._paths.get(sop_instance)
        if path is None:
            return _UNLISTED
        digest = hashlib.sha256(content).digest()
        if sop_instance in self._came:
            return "" if self._came[sop_instance] == digest else _TWICE
        write_file(path, content)
        try:
            _check(path, sop_instance, self._series_uid)
        except DicomError:
            path.unlink()
            return _DAMAGED
        self._came[sop_instance] = digest
        return ""


@quiet_pydicom()
def _check(path: Path, sop_instance: str, series_uid: str) -> None:
    with damage_as_dicom_error(path):
        try:
            dataset = open_dicom(DicomFile(path), pixels=True)
        except SkippedFile as reason:
            raise DicomError(str(reason)) from None
        names = (str(dataset.get("SOPInstanceUID")), str(dataset.get("SeriesInstanceUID")))
        if names != (sop_instance, series_uid) or _is_cut_short(dataset):
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
