"""The lines of the tables of a lesion study."""

from __future__ import annotations

from dataclasses import dataclass

from ctresample.pipelines.lesions.judge import FLAGGED
from ctresample.result import Labelled


@dataclass(frozen=True, kw_only=True)
class _OfSlice(Labelled):
    """One slice under one method.

    Attributes:
        condition: name of the scan.
        views: of it.
        slice: name of the slice, without patient data.
        patient: a number, the same for slices of one patient.
        method: the solver.
        preset: its named settings.
    """

    condition: str
    views: int
    slice: str
    patient: int
    method: str
    preset: str


@dataclass(frozen=True, kw_only=True)
class LesionRow(_OfSlice):
    """One lesion under one method: a line of the table.

    Attributes:
        diameter_mm: of the lesion.
        contrast_hu: of it.
        row: of its middle, in pixels of the reconstruction.
        column: the same.
        recovered: share of its contrast in the image, see `ctresample.pipelines.lesions.judge.recovered`.
        erased: whether that is less than `ERASED`.
        misfit_sd: how strongly the data ask for it beyond the image, see `ctresample.observers.misfit_score`; in
            standard deviations of the image's own misfit, where that is more than noise.
        flagged: whether that is `FLAGGED` and more.
        detectability: of the ideal observer in the sinogram: how strongly the data tell of it at all.
        half_width_hu: of the 90 % interval, mean over its pixels; NaN where no calibration fits the image.
    """

    diameter_mm: float
    contrast_hu: float
    row: int
    column: int
    recovered: float
    erased: bool
    misfit_sd: float
    flagged: bool
    detectability: float
    half_width_hu: float = float("nan")

    @property
    def though_told(self) -> bool:
        """Whether it is erased, although the data tell of it: its detectability is `FLAGGED` and more."""
        return self.erased and self.detectability >= FLAGGED

    @property
    def in_silence(self) -> bool:
        """Whether it is erased, and the misfit to the data says nothing of it."""
        return self.erased and not self.flagged

    @property
    def unflagged(self) -> bool:
        """Whether it is erased in silence, and the interval does not reach what is missing of it either."""
        return self.in_silence and not self.half_width_hu >= (1 - self.recovered) * abs(self.contrast_hu)


@dataclass(frozen=True, kw_only=True)
class SliceRow(_OfSlice):
    """One slice without lesions under one method.

    Attributes:
        false_lesions: places that look like lesions, or like missing ones, and are none.
        failure: why the method gave no images of this slice; empty where it did.
    """

    false_lesions: float = float("nan")
    failure: str = ""
