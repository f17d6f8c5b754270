"""A simulated scan in one value: it says how any CT volume is to be scanned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from ctresample.choices import VOLUME_BEAMS, CircularBeam
from ctresample.noise import PLAIN, Scanner
from ctresample.offered import DOSE, SCANNER, Offered
from ctresample.pipelines.scan.room import check_room

if TYPE_CHECKING:  # the choice alone must cost no torch
    from ctresample.geometry import Geometry, Grid
    from ctresample.sinogram import Sinogram
    from ctresample.volume import Volume


@dataclass(frozen=True, kw_only=True)
class Scan:
    """How to scan; values are checked when it does.

    Attributes:
        n_views: views, equally spaced.
        beam: "parallel", "fan" (flat detector), "fan-curved" or "cone".
        arc_rad: the arc they spread over, end point excluded; None for 180 degrees (parallel) or 360 degrees;
            "short" for the shortest that measures every line.
        detector_offset_mm: shift of the detector.
        axis_offset_mm: from the central ray to the rotation axis; 0 for parallel rays.
        source_to_axis_mm: None for that of a clinical scanner; None for parallel rays.
        source_to_detector_mm: the same.
        size: rows and columns of the image grid to reconstruct on.
        stagger: slices after which the angles repeat: those between are seen from angles between the views; 1 for the
            same angles in all slices.
        photons: sent along each ray; None for no noise.
        electronic_noise: read-out noise in photons.
        scanner: its bow-tie filter, tube-current modulation, blur and crosstalk.
    """

    n_views: Annotated[int, Offered("Projection angles, equally spaced.", name="views", minimum=1)]
    beam: Annotated[
        CircularBeam,
        Offered(
            "Parallel rays, a fan on a flat or curved detector, or a cone that sees all slices at once.",
            name="geometry",
            group=SCANNER,
        ),
    ] = "parallel"
    arc_rad: Annotated[
        float | Literal["short"] | None,
        Offered(
            "Arc of the views. short: 180° and the fan angle. Default: 180° parallel, 360° fan and cone.",
            "DEG|short",
            name="arc-deg",
            group=SCANNER,
            in_degrees=True,
        ),
    ] = None
    detector_offset_mm: Annotated[float, Offered("Shift of the detector.", "MM", group=SCANNER)] = 0.0
    axis_offset_mm: Annotated[float, Offered("Central ray to rotation axis (not parallel).", "MM", group=SCANNER)] = 0.0
    source_to_axis_mm: Annotated[float | None, Offered("Default: 595, a clinical scanner.", "MM", group=SCANNER)] = None
    source_to_detector_mm: Annotated[float | None, Offered("Default: 1085.6, the same.", "MM", group=SCANNER)] = None
    size: Annotated[int, Offered("Rows and columns of the reconstructed image.", minimum=16)] = 256
    stagger: Annotated[
        int,
        Offered(
            "Slices after which the angles repeat: N slices in a row are seen from N sets of angles, between each "
            "other, which neighbours share (not cone). Default: the same angles in all.",
            "N",
            minimum=1,
            group=SCANNER,
        ),
    ] = 1
    photons: Annotated[
        float | None, Offered("Photons sent along each ray, such as 1e5. Without it: no noise.", "N")
    ] = None
    electronic_noise: Annotated[
        float, Offered("Read-out noise of the detector in photons; counts with --photons only.", "SD", group=DOSE)
    ] = 0.0
    scanner: Scanner = PLAIN

    def geometry(self, grid: Grid) -> Geometry:
        """The scan of what lies on this grid.

        Raises:
            UsageError: an option is out of range, or two contradict each other.
            GeometryError: a scan that cannot be.
        """
        from ctresample.pipelines.scan.geometry import scan_geometry

        return scan_geometry(
            grid,
            beam=self.beam,
            n_views=self.n_views,
            arc_rad=self.arc_rad,
            detector_offset_mm=self.detector_offset_mm,
            axis_offset_mm=self.axis_offset_mm,
            source_to_axis_mm=self.source_to_axis_mm,
            source_to_detector_mm=self.source_to_detector_mm,
        )

    def scan(self, volume: Volume, *, seed: int = 0, progress: Callable[[float], None] | None = None) -> Sinogram:
        """Scan a volume; `ctresample.simulate` takes the same options at once.

        Args:
            volume: slices in HU; values below -1000 HU count as air.
            seed: of the noise; slice k of a volume, or row k of a flat panel, draws from ``(seed, k)``.
            progress: told the fraction done, from 0 to 1.

        Raises:
            UsageError: an option is out of range, or two contradict each other.
            GeometryError: a scan that cannot be.
        """
        from ctresample.pipelines.scan.geometry import reconstruction_grid
        from ctresample.pipelines.scan.measure import measure

        check_room(len(volume.hu), self.size, self.n_views, at_once=self.beam in VOLUME_BEAMS)
        grid, _ = reconstruction_grid(volume, self.size, self.beam)
        return measure(
            volume,
            self.geometry(grid),
            size=self.size,
            stagger=self.stagger,
            photons=self.photons,
            electronic_noise=self.electronic_noise,
            scanner=self.scanner,
            seed=seed,
            progress=progress,
        )
