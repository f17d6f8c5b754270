"""How strongly the slices of a scan help each other, and which of them are neighbours."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ctresample.choices import ZCoupling
from ctresample.errors import UsageError
from ctresample.pipelines.reconstruction.coupling_strength import coupling_strength
from ctresample.pipelines.reconstruction.methods import METHODS, Method
from ctresample.sinogram import Sinogram

DISTANCE_MM = 25.0
"""Over which the errors of slices that look alike cease to be alike. Chosen, as is `FADE_HU`, on two validation volumes
of 1.25 and 3 mm."""

FADE_HU = 200.0
"""Difference of neighbours at which they are half as much alike: the wall of a vessel that runs across is no error."""

Z_WEIGHT = 1.5
"""Of a difference along z in total variation and the like, over that of one along rows or columns of equal slope. On
the same two volumes isotropic total variation gains less (by 0.1 to 0.6 dB) and twice as much flattens what lies along
z, so that neighbours differ half as much as they should."""

THICK_MM = 5.0
"""Slices at such a distance and more are left to themselves unless asked for."""

ALIKE_MM = 2.0
"""The same for methods that sample, of slices that are seen from the same angles: they have a better start by
themselves. On two validation volumes `fast` gains 0.2 dB by coupling at 1.25 mm and loses 0.4 at 3 mm."""

_EVEN = 0.01
"""Share of the step by which distances may differ and still be even."""


@dataclass(frozen=True)
class Coupling:
    """What a scan's slices do for each other.

    Attributes:
        strength: of the coupling, 1 being what was found best; 0 for none.
        why: why there is none, or how far apart the slices are, in words.
        step_mm: from a slice to the next.
        runs: slices in a row at even steps, which are coupled among themselves and with no others: first and the one
            after the last.
        is_staggered: whether neighbours are seen from different angles.
    """

    strength: float
    why: str
    step_mm: float = 0.0
    runs: tuple[tuple[int, int], ...] = ()
    is_staggered: bool = False

    @property
    def correlation(self) -> float:
        """Of the errors of neighbours that look alike; 0 where they are seen from the same angles.

        Then none has seen what another lacks, and on validation slices a step with correlated errors loses 0.2 dB.
        """
        if not (self.strength and self.is_staggered):
            return 0.0
        return math.exp(-self.step_mm / (DISTANCE_MM * self.strength))

    def z_spacing(self, pixel_size_mm: float) -> float:
        """The distance of slices, relative to the columns, that total variation is to reckon with."""
        return self.step_mm / pixel_size_mm / (Z_WEIGHT * self.strength)

    def facts(self) -> dict[str, object]:
        """For ``run.json``."""
        return {"strength": self.strength, "why": self.why}


def coupling_of(asked: ZCoupling, method: Method, sinogram: Sinogram) -> Coupling:
    """The coupling of a scan's slices, or of a cone beam's volume, for a method.

    Args:
        asked: "auto", "none", or how strong, 1 being what "auto" takes where it helps.
        method: of reconstruction.
        sinogram: what is to be reconstructed.

    Raises:
        UsageError: a number where there is nothing to couple, or no such choice.
    """
    wanted = coupling_strength(asked)
    if wanted == 0:
        return Coupling(0.0, "not asked for")
    reason = _why_none(method, sinogram)
    step_mm = float(np.linalg.norm(sinogram.affine[:3, 2]))
    if reason is None and asked == "auto" and not sinogram.geometry.is_volume:
        if step_mm >= THICK_MM:
            reason = f"slices are {step_mm:.3g} mm apart, too far to help each other"
        elif step_mm >= ALIKE_MM and method.way == "sampled" and sinogram.angle_shifts_rad is None:
            reason = (
                f"slices {step_mm:.3g} mm apart, seen from the same angles, tell {method.name} nothing of each other"
            )
    if reason is not None:
        if asked == "auto":
            return Coupling(0.0, reason)
        raise UsageError(f"z_coupling is {wanted:g}, but {reason}; use auto or none")
    runs = _runs(sinogram, step_mm)
    n_other = len(runs) - 1
    but = f", but for {n_other} step{'s'[: n_other > 1]}, over which nothing is coupled" if n_other else ""
    return Coupling(
        wanted,
        f"slices are {step_mm:.3g} mm apart{but}",
        step_mm,
        runs,
        sinogram.angle_shifts_rad is not None,
    )


def _why_none(method: Method, sinogram: Sinogram) -> str | None:
    if not method.couples:
        able = ", ".join(name for name, one in METHODS.items() if one.couples)
        return f"method {method.name} knows no neighbours (those that do are {able})"
    if sinogram.n_slices == 1:
        return "there is one slice, which has no neighbours"
    if not sinogram.geometry.is_volume and getattr(sinogram.grid, "aspect", 1.0) != 1.0:
        return "pixels are not square"
    step_mm = float(np.linalg.norm(sinogram.affine[:3, 2]))
    if not step_mm > 0:
        return "the distance of slices is not known"
    if max(stop - first for first, stop in _runs(sinogram, step_mm)) < 2:
        return "no two slices are neighbours at the median step"
    return None


def _runs(sinogram: Sinogram, step_mm: float) -> tuple[tuple[int, int], ...]:
    """Slices in a row at even steps: over a gap, or where steps are uneven, nothing is coupled."""
    n = sinogram.n_slices
    if sinogram.slice_offsets_mm is None:
        return ((0, n),)
    steps = np.diff(sinogram.slice_offsets_mm)
    ends = [*(np.flatnonzero(np.abs(steps - step_mm) > _EVEN * step_mm) + 1).tolist(), n]
    return tuple(zip([0, *ends[:-1]], ends, strict=True))
