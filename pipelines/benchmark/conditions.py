"""The scans that methods are compared on, by number or by name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from ctresample.geometry import Geometry, Grid
from ctresample.noise import Scanner
from ctresample.pipelines.scan.scan import Scan

PHOTONS = 1e5
"""A ray, where a published configuration has noise of a level it does not state in photons."""


@dataclass(frozen=True, kw_only=True)
class Condition(Scan):
    """A scan that slices are compared on.

    Attributes:
        end_point: whether the last view lies at the end of the arc (``linspace(0, arc, n)``). Of 180 degrees in
            parallel beam it then is the first one mirrored: a view is spent twice.
        known_as: its name, if it has one.
    """

    end_point: bool = False
    known_as: str = ""

    @property
    def name(self) -> str:
        """Short and without doubt, for tables."""
        return self.known_as or f"{self.n_views} views{self._arc}, {self.beam}{self._stagger}, {self._dose}"

    @property
    def words(self) -> str:
        """All that is known of it."""
        end = ", end point included" if self.end_point else ""
        read_out = f", electronic noise {self.electronic_noise:g} photons" if self.photons else ""
        scanner = f", {self.scanner}" if str(self.scanner) else ""
        lengths = "".join(f", {name} {value:g}" for name in _LENGTHS if (value := getattr(self, name)))
        beam = f"{self.beam} beam{self._stagger}"
        return f"{self.n_views} views{self._arc}{end}, {beam}, {self._dose}{read_out}{scanner}{lengths}"

    @property
    def _arc(self) -> str:
        return "" if self.arc_rad is None else f" over {_degrees(self.arc_rad)}"

    @property
    def _stagger(self) -> str:
        return f", staggered by {self.stagger}" if self.stagger > 1 else ""

    @property
    def _dose(self) -> str:
        return "no noise" if self.photons is None else f"{self.photons:,.6g} photons a ray"

    def geometry(self, grid: Grid) -> Geometry:
        scan = super().geometry(grid)
        if not self.end_point:
            return scan
        full = math.pi if self.beam == "parallel" else 2 * math.pi
        arc_rad = full if self.arc_rad is None or self.arc_rad == "short" else self.arc_rad
        return scan.with_angles(np.linspace(0, arc_rad, self.n_views))


def every_condition(
    scan: Scan,
    n_views: Sequence[int],
    beams: Sequence[str],
    photons: Sequence[float | None],
    staggers: Sequence[int] = (1,),
) -> list[Condition]:
    """A scan with every combination of views, beams, doses and staggers; without noise, read-out makes none either."""
    shared = {one.name: getattr(scan, one.name) for one in fields(scan)}
    return [
        Condition(
            **shared
            | {"n_views": n, "beam": beam, "photons": dose, "stagger": stagger}
            | {"electronic_noise": scan.electronic_noise if dose else 0.0}
        )
        for n in n_views
        for beam in beams
        for dose in photons
        for stagger in staggers
    ]


def _degrees(arc_rad: float | str) -> str:
    return "a short scan" if isinstance(arc_rad, str) else f"{math.degrees(arc_rad):g}°"


_LENGTHS = ("detector_offset_mm", "axis_offset_mm", "source_to_axis_mm", "source_to_detector_mm")
_RINGS = Scanner(faulty_bins=0.05, gain_error=0.25)

_PUBLISHED = (
    Condition(known_as="paper-25", n_views=25, photons=PHOTONS),
    Condition(known_as="dm4ct-i", n_views=40),
    Condition(known_as="dm4ct-ii", n_views=20, photons=1e5),
    Condition(known_as="dm4ct-iii", n_views=80, photons=1e4),
    Condition(known_as="dm4ct-iv", n_views=80, photons=1e5, scanner=_RINGS),
    Condition(known_as="dm4ct-v", n_views=40, arc_rad=3 * math.pi / 4),
    *(
        Condition(known_as=f"cvg-{n}", n_views=n, beam="fan", source_to_axis_mm=1075.0, source_to_detector_mm=2150.0)
        for n in (18, 36, 72)
    ),
)
_END_POINTS = tuple(
    replace(condition, known_as=f"{condition.known_as}-endpoint", end_point=True)
    for condition in _PUBLISHED
    if condition.known_as.startswith("dm4ct")
)

CONDITIONS = {condition.name: condition for condition in (*_PUBLISHED, *_END_POINTS)}
"""By name. ``paper-25``: the views of Song et al. (ICLR 2024), with noise. ``dm4ct-i`` to ``-v``: those of DM4CT (Shi
et al., ICLR 2026, arXiv 2602.18589): 40 views without noise; 20 with mild and 80 with strong noise (1e5 and 1e4
photons); 80 with noise and rings; 40 over 135 degrees. Theirs add noise to projections of images in [-1, 1], where air
attenuates more than tissue; here photons pass through attenuation in 1/mm, so that figures do not compare with theirs.
``-endpoint``: with their view angles, end point included. ``cvg-18``, ``-36``, ``-72``: the views of CvG-Diff (MICCAI
2025): a fan over 360 degrees without noise. Theirs projects the truth on the pixels that it reconstructs, and the truth
is an FBP of 720 such views; here the scan is simulated on finer pixels, so that figures here are the harder ones."""
