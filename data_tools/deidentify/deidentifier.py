"""De-identify headers in DICOM JSON, as volumes and sinograms carry them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pydicom.datadict import dictionary_VR, keyword_for_tag

from ctresample.data_tools.deidentify.basic_profile import Action, action_for
from ctresample.data_tools.deidentify.pseudonyms import Pseudonyms
from ctresample.errors import DicomError
from ctresample.sinogram import Sinogram
from ctresample.volume import Volume

if TYPE_CHECKING:
    from pydicom.sr.coding import Code

Header = Mapping[str, Any]

PROFILE = "DICOM PS3.15 Basic Application Level Confidentiality Profile"
UNDATED = datetime(1900, 1, 1)
"""The date for what is made of de-identified data, or the day of a scan could be told from that of its processing."""

NOT_HANDLED = (
    "text burned into the pixels",
    "faces and other anatomy that a person can be recognised by",
    "words in the attributes that are kept (codes, kernel, body part and so on)",
)
_DUMMIES: dict[str, Any] = {
    "AS": "000Y",
    "DA": "19000101",
    "DT": "19000101000000",
    "TM": "000000",
    "PN": {"Alphabetic": "Removed^Removed"},
    "SQ": {},
    "UR": "urn:removed",
    **dict.fromkeys(("AE", "CS", "LO", "LT", "SH", "ST", "UC", "UT"), "REMOVED"),
}
_DUMMY_BYTES = "AAA="  # two zeros in base 64


class Deidentifier:
    """Applies the profile, with one key for all that it is given.

    Equal originals get equal pseudonyms under one key, in whatever series, study or run they are met, so that slices
    stay in their series, series in their study and studies with their patient. `report` sums up everything done.

    Args:
        key: secret, at least 16 bytes; from `read_or_make_key`, or `new_key` where nothing shall be linked later.
        retain_device: keep what names the scanner: maker, model, software, serial number, station.
    """

    def __init__(self, key: bytes, *, retain_device: bool = False) -> None:
        self._pseudonyms, self._retain_device = Pseudonyms(key), retain_device
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._n_headers = 0

    def volume(self, volume: Volume) -> Volume:
        """The same values and place with de-identified headers."""
        return replace(volume, headers=tuple(map(self.header, volume.headers)))

    def sinogram(self, sinogram: Sinogram) -> Sinogram:
        """The same scan with de-identified headers; its origin, which is free text, says only that it is gone."""
        headers = tuple(map(self.header, sinogram.headers))
        return replace(sinogram, headers=headers, origin="removed by de-identification")

    def header(self, header: Header) -> dict[str, Any]:
        """One de-identified header.

        Args:
            header: DICOM JSON; bulk and unknown elements are left out whatever they are.

        Raises:
            DicomError: it is no DICOM JSON.
        """
        try:
            kept = self._elements(header, nested=False) | self._identity(header) | _statement(self._retain_device)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DicomError(
                f"the header of a slice is no DICOM JSON ({type(error).__name__}); read the series anew"
            ) from error
        self._n_headers += 1
        return dict(sorted(kept.items()))

    def report(self) -> dict[str, Any]:
        """What was done so far, JSON-able: attributes by name with action and count, never a value."""
        return {
            "profile": PROFILE,
            "headers": self._n_headers,
            "attributes": [
                {"tag": tag, "name": name, "action": action, "count": count}
                for (tag, name, action), count in sorted(self._counts.items())
            ],
            "not_handled": list(NOT_HANDLED),
        }

    def _identity(self, header: Header) -> dict[str, Any]:
        """The dummies by which archives still tell patients and studies apart."""
        study = self._pseudonyms.uid(_first(header, "0020000D"))
        number, issuer = _first(header, "00100020") or study, _first(header, "00100021")
        patient = self._pseudonyms.name("patient", " of ".join(filter(None, (number, issuer))))
        return {
            "00080020": _element("DA", _DUMMIES["DA"]),
            "00080030": _element("TM", _DUMMIES["TM"]),
            "00100010": _element("PN", {"Alphabetic": f"Anonymous^{patient}"}),
            "00100020": _element("LO", patient),
            "00200010": _element("SH", self._pseudonyms.name("study", study)[:16]),
        }

    def _elements(self, elements: Header, *, nested: bool) -> dict[str, Any]:
        kept = {}
        for tag, entry in elements.items():
            tag = tag.upper()
            action = action_for(tag, nested=nested, retain_device=self._retain_device)
            new = self._applied(action, tag, entry)
            if new is None:
                action = "removed"
            else:
                kept[tag] = new
            if action != "kept" and new != entry:  # UIDs that DICOM defines stay as they are
                self._count(tag, action)
        return kept

    def _applied(self, action: Action, tag: str, entry: Header) -> dict[str, Any] | None:
        """The element that takes another's place; None for none."""
        if action == "removed":
            return None
        vr = dictionary_VR(int(tag, 16))
        if action == "emptied":
            return {"vr": vr}
        if action == "replaced by a dummy" and vr != "UI":
            if vr in ("OB", "UN"):
                return {"vr": vr, "InlineBinary": _DUMMY_BYTES}
            return _element(vr, _DUMMIES[vr])
        values = entry.get("Value") or []
        if vr == "SQ":
            return _element("SQ", *(self._elements(item, nested=True) for item in values))
        if not all(isinstance(value, str | int | float | None) for value in values) or "InlineBinary" in entry:
            return None  # not what the attribute is meant to be
        if vr == "UI" and action == "kept":
            return _element("UI", *map(str, values))
        if vr == "UI":
            return _element("UI", *(self._pseudonyms.uid(str(value)) for value in values if value))
        # numbers in words, too, would be a way to say anything
        if vr in ("DS", "IS") and not all(isinstance(value, int | float | None) for value in values):
            return None
        return _element(str(entry["vr"]), *values)

    def _count(self, tag: str, action: Action) -> None:
        if int(tag[:4], 16) % 2:
            key = ("odd groups", "private elements")
        else:
            key = (f"({tag[:4]},{tag[4:]})", keyword_for_tag(int(tag, 16)) or "unknown")
        self._counts[*key, action] += 1


def _element(vr: str, *values: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}


def _first(header: Header, tag: str) -> str:
    values = header.get(tag, {}).get("Value") or [""]
    return str(values[0] or "").strip()


def _statement(retain_device: bool) -> dict[str, Any]:
    """What a header says about its own de-identification."""
    from pydicom.sr.codedict import codes  # here, for it is slow to load

    done = [_code(codes.DCM.BasicApplicationConfidentialityProfile)]
    done += [_code(codes.DCM.RetainDeviceIdentityOption)] * retain_device
    return {
        "00120062": _element("CS", "YES"),
        "00120063": _element("LO", PROFILE, f"ctresample {version('ctresample')}"),
        "00120064": _element("SQ", *done),
        "00280303": _element("CS", "REMOVED"),  # longitudinal temporal information
    }


def _code(known: Code) -> dict[str, Any]:
    return {
        "00080100": _element("SH", known.value),
        "00080102": _element("SH", known.scheme_designator),
        "00080104": _element("LO", known.meaning),
    }
