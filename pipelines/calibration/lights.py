"""The traffic light of a result: what a reader should know before looking, each with the number behind it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from ctresample.pipelines.calibration.calibration import BOUND
from ctresample.pipelines.calibration.trust import UNLIKE, Trust
from ctresample.result import Reconstruction

Colour = Literal["green", "yellow", "red"]
_ORDER: tuple[Colour, ...] = ("green", "yellow", "red")

FITS, MISSES = 1.5, 3.0
"""Data residual, over that of the noise, up to which an image explains the data; and from which it contradicts them."""

OVERFITS = 0.6
"""Below, it explains noise."""

FAINT_HU, ORGANS_HU = 20.0, 75.0
"""RMSE up to which soft tissues that differ little (liver and lesion, 20 to 40 HU) can be told apart on average; and
from which not even organs and fat can, 150 HU apart."""


@dataclass(frozen=True)
class Light:
    """One question about a result.

    Attributes:
        question: in a physician's words.
        colour: of the answer.
        answer: in words.
        numbers: behind it.
    """

    question: str
    colour: Colour
    answer: str
    numbers: str


def lights_of(result: Reconstruction, trust: Trust) -> tuple[Light, ...]:
    """The questions with their answers; `overall` sums them up."""
    return (_data(result), _prior(result, trust), _calibrated(trust), _quality(trust))


def overall(lights: tuple[Light, ...]) -> Colour:
    """The worst of all."""
    return max((one.colour for one in lights), key=_ORDER.index)


def record_of(trust: Trust, lights: tuple[Light, ...]) -> dict[str, Any]:
    """Both, for ``run.json``."""
    return {"light": overall(lights), "lights": [asdict(one) for one in lights], **trust.record()}


def _data(result: Reconstruction) -> Light:
    question = "Do image and measurement agree?"
    worst = max(result.residual_ratio)
    numbers = (
        f"data residual {sum(result.residual_ratio) / len(result.residual_ratio):.2f} of what the noise predicts, "
        f"worst slice {worst:.2f}"
    )
    if worst > MISSES:
        return Light(question, "red", "No: it contradicts the data.", numbers)
    if result.doubts:
        return Light(question, "yellow", "Doubtful: see what is said of the scan above.", numbers)
    if worst > FITS:
        return Light(question, "yellow", "Not quite: something in the data is not explained.", numbers)
    if min(result.residual_ratio) < OVERFITS:
        return Light(question, "yellow", "More than it should: it explains noise, too.", numbers)
    return Light(question, "green", "Yes, as well as the noise allows.", numbers)


def _prior(result: Reconstruction, trust: Trust) -> Light:
    question = "Has the prior seen the like?"
    if result.model is None:
        return Light(question, "green", "There is none: nothing here was learned from other patients.", result.method)
    if not trust.scores:
        return Light(question, "yellow", "Not known.", "the model has no calibration to compare with")
    numbers = f"score up to {max(trust.scores):.1f}; of ordinary slices 95 % stay below {trust.limit:.1f}"
    if trust.unlike:
        n = len(trust.unlike)
        return Light(question, "red", f"No: {n} slice{'s are' if n > 1 else ' is'} {UNLIKE}.", numbers)
    return Light(question, "green", "Yes: to its networks the image is like those it was calibrated on.", numbers)


def _calibrated(trust: Trust) -> Light:
    question = "Are errors of such scans known?"
    found = trust.calibration
    if found is None:
        return Light(
            question, "yellow", "No: no statement about errors is backed by scans with a truth.", trust.why_not
        )
    numbers = f"{found.n_slices} slices of {found.n_patients} patients: {found.words}"
    return Light(question, "green", "Yes: this kind of scan was calibrated on patients with a known truth.", numbers)


def _quality(trust: Trust) -> Light:
    question = "How far may it be off?"
    if not trust.rmse_at_most_hu:
        return Light(question, "yellow", "Not known.", "no calibration of enough slices")
    worst = max(trust.rmse_at_most_hu)
    numbers = (
        f"at {BOUND} %: RMSE at most {worst:.0f} HU, PSNR at least {min(trust.psnr_at_least_db):.1f} dB (worst slice)"
    )
    if trust.interval is not None:
        numbers += f"; {trust.interval.coverage} % intervals are ± {trust.interval.mean_hu:.0f} HU wide on average"
    if worst > ORGANS_HU:
        return Light(question, "red", "Far: soft tissues cannot be told apart by their HU.", numbers)
    if worst > FAINT_HU:
        return Light(question, "yellow", "Organs can be told apart, faint lesions cannot be relied on.", numbers)
    return Light(question, "green", "Little, on average; single places may be worse.", numbers)
