"""What every archive can do, whichever way it is spoken to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from ctresample.data_tools.pacs.outgoing import OutgoingFile
from ctresample.data_tools.pacs.search import Search

Verdict = Literal["new", "again", "refused"]
"""On what came: an image that was missing, the same once more, or anything else."""

Receive = Callable[[str, bytes], Verdict]
"""Takes the SOPInstanceUID and the content of a DICOM file."""


@dataclass(frozen=True)
class ArchivedSeries:
    """One series as the archive describes it.

    Attributes:
        study_uid: StudyInstanceUID, valid.
        series_uid: SeriesInstanceUID, valid.
        modality: such as "CT"; empty if not said.
        number: SeriesNumber, likewise.
        body_part: BodyPartExamined, likewise.
        n_images: how many images the archive says it has; None if it does not say.
        details: what tells of the patient, by its heading: name, id, dates, descriptions.
    """

    study_uid: str
    series_uid: str
    modality: str
    number: str
    body_part: str
    n_images: int | None
    details: Mapping[str, str]


class Archive(Protocol):
    """A connection is made for each call; all raise `ArchiveError` in one line for whatever goes wrong."""

    def find(self, search: Search) -> list[ArchivedSeries]:
        """The series that match, those of one study together."""

    def list_images(self, series: ArchivedSeries) -> dict[str, str]:
        """The SOP class of each image of a series by its SOPInstanceUID, in the order of InstanceNumber."""

    def retrieve(self, series: ArchivedSeries, images: Mapping[str, str], receive: Receive) -> None:
        """Ask for all images of a series.

        Args:
            series: one that was found.
            images: what `list_images` says of it.
            receive: called with the SOPInstanceUID and the content of a DICOM file for each image that comes, maybe
                on another thread.
        """

    def store(self, files: Sequence[OutgoingFile], on_stored: Callable[[OutgoingFile, int], None]) -> None:
        """Send files.

        Args:
            files: what to send.
            on_stored: called after each with the status that the archive gave it: 0, or as in PS3.4 B.2.3.
        """
