"""A simulated scan in one value: it says how any CT volume is to be scanned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ctresample.choices import Beam
from ctresample.noise import Scanner
from ctresample.pipelines.scan_geometry import reconstruction_grid, scan_geometry
from ctresample.pipelines.simulate import PLAIN, simulate
from ctresample.sinogram import Sinogram
from ctresample.volume import Volume


@dataclass(frozen=True, kw_only=True)
class ScanSettings:
    """How to scan; the names are those of `scan_geometry` and `simulate`, which check the values."""

    n_views: int
    beam: Beam = "parallel"
    arc_rad: float | Literal["short"] | None = None
    detector_offset_mm: float = 0.0
    axis_offset_mm: float = 0.0
    source_to_axis_mm: float | None = None
    source_to_detector_mm: float | None = None
    size: int = 256
    photons: float | None = None
    electronic_noise: float = 0.0
    scanner: Scanner = PLAIN

    def scan(self, volume: Volume, *, seed: int = 0, progress: Callable[[float], None] | None = None) -> Sinogram:
        """Scan a volume; see `simulate`.

        Args:
            volume: slices in HU.
            seed: of the noise.
            progress: told the fraction done, from 0 to 1.

        Raises:
            UsageError: an option is out of range, or two contradict each other.
            GeometryError: a scan that cannot be.
        """
        grid, _ = reconstruction_grid(volume, self.size, self.beam)
        geometry = scan_geometry(
            grid,
            beam=self.beam,
            n_views=self.n_views,
            arc_rad=self.arc_rad,
            detector_offset_mm=self.detector_offset_mm,
            axis_offset_mm=self.axis_offset_mm,
            source_to_axis_mm=self.source_to_axis_mm,
            source_to_detector_mm=self.source_to_detector_mm,
        )
        return simulate(
            volume,
            geometry=geometry,
            size=self.size,
            photons=self.photons,
            electronic_noise=self.electronic_noise,
            scanner=self.scanner,
            seed=seed,
            progress=progress,
        )
