"""What a benchmark compares: methods with their presets, and the scan they all get."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ctresample.errors import UsageError
from ctresample.pipelines.methods import METHODS, method_named
from ctresample.pipelines.scan_geometry import SliceBeam


@dataclass(frozen=True)
class Run:
    """One competitor: a method, and the preset it runs with, if it has any."""

    method: str
    preset: str = ""

    @property
    def label(self) -> str:
        """For pictures and progress."""
        return f"{self.method} {self.preset}".strip()

    @property
    def cost(self) -> int:
        """Rough time of a slice, relative to the others: for the time estimate."""
        return METHODS[self.method].cost_of(self.preset)


@dataclass(frozen=True, kw_only=True)
class Scan:
    """How the slices are scanned; see `simulate`."""

    size: int = 256
    beam: SliceBeam = "parallel"
    photons: float | None = None
    electronic_noise: float = 0.0

    @property
    def noise(self) -> str:
        """The dose in words."""
        if self.photons is None:
            return "none"
        return f"{self.photons:,.6g} photons a ray, electronic noise {self.electronic_noise:g} photons"


def runs_of(methods: Sequence[str], presets: Sequence[str] = ("fast",)) -> list[Run]:
    """A run for each method, and for one with presets a run for each preset; `UsageError` on an unknown name."""
    known = [name for method in METHODS.values() for name in method.presets]
    for name in presets:
        if name not in known:
            raise UsageError(f"preset is {name!r}; expected one of {', '.join(known)}")
    runs = (Run(m, p) for m in methods for p in (presets if method_named(m).has_presets else ("",)))
    return list(dict.fromkeys(runs))
