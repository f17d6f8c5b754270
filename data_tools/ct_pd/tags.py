"""The private elements of DICOM-CT-PD, by tag: their creators differ from writer to writer."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
from pydicom import Dataset

from ctresample.errors import DicomError

SHAPE = 0x7029100B
COLUMN_PITCH, ROW_PITCH, N_ROWS, N_COLUMNS = 0x70291002, 0x70291006, 0x70291010, 0x70291011
ANGLE, HEIGHT, RADIUS, TO_DETECTOR, CENTRE = 0x70311001, 0x70311002, 0x70311003, 0x70311031, 0x70311033
SPOT_ANGLE, SPOT_HEIGHT, SPOT_RADIUS, SPOT_MODE = 0x7033100B, 0x7033100C, 0x7033100D, 0x7033100E
PHOTONS = 0x70331065
KIND = 0x70371009
LOG_DONE = 0x70391009
WATER = 0x70411001

NAMES = {
    SHAPE: "DetectorShape",
    COLUMN_PITCH: "DetectorElementTransverseSpacing",
    ROW_PITCH: "DetectorElementAxialSpacing",
    N_ROWS: "NumberofDetectorRows",
    N_COLUMNS: "NumberofDetectorColumns",
    ANGLE: "DetectorFocalCenterAngularPosition",
    HEIGHT: "DetectorFocalCenterAxialPosition",
    RADIUS: "DetectorFocalCenterRadialDistance",
    TO_DETECTOR: "ConstantRadialDistance",
    CENTRE: "DetectorCentralElement",
    SPOT_ANGLE: "SourceAngularPositionShift",
    SPOT_HEIGHT: "SourceAxialPositionShift",
    SPOT_RADIUS: "SourceRadialDistanceShift",
    SPOT_MODE: "FlyingFocalSpotMode",
    PHOTONS: "PhotonStatistics",
    KIND: "TypeofProjectionData",
    LOG_DONE: "LogFlag",
    WATER: "WaterAttenuationCoefficient",
}
"""As the dictionary of the format has them."""

_MANY = 1_000_000


def numbers(dataset: Dataset, tag: int, count: int | None = 1) -> tuple[float, ...] | None:
    """The values of an element of float32, whole numbers or decimal text; None where there is none.

    In implicit VR, and of a creator that pydicom does not know, they come as bytes.

    Args:
        dataset: of one file.
        tag: of the element.
        count: how many there must be; None for any number.

    Raises:
        DicomError: other values than that many finite numbers; the message names the element.
    """
    if tag not in dataset or dataset[tag].value in (None, b"", ""):
        return None
    value: Any = dataset[tag].value
    try:
        if isinstance(value, bytes):
            found = _from_bytes(value, tag)
        else:
            many = not isinstance(value, str) and hasattr(value, "__len__")
            found = tuple(float(one) for one in (value if many else [value]))
        if tag != WATER:  # of 1085.6 in single precision 1085.6 again
            found = tuple(float(str(np.float32(one))) for one in found)
    except (TypeError, ValueError, struct.error):
        found = ()
    if not found or (count is not None and len(found) != count) or not all(map(math.isfinite, found)):
        wanted = "finite numbers" if count is None else f"{count} finite number{'s'[: count > 1]}"
        raise DicomError(f"{NAMES[tag]} ({tag >> 16:04x},{tag & 0xFFFF:04x}) holds something else than {wanted}")
    return found


def text(dataset: Dataset, tag: int) -> str:
    """The value of an element of text, without padding; empty where there is none."""
    value = dataset[tag].value if tag in dataset else ""
    plain = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")
    return plain.strip(" \0").upper()[:40]


def _from_bytes(value: bytes, tag: int) -> tuple[float, ...]:
    if tag in (N_ROWS, N_COLUMNS):
        return struct.unpack("<H", value)
    if tag == WATER:
        return (float(value.decode("ascii").strip(" \0")),)
    if len(value) % 4 or len(value) > 4 * _MANY:
        return ()
    return struct.unpack(f"<{len(value) // 4}f", value)
