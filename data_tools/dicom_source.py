"""What a derived CT image keeps of the image it was made from; everything else is new or left out."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom import Dataset
from pydicom.config import RAISE
from pydicom.valuerep import DSfloat, validate_value

_IDENTITY = ["PatientName", "PatientID", "PatientBirthDate", "StudyDate", "StudyTime", "StudyID", "AccessionNumber"]
"""Copied as they are, even where the source breaks a rule: a result must not end up with another patient."""
_KEPT_IF_VALID = [
    "ReferringPhysicianName",
    "StudyDescription",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "PositionReferenceIndicator",
    "AcquisitionNumber",
    "KVP",
    "BodyPartExamined",
    "ContrastBolusAgent",
]
_MAY_BE_EMPTY = [
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PositionReferenceIndicator",
    "PatientPosition",
    "KVP",
    "AcquisitionNumber",
    "SliceThickness",
]
_ALLOWED = {
    "PatientSex": {"M", "F", "O"},
    "PatientPosition": {head + side for head in ("HF", "FF") for side in ("S", "P", "DL", "DR")},
    "Laterality": {"L", "R"},
}


def keep_from_source(dataset: Dataset, source: Dataset) -> None:
    """Copy patient, study and what still holds of the series; elements that must be there come out empty if need be."""
    for keyword in _MAY_BE_EMPTY:
        setattr(dataset, keyword, None)
    for keyword in _IDENTITY:
        if keyword in source:
            dataset[keyword] = source[keyword]
    for keyword in _KEPT_IF_VALID:
        if _is_valid(source, keyword):
            keep(dataset, source, keyword)
    for keyword, allowed in _ALLOWED.items():
        if str(source.get(keyword)) in allowed:
            dataset[keyword] = source[keyword]
    if "BodyPartExamined" not in dataset and "Laterality" not in dataset:
        dataset.ImageLaterality = "U"  # one of the three must be there
    methods = ("DeidentificationMethod", "DeidentificationMethodCodeSequence")
    if dataset.get("PatientIdentityRemoved") == "YES" and not any(method in dataset for method in methods):
        dataset.DeidentificationMethod = "not stated by the source"


def keep_flags(dataset: Dataset, sources: Sequence[Dataset]) -> None:
    """What has once happened to pixels of the source has happened to the result too."""
    lossy = next((source for source in sources if source.get("LossyImageCompression") == "01"), None)
    dataset.LossyImageCompression = "00" if lossy is None else "01"
    if lossy is not None:
        for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod"):
            if _is_valid(lossy, keyword):
                keep(dataset, lossy, keyword)
    burned_in = any(source.get("BurnedInAnnotation") == "YES" for source in sources)
    dataset.BurnedInAnnotation = "YES" if burned_in else "NO"


def keep(dataset: Dataset, source: Dataset, keyword: str) -> None:
    """Copy one element, decimal numbers in at most 16 characters."""
    value = source[keyword].value
    if source[keyword].VR != "DS":
        dataset[keyword] = source[keyword]
    else:
        setattr(dataset, keyword, decimal(value) if source[keyword].VM == 1 else list(map(decimal, value)))


def decimal(value: float) -> DSfloat:
    """A decimal string of at most 16 characters, which pydicom does not see to by itself."""
    return DSfloat(float(value), auto_format=True)


def _is_valid(source: Dataset, keyword: str) -> bool:
    """Whether the source has the element, not empty and within the rules of its value representation."""
    if keyword not in source or source[keyword].is_empty:
        return False
    element = source[keyword]
    if element.VR in ("SQ", "DS"):
        return True
    try:
        for value in element.value if element.VM > 1 else [element.value]:
            validate_value(element.VR, str(value), RAISE)
    except ValueError:
        return False
    return True
