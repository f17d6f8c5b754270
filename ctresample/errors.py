"""One exception family: each message names the thing, what was found, what was expected and the fix."""

from __future__ import annotations


class CTResampleError(Exception):
    """Base of every error a user can cause; the command line prints it as one line.

    Attributes:
        exit_code: process exit status, 1 (the work failed) or 2 (wrong usage).
    """

    exit_code = 1


class UsageError(CTResampleError):
    """An argument is wrong in itself (views = 0, an unknown method)."""

    exit_code = 2


class GeometryError(CTResampleError):
    """A scan geometry or image grid that cannot be."""


class DicomError(CTResampleError):
    """A DICOM file or series that cannot be read as one CT volume."""


class VolumeFileError(CTResampleError):
    """A NIfTI, NRRD or MetaImage file that cannot be read as one CT volume."""


class DatasetError(CTResampleError):
    """A set of training shards that is incomplete, damaged or cannot be made from the images given."""


class SinogramError(CTResampleError):
    """A sinogram that is incomplete, not finite or does not fit its geometry."""


class PriorError(CTResampleError):
    """A prior folder that is incomplete, or does not fit the data."""


class CalibrationError(CTResampleError):
    """A calibration that cannot be made of what is given, cannot be read, or is of other results than these."""


class ArchiveError(CTResampleError):
    """An image archive (PACS) that is not described, cannot be reached, refuses, or breaks off."""


class DeviceError(CTResampleError):
    """A compute device that was asked for and is not there."""


class OutputError(CTResampleError):
    """An output place that cannot be written."""


class TakenError(OutputError):
    """There is something where a result should go."""


class Stopped(CTResampleError):
    """Work that the user interrupted and that can go on."""

    exit_code = 130  # 128 + SIGINT, as shells count
