"""Whether a CT image holds Hounsfield units at all, as far as its header says."""

from __future__ import annotations

import re

from pydicom import Dataset

from ctresample.data_tools.dicom.numbers import decimal_or_none

# US: unspecified, what several programs write with plain HU; the last is spelt in several ways
_HOUNSFIELD_TYPES = re.compile("|HU|HU_MOD|US|HOUND?SFIELD( UNITS?)?", re.IGNORECASE)
_HOUNSFIELD_UNITS = {"[HNSF'U]", "HU", "HOUNSFIELD", "", "1", "NONE"}  # 1: no unit
_GREY = {"", "MONOCHROME1", "MONOCHROME2"}

# words of ImageType from its third value on, of PS3.3 C.8.2.1.1.1 and C.8.15.2 and of vendors
_MAPS = {
    **dict.fromkeys(("CBF", "BF", "BLOOD_FLOW", "PBF", "MBF"), "blood flow"),
    **dict.fromkeys(("CBV", "BV", "BLOOD_VOLUME", "PBV"), "blood volume"),
    **dict.fromkeys(("MTT", "TTP", "TMAX", "TTD", "TTS", "TOT", "TTA"), "transit time"),
    **dict.fromkeys(("PS", "KTRANS", "PERMEABILITY", "PMB"), "permeability"),
    **dict.fromkeys(("EFF_ATOMIC_NUM", "ZEFF", "Z_EFF", "RHO_Z", "RHOZ"), "atomic number"),
    **dict.fromkeys(("ELECTRON_DENSITY", "ED", "EDW", "RHO"), "electron density"),
    "STD_DEVIATION": "standard deviation",
    **dict.fromkeys(("SUBTRACTION", "DIVISION", "MULTIPLICATION", "QUANTITY", "PARAMETRIC"), "computed quantity"),
}
_UNLESS_STATED_HU = {
    **dict.fromkeys(("MAT_SPECIFIC", "MAT_FRACTIONAL", "MATERIAL"), "material"),
    **dict.fromkeys(("IODINE", "IODINE_MAP", "IODINE_DENSITY", "WATER", "CALCIUM", "URIC_ACID"), "material"),
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
    kind = str(image.get("RescaleType") or "")
    if not _HOUNSFIELD_TYPES.fullmatch(kind) or (kind == "US" and enhanced):
        return f"RescaleType {kind[:16]!r}"
    if word := _map_in(image, stated_hu=kind.upper().startswith("H")):
        return f"ImageType {word}"
    if kind == "US" and _text(image, "MultienergyCTAcquisition") == "YES":
        return "a multi-energy image of RescaleType 'US'"
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
    return found


def _map_in(image: Dataset, *, stated_hu: bool) -> str:
    values = image.get("ImageType") or ()
    maps = _MAPS if stated_hu else _MAPS | _UNLESS_STATED_HU
    for value in [values] if isinstance(values, str) else list(values)[2:]:
        words = re.sub("[^A-Z0-9]+", "_", str(value).upper()).strip("_")
        for word in (words, *words.split("_")):
            if word in maps:
                return f"{word} ({maps[word]})"
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
