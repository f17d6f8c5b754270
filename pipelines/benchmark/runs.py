"""The competitors of a benchmark: methods with their presets or settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ctresample.choices import ZCoupling
from ctresample.errors import CTResampleError, UsageError
from ctresample.pipelines.reconstruction.coupling_strength import coupling_strength
from ctresample.pipelines.reconstruction.methods import METHODS, method_named
from ctresample.result import Labelled

FAILURES = (CTResampleError, ArithmeticError, RuntimeError, MemoryError)
"""What one competitor may fail with on a slice while the rest goes on; torch's errors are RuntimeErrors."""


@dataclass(frozen=True)
class Run(Labelled):
    """One competitor.

    Attributes:
        method: by name.
        preset: the named settings it runs with, if it has any.
        settings: in place of a preset's; ``preset`` then is the name that they go by.
        max_slices: take only so many slices, spread evenly over all; None for all.
        z_coupling: of the slices of a volume, see `ctresample.pipelines.reconstruction.z_coupling`; None where each
            slice is a case of its own.
    """

    method: str
    preset: str = ""
    settings: Any = None
    max_slices: int | None = None
    z_coupling: ZCoupling | None = None

    @property
    def cost(self) -> int:
        """Rough time of a slice, relative to the others: for the time estimate."""
        return METHODS[self.method].cost_of(self.preset)

    def load_settings(self) -> Any:
        """The settings it runs with; None where the method takes none.

        Each slice is a case of its own, not a neighbour in a volume: settings that give all slices the same noise
        (``coupled``) are made not to, or the errors of all slices would go up and down together.
        """
        settings = self.settings or METHODS[self.method].load_settings(self.preset)
        if settings is not None and self.z_coupling is None and getattr(settings, "coupled", False):
            return replace(settings, coupled=False)
        return settings

    def all_settings(self) -> dict[str, Any]:
        """Every setting by name, for the record."""
        settings = self.load_settings()
        return {} if settings is None else asdict(settings)

    def slices(self, n_slices: int) -> list[int]:
        """Which of so many slices it gets."""
        n = min(self.max_slices or n_slices, n_slices)
        return [(2 * k + 1) * n_slices // (2 * n) for k in range(n)]


def runs_of(
    methods: Sequence[str], presets: Sequence[str] = ("fast",), max_slices: Mapping[str, int] | None = None
) -> list[Run]:
    """A run for each method, and for one with presets a run for each preset.

    Args:
        methods: names.
        presets: of the method that has any.
        max_slices: for some of these methods or presets, how many slices they get.

    Raises:
        UsageError: an unknown name, or one in ``max_slices`` that does not run.
    """
    known = [name for method in METHODS.values() for name in method.presets]
    for name in presets:
        if name not in known:
            raise UsageError(f"preset is {name!r}; expected one of {', '.join(known)}")
    pairs = dict.fromkeys((m, p) for m in methods for p in (presets if method_named(m).has_presets else ("",)))
    limits = dict(max_slices or {})
    names = {name for pair in pairs for name in pair if name}
    for name in limits:
        if name not in names:
            raise UsageError(f"the number of slices of {name!r} is limited, but it does not run; leave it out")
    return [Run(m, p, max_slices=limits.get(p, limits.get(m))) for m, p in pairs]


def coupled_runs(runs: Sequence[Run], couplings: Sequence[ZCoupling]) -> list[Run]:
    """The runs on volumes, with each coupling along z; methods that know no neighbours run once.

    The first coupling goes by the method's own name; the others add theirs.

    Raises:
        UsageError: no such coupling.
    """
    made = []
    for run in runs:
        couples = METHODS[run.method].couples
        for number, coupling in enumerate(couplings if couples else ("none",)):
            coupling_strength(coupling)
            words = {"auto": "coupled", "none": "slice by slice"}.get(str(coupling), f"coupled by {coupling}")
            preset = ", ".join(filter(None, (run.preset, words))) if couples and number else run.preset
            settings = run.settings or METHODS[run.method].load_settings(run.preset)
            made.append(replace(run, preset=preset, settings=settings, z_coupling=coupling))
    return made


def reason_of(error: Exception) -> str:
    """Why a competitor failed, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
