"""Whether a CT image holds Hounsfield units at all, as far as its header says."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydicom import Dataset

from ctresample.data_tools.dicom.numbers import decimal_or_none

# US: unspecified, what several programs write with plain HU; the others are spelt in several ways
_UNSPECIFIED = {"", "US", "UNSPECIFIED"}
_HOUNSFIELD_TYPES = re.compile("HU|HU_?MOD|CTNUMBERS?|HOUND?SFIELD(UNITS?)?")
_HOUNSFIELD_UNITS = {"[HNSF'U]", "HU", "HOUNSFIELD", "", "1", "NONE"}  # 1: no unit
_GREY = {"", "MONOCHROME1", "MONOCHROME2"}

# words of ImageType from its third value on, of PS3.3 C.8.2.1.1.1 and C.8.15.2 and of vendors
_MAPS = {
    **dict.fromkeys(("CBF", "BF", "BLOOD_FLOW", "PBF", "MBF"), "blood flow"),
    **dict.fromkeys(("CBV", "BV", "BLOOD_VOLUME", "PBV"), "blood volume"),
    **dict.fromkeys(("MTT", "TTP", "TTPM", "TMAX", "TTD", "TTS", "TOT", "TTA", "IRF"), "transit time"),
    **dict.fromkeys(("PS", "KTRANS", "PERMEABILITY", "PMB"), "permeability"),
    **dict.fromkeys(("EFF_ATOMIC_NUM", "ZEFF", "EFFECTIVE_Z", "Z_EFFECTIVE", "RHO_Z"), "atomic number"),
    **dict.fromkeys(("ELECTRON_DENSITY", "ED", "EDW", "RHO", "RHOE"), "electron density"),
    **dict.fromkeys(("STD_DEVIATION", "STDDEV", "VARIANCE", "UNCERTAINTY"), "standard deviation"),
    **dict.fromkeys(("SUBTRACTION", "DIVISION", "MULTIPLICATION", "QUANTITY", "PARAMETRIC"), "computed quantity"),
}
_UNLESS_STATED_HU = {
    **dict.fromkeys(("MAT_SPECIFIC", "MAT_FRACTIONAL", "MATERIAL"), "material"),
    **dict.fromkeys(("IODINE", "IODINE_MAP", "IODINE_DENSITY", "WATER", "CALCIUM", "URIC_ACID"), "material"),
    **dict.fromkeys(("FAT_FRACTION", "FAT_MAP"), "material"),
    **dict.fromkeys(("FLOW", "VENTILATION", "TEMPERATURE", "STRAIN", "DOSE_MAP"), "computed quantity"),
}
_CALCIUM_SCORE = "CALCIUM_SCOR"  # the scan that is scored is plain CT
_MAY_BE_NO_HU = {
    **dict.fromkeys(("PERFUSION", "DELAY", "DENSITY", "FAT"), "a map?"),
    **dict.fromkeys(("MIP", "MINIP", "VRT", "VR"), "a projection of many slices, of which a scan is that of no body?"),
}


def why_no_hu(image: Dataset, *, enhanced: bool) -> str:
    """What in the header says that the values are no HU; empty if nothing does.

    Args:
        image: a classic image, or a frame as one.
        enhanced: of an enhanced image, whose maps are "unspecified" too.
    """
    if (colours := _text(image, "PhotometricInterpretation")) not in _GREY:
        known = colours if re.fullmatch("PALETTE COLOR|RGB|ARGB|HSV|CMYK|YBR_[A-Z0-9_]{1,12}", colours) else "unknown"
        return f"PhotometricInterpretation {known}"
    kind = _text(image, "RescaleType")
    stated_hu = bool(_HOUNSFIELD_TYPES.fullmatch(re.sub(r"[\s.]", "", kind)))
    if not (stated_hu or kind in _UNSPECIFIED) or (kind and not stated_hu and enhanced):
        return f"RescaleType {str(image.get('RescaleType'))[:16]!r}"
    if word := _map_in(image, stated_hu=stated_hu):
        return f"ImageType {word}"
    if kind and not stated_hu and _text(image, "MultienergyCTAcquisition") == "YES":
        return f"a multi-energy image of RescaleType {kind[:16]!r}"
    if (unit := _unit(image)).upper() not in _HOUNSFIELD_UNITS:
        shown = unit if re.fullmatch(r"[\w./*()%{}\[\]'^-]{1,16}", unit) else "unknown"
        return f"unit {shown!r}"
    return ""


def header_doubts(image: Dataset) -> list[str]:
    """What in the header makes HU doubtful, each with the cause to look for."""
    found = []
    if _text(image, "MultienergyCTAcquisition") == "YES" and not image.get("RescaleType"):
        found.append("a multi-energy image without RescaleType, taken for HU; a map of materials?")
    if (decimal_or_none(image, "RescaleSlope") or 1) < 0:
        found.append("RescaleSlope is negative, so that dense is dark; a wrong sign?")
    if word := _word_in(image, _MAY_BE_NO_HU):
        found.append(f"ImageType {word}: {_MAY_BE_NO_HU[word]}")
    return found


def _map_in(image: Dataset, *, stated_hu: bool) -> str:
    maps = _MAPS if stated_hu else _MAPS | _UNLESS_STATED_HU
    word = _word_in(image, maps)
    return f"{word} ({maps[word]})" if word else ""


def _word_in(image: Dataset, wanted: Mapping[str, str]) -> str:
    """The first word, or words in a row, of ImageType from its third value on that is wanted, however it is joined."""
    joined = {word.replace("_", ""): word for word in wanted}
    values = image.get("ImageType") or ()
    for value in [values] if isinstance(values, str) else list(values)[2:]:
        words = re.findall("[A-Z0-9]+", str(value).upper())
        if "_".join(words).startswith(_CALCIUM_SCORE):
            continue
        for first in range(len(words)):
            for last in range(len(words), first, -1):
                if found := joined.get("".join(words[first:last])):
                    return found
    return ""


def _unit(image: Dataset) -> str:
    """Of the real values, where the header names one that is no HU."""
    units = [str(image.get("Units") or "")]
    for mapping in image.get("RealWorldValueMappingSequence") or ():
        for code in mapping.get("MeasurementUnitsCodeSequence") or ():
            units.append(str(code.get("CodeValue") or ""))
    return "" if any(unit.upper() in ("[HNSF'U]", "HU") for unit in units) else next(filter(None, units), "")


def _text(image: Dataset, keyword: str) -> str:
    return str(image.get(keyword) or "").strip().upper()
