"""What the Basic Application Level Confidentiality Profile (DICOM PS3.15, table E.1-1) does to each attribute.

``basic_profile.tsv`` beside this file holds the table: a tag, with X for any digit, and its action code. It was made of
``confidentiality_profile_attributes.json`` of innolitics/dicom-standard (MIT licence; see DATA_LICENSES.md).
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Literal

from pydicom.datadict import dictionary_is_retired, dictionary_VR, keyword_for_tag

from ctresample.data_tools.deidentify.kept_words import DEVICE_WORDS, KEPT_WORDS, WORD_VRS

Action = Literal["removed", "emptied", "replaced by a dummy", "UID replaced", "kept"]

_ACTIONS: dict[str, Action] = {
    "X": "removed",
    "Z": "emptied",
    "D": "replaced by a dummy",
    "U": "UID replaced",
    "U*": "UID replaced",
}
_SORTED_BY = {"00080020", "00080030", "00100010", "00100020", "00200010"}
"""StudyDate, StudyTime, PatientName, PatientID, StudyID: archives sort by them, so they get dummies where the profile
would have them emptied, which it allows."""
_BULK_VRS = {"OB", "OD", "OF", "OL", "OV", "OW", "OB or OW", "UN"}
_IDENTIFYING_VRS = {"AE", "DA", "DT", "LT", "PN", "ST", "TM", "UT"}
"""Of attributes that the table does not name, for it grows with each edition: dates, times, persons, places, notes."""
_DATES_IN_WORDS = {"00100033", "00100034"}
"""Birth and death in another calendar than the Gregorian, which the table does not name either."""


def action_for(tag: str, *, nested: bool, retain_device: bool = False) -> Action:
    """What is done to an attribute of a CT image.

    Where the table leaves a choice, such as ``X/Z/D``, it is to be the first that the image may have. At the top level
    that is the first of all: none of these is required of a CT image. In an item of a sequence it depends on the
    sequence; there the last is taken, which is valid in each. Sequences of references (``X/Z/U*``) stay, with mapped
    UIDs.

    Args:
        tag: eight hexadecimal digits, upper case.
        nested: whether it stands in an item of a sequence.
        retain_device: keep what names the scanner (Retain Device Identity Option, PS3.15 E.3.8).
    """
    group = int(tag[:4], 16)
    if group % 2 or group < 0x0008 or group == 0xFFFE:  # private; of messages, files and directories; no elements
        return "removed"
    if retain_device and keyword_for_tag(int(tag, 16)) in DEVICE_WORDS:
        return "kept"
    if tag in _SORTED_BY and not nested:
        return "replaced by a dummy"
    codes = map(_table().get, (tag, f"{tag[:2]}XX{tag[4:]}", f"{tag[:2]}XXXXXX"))
    if code := next(filter(None, codes), None):
        options = code.split("/")
        return _ACTIONS[options[-1] if nested or options[-1] == "U*" else options[0]]
    try:
        vr = dictionary_VR(int(tag, 16))
    except KeyError:
        return "removed"  # of no known meaning, as good as private
    # of what is retired the table names a part only: old order numbers are not in it
    if vr in _BULK_VRS or vr in _IDENTIFYING_VRS or tag in _DATES_IN_WORDS or dictionary_is_retired(int(tag, 16)):
        return "removed"
    if vr in WORD_VRS and keyword_for_tag(int(tag, 16)) not in KEPT_WORDS:
        return "removed"
    return "UID replaced" if vr == "UI" else "kept"


@cache
def _table() -> dict[str, str]:
    text = files(__package__).joinpath("basic_profile.tsv").read_text("ascii")
    return dict(line.split("\t") for line in text.splitlines())
