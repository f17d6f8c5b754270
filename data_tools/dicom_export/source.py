"""What a derived CT image keeps of the image it was made from; everything else is new or left out.

Values that no rule of DICOM allows are mended where their meaning is plain, else left out; which, is told.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydicom import Dataset
from pydicom.config import RAISE
from pydicom.datadict import dictionary_VR
from pydicom.valuerep import DSfloat, validate_value

from ctresample.data_tools.dicom.mend import LEFT_OUT, mended

_IDENTITY = ["PatientName", "PatientID", "PatientBirthDate", "StudyDate", "StudyTime", "StudyID", "AccessionNumber"]
"""Kept in any value representation, mended if need be: a result must not end up with another patient."""
_KEPT_IF_VALID = [
    "ReferringPhysicianName",
    "StudyDescription",
    "ClinicalTrialTimePointID",
    "ClinicalTrialTimePointDescription",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "LongitudinalTemporalInformationModified",
    "PositionReferenceIndicator",
    "AcquisitionNumber",
    "KVP",
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
    "PatientSex": "[MFO]",
    "PatientPosition": "(HF|FF)(S|P|DL|DR)",
    "BodyPartExamined": "ABDOMEN(PELVIS)?|AORTA|BRAIN|BREAST|CHEST(ABDOMEN|ABDPELVIS)?|COLON|[CLT]?SPINE|EXTREMITY|"
    "HEAD(NECK)?|HEART|HIP|KIDNEY|KNEE|LIVER|LUNG|NECK|ORBIT|PANCREAS|PELVIS|SHOULDER|SKULL|WHOLEBODY",
}
"""Elements with a list of defined values, as a pattern; archives hold many others."""
_LOSSY_METHOD = "ISO_(10918_1|14495_1|15444_1|15444_15|13818_2|14496_10|23008_2)"


Told = dict[str, str]
"""What was done to values of a source that no rule allows, by keyword; no value of it."""


def keep_from_source(dataset: Dataset, source: Dataset, told: Told | None = None) -> None:
    """Copy patient, study and what still holds of the series; elements that must be there come out empty if need be."""
    told = {} if told is None else told
    for keyword in _MAY_BE_EMPTY:
        setattr(dataset, keyword, None)
    for keyword in _IDENTITY:
        value, done = mended(dictionary_VR(keyword), _texts(source, keyword))
        setattr(dataset, keyword, value)
        if done:
            told[keyword] = done
    for keyword in _KEPT_IF_VALID:
        if is_valid(source, keyword):
            keep(dataset, source, keyword)
        elif keyword in source and not source[keyword].is_empty and not _says_nothing(source, keyword):
            told[keyword] = LEFT_OUT
    for keyword, allowed in _ALLOWED.items():
        if re.fullmatch(allowed, str(source.get(keyword))):
            keep(dataset, source, keyword)
    # one of two elements must state the side, or that there is none; of these only the image's own is always allowed
    side = str(source.get("ImageLaterality") or source.get("Laterality"))
    dataset.ImageLaterality = side if side in ("L", "R", "B") else "U"
    methods = ("DeidentificationMethod", "DeidentificationMethodCodeSequence")
    if dataset.get("PatientIdentityRemoved") == "YES" and not any(method in dataset for method in methods):
        dataset.DeidentificationMethod = "not stated by the source"


def _texts(source: Dataset, keyword: str) -> list[str]:
    """The values of an element as texts; none for what can be no text."""
    value = source.get(keyword)
    if value is None or isinstance(value, bytes | Dataset):
        return []
    many = isinstance(value, Sequence) and not isinstance(value, str)
    return [str(one) for one in (value if many else [value]) if not isinstance(one, Dataset)]


def _says_nothing(source: Dataset, keyword: str) -> bool:
    """Whether a value is allowed and left out all the same: a weight of 0, a remark in the place of a name."""
    vr = dictionary_VR(keyword)
    if vr == "PN":
        return True
    return vr == "DS" and all(isinstance(one, float) for one in (source[keyword].value or [0.0],))


def keep_flags(dataset: Dataset, sources: Sequence[Dataset]) -> None:
    """What has once happened to pixels of the source has happened to the result too."""
    lossy = next((source for source in sources if source.get("LossyImageCompression") == "01"), None)
    dataset.LossyImageCompression = "00" if lossy is None else "01"
    if lossy is not None:
        if is_valid(lossy, "LossyImageCompressionRatio"):
            keep(dataset, lossy, "LossyImageCompressionRatio")
        methods = lossy.get("LossyImageCompressionMethod") or ()
        methods = [methods] if isinstance(methods, str) else list(methods)
        if methods and all(re.fullmatch(_LOSSY_METHOD, str(method)) for method in methods):
            dataset.LossyImageCompressionMethod = methods
    burned_in = any(source.get("BurnedInAnnotation") == "YES" for source in sources)
    dataset.BurnedInAnnotation = "YES" if burned_in else "NO"


def keep(dataset: Dataset, source: Dataset, keyword: str) -> None:
    """Copy the value of one element, decimal numbers in at most 16 characters; text in place of a number stays out."""
    value = source[keyword].value
    if dictionary_VR(keyword) == "DS":
        try:
            value = decimal(value) if source[keyword].VM == 1 else list(map(decimal, value))
        except (TypeError, ValueError):
            return
    setattr(dataset, keyword, value)  # in the value representation of the standard: archives hold others


def decimal(value: float) -> DSfloat:
    """A decimal string of at most 16 characters, which pydicom does not see to by itself."""
    return DSfloat(float(value), auto_format=True)


def is_valid(source: Dataset, keyword: str) -> bool:
    """Whether the source has the element, not empty and within the rules of its value representation."""
    if keyword not in source or source[keyword].is_empty:
        return False
    element = source[keyword]
    if dictionary_VR(keyword) != element.VR:
        return False
    values = element.value if element.VM > 1 else [element.value]
    if element.VR == "SQ":
        return True
    if element.VR == "DS":
        return all(values)  # no body, voltage or ratio is 0
    if element.VR == "PN":
        return "^" in str(element.value)  # a name as DICOM has it since 1993, not a remark like "REMOVED"
    try:
        for value in values:
            validate_value(element.VR, str(value), RAISE)
    except ValueError:
        return False
    return True
