"""What to look for in an archive."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from pydicom.config import IGNORE
from pydicom.uid import UID

from ctresample.errors import UsageError


@dataclass(frozen=True)
class Search:
    """Criteria that all must hold; an empty one does not count.

    Attributes:
        study_uid: StudyInstanceUID.
        series_uid: SeriesInstanceUID.
        patient_id: PatientID; ``*`` and ``?`` stand for unknown letters.
        date: StudyDate, ``20240301`` or a range such as ``20240301-20240331`` or ``20240301-``.
        accession: AccessionNumber; ``*`` and ``?`` likewise.
        modality: such as ``CT``.

    Raises:
        UsageError: nothing is asked for, or a criterion has no valid form.
    """

    study_uid: str = ""
    series_uid: str = ""
    patient_id: str = ""
    date: str = ""
    accession: str = ""
    modality: str = ""

    def __post_init__(self) -> None:
        for option, uid in (("--study", self.study_uid), ("--series", self.series_uid)):
            if uid and not UID(uid, IGNORE).is_valid:
                raise UsageError(f"{option} is no valid UID; expected numbers with dots between, at most 64 characters")
        if self.date and not _is_date_or_range(self.date):
            raise UsageError("--date is no date; expected 20240301, or a range: 20240301-20240331, 20240301-")
        if self.modality and not re.fullmatch("[A-Z0-9_ ]{1,16}", self.modality):
            raise UsageError("--modality is no modality; expected capital letters, such as CT")
        for option, text in (("--patient-id", self.patient_id), ("--accession", self.accession)):
            if len(text) > 64 or not text.isprintable() or "\\" in text:
                raise UsageError(f"{option} has no valid form; expected at most 64 letters without backslash")
        if not any((self.study_uid, self.series_uid, self.patient_id, self.date, self.accession)):
            raise UsageError(
                "nothing to look for; expected --study, --series, --patient-id, --date or --accession, as an archive "
                "may hold millions of images"
            )

    @property
    def study_keys(self) -> dict[str, str]:
        """What a study must match, by keyword."""
        keys = {
            "StudyInstanceUID": self.study_uid,
            "PatientID": self.patient_id,
            "StudyDate": self.date,
            "AccessionNumber": self.accession,
            "ModalitiesInStudy": self.modality,
        }
        return {keyword: value for keyword, value in keys.items() if value}

    @property
    def series_keys(self) -> dict[str, str]:
        """What a series within its study must match, by keyword."""
        keys = {"SeriesInstanceUID": self.series_uid, "Modality": self.modality}
        return {keyword: value for keyword, value in keys.items() if value}

    @property
    def names_only_a_series(self) -> bool:
        """Whether nothing is known of the study."""
        return bool(self.series_uid) and not set(self.study_keys) - {"ModalitiesInStudy"}


def _is_date_or_range(text: str) -> bool:
    first, dash, last = text.partition("-")
    ends = [end for end in (first, last) if end]
    return bool(ends) and (bool(dash) or bool(first)) and all(map(_is_date, ends)) and ends == sorted(ends)


def _is_date(text: str) -> bool:
    if not re.fullmatch("[0-9]{8}", text):
        return False
    try:
        datetime.strptime(text, "%Y%m%d")  # noqa: DTZ007 - a date has no time zone
    except ValueError:
        return False
    return True
