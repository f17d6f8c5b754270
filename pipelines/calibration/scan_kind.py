"""What kind of scan a calibration is of, and whether another scan is of it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ctresample.errors import CalibrationError
from ctresample.geometry.arcs import period_of
from ctresample.sinogram import Sinogram

SAME_DOSE, SAME_PIXELS, SAME_STEP, SAME_LENGTH = 0.2, 0.1, 0.05, 0.05
"""How far photons, pixels, view steps and distances may differ from the calibrated ones, as shares of them."""

LENGTHS = ("source_to_axis_mm", "source_to_detector_mm", "detector_offset_mm", "axis_offset_mm")
"""Of a beam; 0 where it has none."""

SIMULATED = "simulated"
"""How the origin of a sinogram begins that `ctresample.simulate` made."""


@dataclass(frozen=True, kw_only=True)
class ScanKind:
    """What the error of a reconstruction depends on, of a scan of slices.

    Attributes:
        beam: its name.
        n_views: views of a slice.
        widest_step_deg: between views that are neighbours, gaps and the end of a limited arc included.
        photons: fewest and most of a ray; None for no noise.
        electronic_noise: of the read-out, in photons.
        image: rows and columns.
        pixel_size_mm: least and most.
        detector_pitch: of a bin, in pixels.
        lengths_mm: distances and offsets that the beam has, by name.
        simulated: made from images, and not measured by a scanner.
    """

    beam: str
    n_views: int
    widest_step_deg: float
    photons: tuple[float, float] | None
    electronic_noise: float
    image: tuple[int, int]
    pixel_size_mm: tuple[float, float]
    detector_pitch: float
    lengths_mm: dict[str, float]
    simulated: bool

    @classmethod
    def of(cls, sinogram: Sinogram) -> ScanKind:
        """That of a scan.

        Raises:
            CalibrationError: one whose slices are not alike: no calibration is of such scans.
        """
        geometry, grid = sinogram.geometry, sinogram.grid
        for found, what in (
            (geometry.is_volume, f"a {geometry.name} beam sees all slices at once"),
            (sinogram.angle_shifts_rad is not None, "its slices are seen from different angles"),
            (sinogram.bad_rays is not None, "some of its rays are not known"),
        ):
            if found:
                raise CalibrationError(f"{what}; calibrations are of whole scans of slices that are all seen alike")
        photons = sinogram.photons
        period = period_of(geometry)
        places = np.unique(np.mod(geometry.angles_rad, period))
        step = float(np.diff(places, append=places[0] + period).max())
        return cls(
            beam=geometry.name,
            n_views=geometry.n_views,
            widest_step_deg=math.degrees(step),
            photons=None if photons is None else (float(np.min(photons)), float(np.max(photons))),
            electronic_noise=float(sinogram.electronic_noise),
            image=(int(grid.shape[-2]), int(grid.shape[-1])),
            pixel_size_mm=(float(grid.pixel_size_mm), float(grid.pixel_size_mm)),
            detector_pitch=float(geometry.detector_pitch_mm / grid.pixel_size_mm),
            lengths_mm={name: float(getattr(geometry, name, 0.0)) for name in LENGTHS},
            simulated=sinogram.origin.startswith(SIMULATED),
        )

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> ScanKind:
        """From what `record` gave; ValueError, TypeError or KeyError for anything else."""
        pair = {name: tuple(map(float, raw[name])) for name in ("pixel_size_mm", "photons") if raw[name] is not None}
        rows, columns = map(int, raw["image"])
        least, most = pair["pixel_size_mm"]
        fewest, highest = pair.get("photons", (1.0, 1.0))
        numbers = {name: float(raw[name]) for name in ("widest_step_deg", "electronic_noise", "detector_pitch")}
        lengths = {str(name): float(value) for name, value in dict(raw["lengths_mm"]).items()}
        found = cls(
            beam=str(raw["beam"]),
            n_views=int(raw["n_views"]),
            photons=(fewest, highest) if "photons" in pair else None,
            image=(rows, columns),
            pixel_size_mm=(least, most),
            lengths_mm=lengths,
            simulated=raw["simulated"],
            **numbers,
        )
        if not np.isfinite([least, most, fewest, highest, *numbers.values(), *lengths.values()]).all():
            raise ValueError("a number of its scan is not finite")
        if not (0 < least <= most and 0 < fewest <= highest and min(rows, columns, found.n_views) > 0):
            raise ValueError("a number of its scan is not above 0, or the least of two is the larger")
        if set(lengths) != set(LENGTHS) or not isinstance(found.simulated, bool):
            raise ValueError("its scan lacks a length, or whether it was simulated")
        return found

    def record(self) -> dict[str, Any]:
        """The same, JSON-able."""
        return asdict(self)

    @property
    def words(self) -> str:
        """In short."""
        return f"{self.n_views} views, {self.beam}, {_dose(self.photons)}, {self.image[0]} x {self.image[1]} pixels"

    def with_pixels_of(self, other: ScanKind) -> ScanKind:
        """The same kind with pixels of this size and of the other's and between."""
        sizes = (*self.pixel_size_mm, *other.pixel_size_mm)
        return replace(self, pixel_size_mm=(min(sizes), max(sizes)))

    def difference(self, scan: ScanKind, *, any_pixels: bool = False) -> str | None:
        """In what a scan is of another kind than this, in words; None where it is not.

        Args:
            scan: to be judged.
            any_pixels: pixels of any size will do.
        """
        if scan.beam != self.beam:
            return f"it is a {scan.beam} beam, not {self.beam}"
        if scan.n_views != self.n_views:
            return f"it has {scan.n_views} views, not {self.n_views}"
        if scan.image != self.image:
            return f"its image has {scan.image[0]} x {scan.image[1]} pixels, not {self.image[0]} x {self.image[1]}"
        if not _alike(scan.photons, self.photons) or not _near(
            1 + scan.electronic_noise, 1 + self.electronic_noise, SAME_DOSE
        ):
            return (
                f"it has {_dose(scan.photons)} and a read-out noise of {scan.electronic_noise:g}, not "
                f"{_dose(self.photons)} and {self.electronic_noise:g}"
            )
        if not _near(scan.widest_step_deg, self.widest_step_deg, SAME_STEP):
            return f"views are up to {scan.widest_step_deg:.3g}° apart, not {self.widest_step_deg:.3g}°"
        least, most = self.pixel_size_mm
        size = scan.pixel_size_mm
        if not any_pixels and not (least * (1 - SAME_PIXELS) <= size[0] and size[1] <= most * (1 + SAME_PIXELS)):
            return f"its pixels have {size[0]:.3g} mm, not {least:.3g} to {most:.3g} mm"
        if not _near(scan.detector_pitch, self.detector_pitch, SAME_LENGTH):
            return f"a detector bin is {scan.detector_pitch:.3g} pixels wide, not {self.detector_pitch:.3g}"
        for name, length in self.lengths_mm.items():
            found = scan.lengths_mm.get(name, 0.0)
            if not abs(found - length) <= max(SAME_LENGTH * abs(length), least / 2):
                return f"its {name} is {found:.4g}, not {length:.4g}"
        if scan.simulated != self.simulated:
            made = ("measured", "simulated from images")
            return f"it was {made[scan.simulated]}, not {made[self.simulated]}"
        return None


def _near(found: float, wanted: float, share: float) -> bool:
    return abs(found - wanted) <= share * abs(wanted)


def _alike(found: tuple[float, float] | None, wanted: tuple[float, float] | None) -> bool:
    if found is None or wanted is None:
        return found is wanted
    return all(_near(a, b, SAME_DOSE) for a, b in zip(found, wanted, strict=True))


def _dose(photons: tuple[float, float] | None) -> str:
    if photons is None:
        return "no noise"
    fewest, most = photons
    return f"{fewest:,.4g} photons a ray" if fewest == most else f"{fewest:,.4g} to {most:,.4g} photons a ray"
