"""The simulated scans that a denoiser learns to be conditioned on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from ctresample.choices import SliceBeam
from ctresample.errors import UsageError


@dataclass(frozen=True)
class ConditionSettings:
    """Which scans are drawn, and what is shown of them.

    Attributes:
        n_views: fewest and most views, in between drawn evenly on a logarithmic scale.
        beams: drawn from evenly.
        photons: fewest and most a ray, in between drawn evenly on a logarithmic scale.
        noiseless_share: share of the scans without noise.
        limited_share: share of the scans whose arc is too short to measure all lines.
        field_of_view_mm: smallest and largest side of a whole slice, in between drawn evenly.
        rounds: the condition is the image after 0 to so many rounds of network and data, as in `itnet`.
        dropout: share of the examples that are shown no condition, so that the denoiser also serves without; with 0,
            a prior that is fine-tuned keeps its own denoiser for that.
        noiseless_examples: share of the others that are shown the condition alone.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}  # a recipe with a misspelt entry is refused

    n_views: tuple[int, int] = (12, 90)
    beams: tuple[SliceBeam, ...] = ("parallel", "parallel", "fan", "fan-curved")
    photons: tuple[float, float] = (1e4, 1e6)
    noiseless_share: float = 0.1
    limited_share: float = 0.1
    field_of_view_mm: tuple[float, float] = (280.0, 480.0)
    rounds: int = 2
    dropout: float = 0.15
    noiseless_examples: float = 0.5

    def __post_init__(self) -> None:
        for name in ("n_views", "photons", "field_of_view_mm"):
            low, high = getattr(self, name)
            self._expect(name, 0 < low <= high < math.inf, "two numbers above 0, the smaller first")
        for name in ("noiseless_share", "limited_share", "dropout", "noiseless_examples"):
            self._expect(name, 0 <= getattr(self, name) <= 1, "a fraction")
        self._expect("beams", len(self.beams) > 0, "one or more")
        self._expect("rounds", self.rounds >= 0, "0 or more")
        self._expect("n_views", self.n_views[0] >= 2, "at least 2 views")

    def _expect(self, name: str, holds: bool, expected: str) -> None:
        if not holds:
            raise UsageError(f"training: condition.{name} is {getattr(self, name)!r}; expected {expected}")
