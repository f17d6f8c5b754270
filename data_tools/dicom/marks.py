"""Whom an image shows, and what may set it apart from others of its series: phase, kernel, energy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pydicom import Dataset

from ctresample.data_tools.plain_text import one_line


@dataclass(frozen=True)
class Mark:
    """An attribute in which images of one series may differ.

    Attributes:
        keyword: of the attribute.
        words: what it is, to name a part by.
        unit: behind its value.
        shown: whether the value may be shown; else parts are numbered. Free text may name a patient.
        weak: says something only of images at one position: between others it may differ without any meaning.
    """

    keyword: str
    words: str
    unit: str = ""
    shown: bool = True
    weak: bool = False


MARKS = (
    Mark("AcquisitionNumber", "acquisition"),
    Mark("TemporalPositionIdentifier", "time"),
    Mark("TemporalPositionIndex", "time"),
    Mark("NominalPercentageOfCardiacPhase", "cardiac phase", " %"),
    Mark("NominalCardiacTriggerDelayTime", "cardiac delay", " ms"),
    Mark("TriggerTime", "trigger time", " ms"),
    Mark("NominalPercentageOfRespiratoryPhase", "respiratory phase", " %"),
    Mark("NominalRespiratoryTriggerDelayTime", "respiratory delay", " ms"),
    Mark("RespiratoryCyclePosition", "respiratory phase"),
    Mark("PhaseNumber", "phase"),
    Mark("ContrastBolusAgent", "contrast agent", shown=False),
    Mark("ContrastBolusAgentAdministered", "contrast administered"),
    Mark("ContrastBolusAgentPhase", "contrast phase"),
    Mark("ConvolutionKernel", "kernel"),
    Mark("KVP", "tube voltage", " kV"),
    Mark("EchoNumbers", "echo"),
    Mark("MonoenergeticEnergyEquivalent", "energy", " keV"),
    Mark("XRaySourceIndex", "X-ray source"),
    Mark("SeriesNumber", "series number"),
    Mark("StackID", "stack", shown=False),
    Mark("ImageType", "image type", shown=False, weak=True),
    Mark("SliceThickness", "slice thickness", " mm", weak=True),
    Mark("ReconstructionAlgorithm", "algorithm", weak=True),
    Mark("FilterType", "filter", shown=False, weak=True),
    Mark("SeriesDescription", "description", shown=False, weak=True),
    Mark("ProtocolName", "protocol", shown=False, weak=True),
    Mark("FrameOfReferenceUID", "frame of reference", shown=False, weak=True),
    Mark("AcquisitionDate", "date", shown=False, weak=True),
    Mark("AcquisitionTime", "acquisition time", shown=False, weak=True),
    Mark("AcquisitionDateTime", "acquisition time", shown=False, weak=True),
    Mark("ContrastBolusStartTime", "start of contrast", shown=False, weak=True),
    Mark("ImageComments", "comment", shown=False, weak=True),
    Mark("ContentTime", "content time", shown=False, weak=True),
)
"""In the order in which they are asked, what says most first."""

_IN_SEQUENCES = {
    "MonoenergeticEnergyEquivalent": ("MultienergyCTCharacteristicsSequence", "MultienergyCTProcessingSequence"),
    "XRaySourceIndex": ("MultienergyCTXRaySourceSequence",),
}


def marks_of(image: Dataset) -> dict[str, str]:
    """The values of `MARKS` that an image has, as text."""
    found = {mark.keyword: _text(image, mark.keyword) for mark in MARKS}
    return {keyword: text for keyword, text in found.items() if text}


def patient_of(image: Dataset) -> tuple[str, ...]:
    """What tells patients apart: number, name, date of birth and sex, without differences in writing."""
    number, birth = str(image.get("PatientID") or "").strip(), re.sub(r"\D", "", _text(image, "PatientBirthDate"))
    sex = _text(image, "PatientSex").upper()
    return number, " ".join(re.findall(r"\w+", _text(image, "PatientName").casefold())), birth, sex * (sex in "MF")


def shown_mark(keyword: str, marks: Mapping[str, str], others: list[str]) -> str:
    """A part by one of its marks, such as "cardiac phase 75 %", or by its place among ``others``, all the values."""
    mark = next(mark for mark in MARKS if mark.keyword == keyword)
    value = marks.get(keyword, "")
    if keyword == "ContrastBolusAgent" and len(others) == 2 and "" in others:
        return "with contrast agent" if value else "without contrast agent"
    if mark.shown and re.fullmatch(r"[\w.+/-][\w.+/ -]{0,15}", value):
        return f"{mark.words} {one_line(value, 16)}{mark.unit}"
    return f"{mark.words} {others.index(value) + 1} of {len(others)}"


def _plain(text: str) -> str:
    """A number in one spelling: 1 for 01 and 1.0."""
    return f"{float(text):.12g}" if re.fullmatch(r"[+-]?\d+\.?\d*", text) else text


def _text(image: Dataset, keyword: str) -> str:
    try:
        value = image.get(keyword)
        for sequence in _IN_SEQUENCES.get(keyword, ()):
            if value is None and image.get(sequence):
                value = image.get(sequence)[0].get(keyword)
        return "" if value is None else _plain(str(value).strip(" \0"))
    except Exception:  # pydicom raises many types on damage; an attribute that cannot be read sets nothing apart
        return ""
