"""How a derived image came about, and the DICOM elements that say so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import CTImageStorage

from ctresample.data_tools.dicom.frames import MULTI_FRAME
from ctresample.data_tools.dicom_export.source import is_valid
from ctresample.errors import UsageError

TOOLKIT = "ctresample"
_SCANNER, _PROCESSOR = codes.DCM.AcquisitionEquipment, codes.DCM.ProcessingEquipment
_LONGEST_TEXT = 1024  # of the value representation ST


@dataclass(frozen=True)
class Provenance:
    """What made a derived series; with the source it decides the UIDs, so that equal runs give equal UIDs.

    Attributes:
        software_version: of the toolkit.
        method: for people, such as ``"ReSample fast, 25 views"``.
        settings: everything that shapes the result, JSON-able.
        weights_sha256: hash of the prior's weights, if one was used.
        seed: of the random numbers, if there were any.
        created: when; None for the moment of writing. No part of the UIDs.
    """

    software_version: str
    method: str
    settings: Mapping[str, object] = field(default_factory=dict)
    weights_sha256: str | None = None
    seed: int | None = None
    created: datetime | None = None

    def fingerprint(self) -> str:
        """The same text for the same run, whenever it happens."""
        return _to_json([self.software_version, self.method, dict(self.settings), self.weights_sha256, self.seed])

    def description(self) -> str:
        """DerivationDescription: the method and its settings."""
        whole = f"{self.method}; settings {_to_json(dict(self.settings))}"
        if len(whole) <= _LONGEST_TEXT:
            return whole
        return f"{whole[: _LONGEST_TEXT - 20]} ... (shortened)"


def _to_json(value: object) -> str:
    try:
        return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"provenance settings are not JSON: {error}; expected numbers, texts, lists and dicts"
        ) from None


def code(known: Code) -> list[Dataset]:
    """A code sequence of one code."""
    item = Dataset()
    item.CodeValue = known.value
    item.CodingSchemeDesignator = known.scheme_designator
    item.CodeMeaning = known.meaning
    return [item]


def source_image(source: Dataset, same_pixels: bool) -> list[Dataset]:
    """SourceImageSequence for one source slice.

    ``same_pixels`` says whether pixel (row, column) of both images lies at one place: where the result has
    another matrix or field of view, coordinates of the source's annotations do not apply to it.
    """
    item = _instance(source)
    # the reader's mark of a frame, see `Frames`; classes of one frame may not name any
    if (frame := source.get("ReferencedFrameNumber")) and item.ReferencedSOPClassUID in MULTI_FRAME:
        item.ReferencedFrameNumber = frame
    item.SpatialLocationsPreserved = "YES" if same_pixels else "NO"
    item.PurposeOfReferenceCodeSequence = code(codes.DCM.SourceImageForImageProcessingOperation)
    return [item]


def referenced_series(source: Dataset) -> list[Dataset]:
    """ReferencedSeriesSequence for one source slice."""
    item = Dataset()
    item.SeriesInstanceUID = source.SeriesInstanceUID
    item.ReferencedInstanceSequence = [_instance(source)]
    return [item]


def _instance(source: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = source.get("SOPClassUID") or CTImageStorage
    item.ReferencedSOPInstanceUID = source.SOPInstanceUID
    return item


def contributing_equipment(source: Dataset, provenance: Provenance, created: datetime) -> list[Dataset]:
    """The scanner, where the source names it, whatever else has worked on the source, and this toolkit."""
    items = [_equipment(item) for item in source.get("ContributingEquipmentSequence") or ()]
    items = [item for item in items if "Manufacturer" in item and "PurposeOfReferenceCodeSequence" in item]
    scanner = _equipment(source)
    if scanner.get("Manufacturer", TOOLKIT) != TOOLKIT and not any(map(_is_scanner, items)):
        scanner.PurposeOfReferenceCodeSequence = code(_SCANNER)
        items.insert(0, scanner)
    toolkit = Dataset()
    toolkit.PurposeOfReferenceCodeSequence = code(_PROCESSOR)
    toolkit.Manufacturer = toolkit.ManufacturerModelName = TOOLKIT
    toolkit.SoftwareVersions = provenance.software_version
    toolkit.ContributionDateTime = created.strftime("%Y%m%d%H%M%S.%f%z")
    toolkit.ContributionDescription = (
        f"{provenance.method}; weights sha256 {provenance.weights_sha256 or 'none'}; seed {provenance.seed}"
    )[:_LONGEST_TEXT]
    return [*items, toolkit]


def _equipment(described: Dataset) -> Dataset:
    """What a header, or an item of another's sequence, says of the equipment."""
    item = Dataset()
    for keyword in ("Manufacturer", "ManufacturerModelName", "SoftwareVersions"):
        if is_valid(described, keyword):
            item[keyword] = described[keyword]
    purposes = {str(purpose.get("CodeValue")) for purpose in described.get("PurposeOfReferenceCodeSequence") or ()}
    for known in (_SCANNER, _PROCESSOR):
        if known.value in purposes:
            item.PurposeOfReferenceCodeSequence = code(known)
            for keyword in ("ContributionDateTime", "ContributionDescription"):
                if is_valid(described, keyword):
                    item[keyword] = described[keyword]
    return item


def _is_scanner(item: Dataset) -> bool:
    return bool(item.PurposeOfReferenceCodeSequence[0].CodeValue == _SCANNER.value)
