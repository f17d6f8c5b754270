"""What an archive answers to a search, read with caution: a damaged value is left out, a wrong UID is an error."""

from __future__ import annotations

from collections.abc import Iterable

from pydicom import Dataset
from pydicom.config import IGNORE
from pydicom.uid import UID

from ctresample.data_tools.pacs.archive import ArchivedSeries
from ctresample.data_tools.pacs.limits import MAX_IMAGES, MAX_SERIES, MAX_STUDIES
from ctresample.data_tools.plain_text import one_line
from ctresample.errors import ArchiveError

STUDY_KEYS = ("StudyInstanceUID", "PatientName", "PatientID", "StudyDate", "AccessionNumber", "StudyDescription")
SERIES_KEYS = (
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "Modality",
    "SeriesNumber",
    "BodyPartExamined",
    "SeriesDescription",
    "NumberOfSeriesRelatedInstances",
)
IMAGE_KEYS = ("SOPInstanceUID", "SOPClassUID", "InstanceNumber")

_DETAILS = {
    "patient": "PatientName",
    "patient ID": "PatientID",
    "date": "StudyDate",
    "accession": "AccessionNumber",
    "study": "StudyDescription",
}


def series_of(answers: Iterable[Dataset], study: Dataset, place: str) -> list[ArchivedSeries]:
    """The series of one study, by number; `ArchiveError` for an invalid UID."""
    details = {heading: text(study, keyword) for heading, keyword in _DETAILS.items()}
    found = [
        ArchivedSeries(
            study_uid=uid(study, "StudyInstanceUID", place),
            series_uid=uid(answer, "SeriesInstanceUID", place),
            modality=text(answer, "Modality"),
            number=text(answer, "SeriesNumber"),
            body_part=text(answer, "BodyPartExamined"),
            n_images=_whole_number(text(answer, "NumberOfSeriesRelatedInstances")),
            details=details | {"series": text(answer, "SeriesDescription")},
        )
        for answer in answers
    ]
    return sorted(found, key=lambda series: (_whole_number(series.number) or 0, series.series_uid))


def images_of(answers: Iterable[Dataset], series: ArchivedSeries, place: str) -> dict[str, str]:
    """SOP class by SOP instance, in the order of their numbers.

    Raises:
        ArchiveError: an invalid UID, or fewer images than the archive counts, or none.
    """
    numbered = sorted(
        (_whole_number(text(answer, "InstanceNumber")) or 0, uid(answer, "SOPInstanceUID", place), answer)
        for answer in {uid(answer, "SOPInstanceUID", place): answer for answer in answers}.values()
    )
    images = {instance: text(answer, "SOPClassUID") for _, instance, answer in numbered}
    expected = series.n_images or 1
    if len(images) < expected:
        raise ArchiveError(
            f"{place} lists {len(images)} images of a series that it says has {expected}; nothing was kept; try again"
        )
    return images


def uid(answer: Dataset, keyword: str, place: str) -> str:
    """A UID that must be there and valid."""
    found = UID(text(answer, keyword), IGNORE)
    if not found or not found.is_valid:
        raise ArchiveError(f"{place} answered without a valid {keyword}; its database needs repair")
    return str(found)


def too_many(place: str, level: str) -> ArchiveError:
    """What to raise when a search finds more than anyone wants: "study", "series" or "image"."""
    most = {"study": f"{MAX_STUDIES} such studies", "series": f"{MAX_SERIES} such series"}
    return ArchiveError(
        f"{place} has over {most.get(level, f'{MAX_IMAGES} images in a series')}; "
        f"{'it needs repair' if level == 'image' else 'narrow the search'}"
    )


def text(answer: Dataset, keyword: str) -> str:
    """The value in one line; empty if there is none that can be read."""
    try:
        return one_line(str(answer.get(keyword) or ""), 64)
    except Exception:  # whatever pydicom raises on a damaged value
        return ""


def _whole_number(digits: str) -> int | None:
    return int(digits) if digits.isdecimal() and len(digits) < 10 else None
