"""One view of a DICOM-CT-PD series: its header, checked, and its line integrals."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from ctresample.data_tools.ct_pd import tags
from ctresample.data_tools.ct_pd.tags import numbers, text
from ctresample.data_tools.dicom.files import (
    DicomFile,
    SkippedFile,
    damage_as_dicom_error,
    open_dicom,
    quiet_pydicom,
)
from ctresample.errors import DicomError

_PLAIN = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian)


@dataclass(frozen=True)
class View:
    """What the header of a view says, in the terms of the format.

    Attributes:
        file: where it is.
        series_uid: what it belongs to.
        number: InstanceNumber, the order of the views.
        scanner: what all views of a series share: see `Scanner`.
        angle_rad: of the detector's focal centre, around the axis.
        height_mm: of the focal centre, along the axis.
        spot: shifts of the focal spot: angle in rad, radius and height in mm.
        owner: study and patient, each empty where the header does not say it; for no eyes.
    """

    file: DicomFile
    series_uid: str
    number: int
    scanner: Scanner
    angle_rad: float
    height_mm: float
    spot: tuple[float, float, float]
    owner: tuple[str, str] = field(default=("", ""), repr=False)


@dataclass(frozen=True)
class Scanner:
    """What does not change from view to view.

    Attributes:
        maker: Manufacturer.
        n_rows: rows of the detector.
        n_columns: its columns, the channels of the fan.
        transposed: whether channels are the rows of the stored array, as they nearly always are.
        column_pitch_mm: of arc, on the detector.
        row_pitch_mm: from row to row.
        radius_mm: from focal centre to axis.
        to_detector_mm: from focal centre to detector.
        centre: column and row, counted from 1, which the central ray meets.
        spot_mode: FFSNONE, FFSZ, FFSXY or FFSXYZ.
        kind: HELICAL, or another kind of scan.
        mu_water_per_mm: attenuation of water that HU refer to; None if it is not said.
        patient_position: such as FFS.
    """

    maker: str
    n_rows: int
    n_columns: int
    transposed: bool
    column_pitch_mm: float
    row_pitch_mm: float
    radius_mm: float
    to_detector_mm: float
    centre: tuple[float, float]
    spot_mode: str
    kind: str
    mu_water_per_mm: float | None
    patient_position: str


@quiet_pydicom()
def read_view(file: DicomFile) -> View:
    """The header of a view.

    Raises:
        SkippedFile: no DICOM file, or one of something else.
        DicomError: damaged, or without an element that the geometry needs; the message names file and element.
    """
    with damage_as_dicom_error(file):
        dataset = open_dicom(file, pixels=False)
        if tags.ANGLE not in dataset:
            raise SkippedFile("no projection (DICOM-CT-PD)")
        try:
            return _view(file, dataset)
        except DicomError as error:
            raise DicomError(f"{file}: {error}; export the series again") from error


@quiet_pydicom()
def read_rest(file: DicomFile) -> tuple[dict[str, Any], dict[str, str]]:
    """Of one view: what a derived image keeps of its header, as DICOM JSON; and facts to show, none of the patient."""
    with damage_as_dicom_error(file):
        dataset = open_dicom(file, pixels=False)
        facts = {
            "kV": str(dataset.get("KVP") or ""),
            "stated pitch": str(dataset.get("SpiralPitchFactor") or ""),
            "field of view": f"{dataset.get('DataCollectionDiameter') or ''}",
        }
        kept = Dataset()
        for element in dataset:
            # an image is no projection: what says how the pixels lie, and which instance it is, does not hold for it
            if element.tag.group in (0x0008, 0x0010, 0x0012, 0x0018, 0x0020) and element.VR != "UN":
                kept.add(element)
        for keyword in ("SOPInstanceUID", "SOPClassUID", "ImageType", "InstanceNumber", "SliceThickness"):
            kept.pop(keyword, None)
        return kept.to_json_dict(), facts


@quiet_pydicom()
def read_values(view: View) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Line integrals ``[row, channel]`` in the order of the detector, and the photons of each channel if said.

    Raises:
        DicomError: compressed, cut short, or rescaled by no number; the message names the file.
    """
    file, scanner = view.file, view.scanner
    try:
        with damage_as_dicom_error(file):
            dataset = open_dicom(file, pixels=True)
            if dataset.file_meta.TransferSyntaxUID not in _PLAIN:
                raise DicomError(f"{file}: the projection is compressed; expected plain values; decompress it first")
            if (dataset.get("BitsAllocated"), dataset.get("SamplesPerPixel", 1)) != (16, 1):
                raise DicomError(f"{file}: the projection has not 16 bits a value; export the series again")
            slope, intercept = (float(dataset.get(name, "nan")) for name in ("RescaleSlope", "RescaleIntercept"))
            if not (np.isfinite([slope, intercept]).all() and slope > 0):
                raise DicomError(f"{file}: RescaleSlope or RescaleIntercept is missing or no number; export it again")
            stored = bytes(dataset.get("PixelData") or b"")
            wanted = 2 * scanner.n_rows * scanner.n_columns
            if not wanted <= len(stored) <= wanted + 1:
                raise DicomError(f"{file}: holds {len(stored)} bytes of values; expected {wanted}; it is cut short")
            kind = "<i2" if dataset.get("PixelRepresentation") == 1 else "<u2"
            values = np.frombuffer(stored, kind, wanted // 2).astype(np.float32) * slope + intercept
            photons = numbers(dataset, tags.PHOTONS, None)
    except SkippedFile as reason:
        raise DicomError(f"{file} is {reason} any more; leave the files alone while they are read") from None
    if scanner.transposed:
        values = values.reshape(scanner.n_columns, scanner.n_rows).T
    else:
        values = values.reshape(scanner.n_rows, scanner.n_columns)
    if photons is not None and (len(photons) != scanner.n_columns or min(photons) <= 0):
        photons = None
    return values, None if photons is None else np.array(photons, np.float32)


def _view(file: DicomFile, dataset: Dataset) -> View:
    def one(tag: int, default: float | None = None) -> float:
        found = numbers(dataset, tag)
        if found is None and default is None:
            raise DicomError(f"{tags.NAMES[tag]} ({tag >> 16:04x},{tag & 0xFFFF:04x}) is missing")
        return found[0] if found is not None else float(default or 0)

    n_rows, n_columns = int(one(tags.N_ROWS)), int(one(tags.N_COLUMNS))
    stored = dataset.get("Rows"), dataset.get("Columns")
    if stored not in ((n_columns, n_rows), (n_rows, n_columns)):
        raise DicomError(
            f"the stored array is {stored[0]} x {stored[1]}; expected {n_columns} channels x {n_rows} rows"
        )
    if (shape := text(dataset, tags.SHAPE)) not in ("", "CYLINDRICAL"):
        raise DicomError(f"DetectorShape is {shape}; expected CYLINDRICAL, the only one that is read")
    if text(dataset, tags.LOG_DONE) == "NO":
        raise DicomError("LogFlag says NO: the values are no line integrals; expected them after the logarithm")
    number = str(dataset.get("InstanceNumber") or "")
    if not number.isdecimal():
        raise DicomError("InstanceNumber, which orders the views, is missing")
    centre = numbers(dataset, tags.CENTRE, 2)
    if centre is None:
        raise DicomError("DetectorCentralElement (7031,1033) is missing")
    water = numbers(dataset, tags.WATER)
    scanner = Scanner(
        maker=str(dataset.get("Manufacturer") or "unknown").strip()[:40],
        n_rows=n_rows,
        n_columns=n_columns,
        transposed=stored == (n_columns, n_rows),
        column_pitch_mm=one(tags.COLUMN_PITCH),
        row_pitch_mm=one(tags.ROW_PITCH),
        radius_mm=one(tags.RADIUS),
        to_detector_mm=one(tags.TO_DETECTOR),
        centre=(centre[0], centre[1]),
        spot_mode=text(dataset, tags.SPOT_MODE) or "FFSNONE",
        kind=text(dataset, tags.KIND) or "HELICAL",
        mu_water_per_mm=None if water is None else water[0],
        patient_position=str(dataset.get("PatientPosition") or ""),
    )
    return View(
        file=file,
        series_uid=str(dataset.get("SeriesInstanceUID") or ""),
        number=int(number),
        scanner=scanner,
        angle_rad=one(tags.ANGLE),
        height_mm=one(tags.HEIGHT),
        spot=(one(tags.SPOT_ANGLE, 0.0), one(tags.SPOT_RADIUS, 0.0), one(tags.SPOT_HEIGHT, 0.0)),
        owner=(str(dataset.get("StudyInstanceUID") or ""), str(dataset.get("PatientID") or "")),
    )
