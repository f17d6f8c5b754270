"""Which image sampling starts from, where the one that the settings want does not serve."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from ctresample.geometry.arcs import is_limited
from ctresample.learned import LearnedModel
from ctresample.sinogram import Sinogram

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

S = TypeVar("S", bound="DataclassInstance | None")


LIMITED_LEVEL, LIMITED_STEPS = 0.2, 45
"""Where sampling of a limited angle begins, in parts of the schedule, and how many steps it takes at least."""


def with_start(settings: S, model: LearnedModel | None, sinogram: Sinogram | None, *, by_itself: bool) -> S:
    """Settings whose start "itnet" has become total variation where the prior's own rounds would not serve.

    They take a prior that is conditioned on scans, and a scan like those that it was trained on; and they know neither
    neighbours nor counts, which total variation does. Of a limited angle no start is near enough to the truth for the
    little noise that follows: sampling then begins with more of it.

    Args:
        settings: of any method; those that want another start, or none, stay as they are.
        model: the learned one.
        sinogram: the scan; None of measurements of which no more is known than their operator.
        by_itself: whether each slice is measured in line integrals and worked on by itself.
    """
    if settings is None or getattr(settings, "warm_start", None) != "itnet":
        return settings
    if sinogram is not None and is_limited(sinogram.geometry):
        given: Any = settings
        level, steps = max(LIMITED_LEVEL, given.start_level), max(LIMITED_STEPS, given.n_steps)
        return replace(settings, warm_start="tv", start_level=level, n_steps=steps)
    if by_itself and sinogram is not None and getattr(model, "is_conditioned", False):
        scans = getattr(getattr(model, "config", None), "condition_scans", None)
        if scans is None or scans.beyond(sinogram) is None:
            return settings
    return replace(settings, warm_start="tv")
