"""What a calibration says of a reconstruction: intervals, bounds of its quality, and whether it is like any other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctresample.metrics import DATA_RANGE_HU
from ctresample.pipelines.calibration.calibration import BOUND, Calibration
from ctresample.pipelines.calibration.make import rms_by_number
from ctresample.pipelines.calibration.tissues import TISSUES, tissue_numbers
from ctresample.pipelines.calibration.typical import Typical

UNLIKE = "unlike anything the prior has seen"


@dataclass(frozen=True, eq=False)
class Interval:
    """Where the truth of each pixel lies, at a coverage.

    Attributes:
        coverage: in per cent.
        half_width_hu: ``[slice, y, x]``: the truth is so close to the image.
        units: by tissue, "10 patients" or "32 slices": what the coverage is a mean over.
        not_calibrated: tissues that the calibration had too little of; they have the largest factor of the others.
    """

    coverage: int
    half_width_hu: NDArray[np.float32]
    units: Mapping[str, str]
    not_calibrated: tuple[str, ...] = ()

    @property
    def mean_hu(self) -> float:
        """Mean half-width over all pixels."""
        return float(self.half_width_hu.mean())


@dataclass(frozen=True, kw_only=True, eq=False)
class Trust:
    """What is known of a result without its truth.

    Attributes:
        calibration: that fits; None where none does.
        why_not: where none does.
        expected_rmse_hu: of each slice; empty without a calibration.
        rmse_at_most_hu: of each slice, at 95 %; empty without a calibration of enough slices.
        scores: of each slice, see `Typical`; empty without a latent prior or a calibration of it.
        limit: of the score.
        interval: where asked for.
        no_interval: why there is none, where asked for.
    """

    calibration: Calibration | None = None
    why_not: str = ""
    expected_rmse_hu: tuple[float, ...] = ()
    rmse_at_most_hu: tuple[float, ...] = ()
    scores: tuple[float, ...] = ()
    limit: float = math.inf
    interval: Interval | None = None
    no_interval: str = ""

    @property
    def psnr_at_least_db(self) -> tuple[float, ...]:
        """Of each slice, at 95 %, over the project's data range."""
        return tuple(20 * math.log10(DATA_RANGE_HU / rmse) for rmse in self.rmse_at_most_hu)

    @property
    def unlike(self) -> tuple[int, ...]:
        """Numbers, from 0, of the slices that are like none of the calibration."""
        return tuple(k for k, score in enumerate(self.scores) if score > self.limit)

    @property
    def warning(self) -> str | None:
        """That slices are unlike any; None where none is."""
        if not self.unlike:
            return None
        n, worst, one = len(self.scores), int(np.argmax(self.scores)), len(self.unlike) == 1
        which = "the image is" if n == 1 else f"{len(self.unlike)} of {n} slices {'is' if one else 'are'}"
        return (
            f"{which} {UNLIKE} (slice {worst + 1}: score {self.scores[worst]:.1f}, of ordinary slices 95 % stay below "
            f"{self.limit:.1f}): what it fills in may be wrong in any way; compare with tv, which has no prior"
        )

    @property
    def bounds_in_words(self) -> str | None:
        """The bounds in a line; None without a calibration."""
        if self.calibration is None or not self.rmse_at_most_hu or self.calibration.rmse is None:
            return None
        n, rmse, psnr = len(self.rmse_at_most_hu), self.rmse_at_most_hu, self.psnr_at_least_db
        worst = int(np.argmax(rmse))
        of_all = "" if n == 1 else f" (mean over slices; slice {worst + 1}: {psnr[worst]:.1f} dB, {rmse[worst]:.0f} HU)"
        unit = self.calibration.rmse
        return (
            f"without a truth, at {BOUND} %: PSNR at least {np.mean(psnr):.1f} dB over {DATA_RANGE_HU:g} HU, RMSE at "
            f"most {np.mean(rmse):.0f} HU{of_all}; expected {np.mean(self.expected_rmse_hu):.0f} HU; calibrated on "
            f"{unit.n} {unit.unit} of {self.calibration.n_patients} patients"
        )

    def record(self) -> dict[str, Any]:
        """For ``run.json``."""
        calibration, interval = self.calibration, self.interval
        return {
            "calibration": None if calibration is None else calibration.words,
            "why_no_calibration": self.why_not or None,
            "calibration_patients": None if calibration is None else calibration.n_patients,
            "calibration_slices": None if calibration is None else calibration.n_slices,
            "bounds_at_percent": BOUND if self.rmse_at_most_hu else None,
            "psnr_at_least_db": list(self.psnr_at_least_db),
            "rmse_at_most_hu": list(self.rmse_at_most_hu),
            "expected_rmse_hu": list(self.expected_rmse_hu),
            "unlike_the_prior": {
                "scores": list(self.scores),
                "limit": self.limit if self.scores else None,
                "slices": [k + 1 for k in self.unlike],
                "warning": self.warning,
            },
            "interval": None
            if interval is None
            else {
                "percent": interval.coverage,
                "units": dict(interval.units),
                "tissues_not_calibrated": list(interval.not_calibrated),
                "mean_half_width_hu": interval.mean_hu,
            },
        }


def interval_of(
    calibration: Calibration, image_hu: NDArray[np.float32], expected_hu: NDArray[np.float32], coverage: int
) -> Interval:
    """The interval of each pixel, from the factor of its tissue.

    Args:
        calibration: of such results.
        image_hu: ``[slice, y, x]``.
        expected_hu: from `ctresample.pipelines.calibration.expected_error.expected_error_hu`.
        coverage: in per cent, one that the calibration has.
    """
    factors = {name: one.factors[coverage] for name, one in calibration.tissues.items() if coverage in one.factors}
    largest = max(one.value for one in factors.values())
    table = np.array([factors[name].value if name in factors else largest for name in TISSUES], np.float32)
    numbers = tissue_numbers(image_hu)
    there = np.bincount(numbers.ravel(), minlength=len(TISSUES))
    missing = tuple(name for name, count in zip(TISSUES, there, strict=True) if count and name not in factors)
    units = {name: f"{one.n} {one.unit}" for name, one in factors.items()}
    return Interval(coverage, table[numbers] * expected_hu, units, missing)


def expected_rmse_hu(
    calibration: Calibration, image_hu: NDArray[np.float32], expected_hu: NDArray[np.float32]
) -> tuple[float, ...]:
    """The root mean square error of each slice that follows from expected errors."""
    rms = rms_by_number(dict(calibration.tissues)).astype(np.float32)[tissue_numbers(image_hu)]
    return tuple(np.sqrt(np.mean((rms * expected_hu).astype(np.float64) ** 2, axis=(1, 2))).tolist())


def strictest_scores(typicals: Sequence[Typical], figures: NDArray[np.float64]) -> tuple[tuple[float, ...], float]:
    """Scores of slices by the calibration that they are furthest from, in units of its limit; and that limit."""
    shares = [one.scores(figures) / one.limit for one in typicals]
    strictest = int(np.argmax([share.max() for share in shares]))
    return tuple(typicals[strictest].scores(figures).tolist()), typicals[strictest].limit
