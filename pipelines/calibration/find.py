"""The calibrations that come with a prior, and the one that fits a result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ctresample.errors import CalibrationError
from ctresample.learned.folders import BUNDLED
from ctresample.paths import StrPath
from ctresample.pipelines.calibration.calibration import Calibration

FOLDER = "calibration"
"""Of a prior's own folder, where its calibrations are looked for."""


def calibrations_of(prior: StrPath | None, on_note: Callable[[str], None] | None = None) -> list[Calibration]:
    """All of a learned model, by name or folder; those that cannot be read are told and left out."""
    if prior is None:
        return []
    found, folder = [], Path(prior) if Path(prior).is_dir() else BUNDLED / str(prior)
    for path in sorted((folder / FOLDER).glob("*.json")):
        try:
            found.append(Calibration.load(path))
        except CalibrationError as error:
            if on_note:
                on_note(str(error))
    return found


def that_of(path: Path, why_not: Callable[[Calibration], str | None]) -> Calibration:
    """The calibration of a file that was asked for by name.

    Raises:
        CalibrationError: it cannot be read, or does not fit.
    """
    calibration = Calibration.load(path)
    if (reason := why_not(calibration)) is not None:
        raise misfit(path, calibration, reason)
    return calibration


def misfit(path: Path, calibration: Calibration, reason: str) -> CalibrationError:
    """That a file is of other results."""
    return CalibrationError(
        f"{path} is of {calibration.words}, and {reason}; expected a calibration of the same prior, preset and kind of "
        "scan: make one with `ctresample calibrate`, or leave --calibration out"
    )


def fitting(
    calibrations: Sequence[Calibration], why_not: Callable[[Calibration], str | None]
) -> tuple[Calibration | None, str]:
    """The first that fits; or None, and why the nearest to fitting does not."""
    reasons = [(why_not(one), one) for one in calibrations]
    for reason, one in reasons:
        if reason is None:
            return one, ""
    if not reasons:
        return None, "there is no calibration for it; `ctresample calibrate` makes one"
    kinds = "; ".join(dict.fromkeys(one.words for _, one in reasons))
    return None, f"no calibration fits: {reasons[0][0]}" if len(
        reasons
    ) == 1 else f"none of its calibrations fits ({kinds})"
