"""What keeps CT images from being one volume, each as its own error."""

from __future__ import annotations

from ctresample.errors import DicomError


class SeveralSeriesError(DicomError):
    """More than one stack of slices where one was asked for."""


class UnreadableImageError(DicomError):
    """A CT image whose header cannot be used.

    Attributes:
        series_uid: of the series that lacks it now; empty if unknown.
    """

    def __init__(self, message: str, series_uid: str) -> None:
        super().__init__(message)
        self.series_uid = series_uid

    def __reduce__(self) -> tuple[type[UnreadableImageError], tuple[str, str]]:
        return type(self), (str(self), self.series_uid)


class GapError(DicomError):
    """Slices that are missing, or not evenly spaced."""


class DuplicateError(DicomError):
    """Several images at one position, with different pixels."""


class TiltError(DicomError):
    """Slices that shift sideways from one to the next: a tilted gantry.

    Attributes:
        angle_deg: between the stack's axis and the normal of its slices, from the positions.
    """

    def __init__(self, message: str, angle_deg: float) -> None:
        super().__init__(message)
        self.angle_deg = angle_deg

    def __reduce__(self) -> tuple[type[TiltError], tuple[str, float]]:
        return type(self), (str(self), self.angle_deg)  # else it could not leave a worker process
