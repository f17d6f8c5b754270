"""A sinogram of a CT volume, as a low-dose scanner would have measured it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from ctresample.choices import CircularBeam
from ctresample.errors import UsageError
from ctresample.geometry import Geometry
from ctresample.noise import PLAIN, Scanner
from ctresample.paths import StrPath, as_path
from ctresample.pipelines.scan.measure import measure
from ctresample.pipelines.scan.room import check_room
from ctresample.pipelines.scan.scan import Scan
from ctresample.sinogram import Sinogram
from ctresample.volume import Volume


def simulate(
    volume: Volume | StrPath,
    *,
    n_views: int | None = None,
    beam: CircularBeam = "parallel",
    arc_rad: float | Literal["short"] | None = None,
    detector_offset_mm: float = 0.0,
    axis_offset_mm: float = 0.0,
    source_to_axis_mm: float | None = None,
    source_to_detector_mm: float | None = None,
    size: int = 256,
    stagger: int = 1,
    photons: float | None = None,
    electronic_noise: float = 0.0,
    scanner: Scanner = PLAIN,
    geometry: Geometry | None = None,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> Sinogram:
    """Scan each slice of a volume on its own, or with a cone beam all of it at once.

    The arguments are those of `Scan`, which keeps them for many volumes, or a geometry of your own in their place.

    Example:
        >>> import numpy as np
        >>> from ctresample import Volume, simulate
        >>> hu = np.full((1, 32, 32), -1000.0)
        >>> hu[:, 8:24, 8:24] = 40
        >>> simulate(Volume(hu, np.diag([10, 10, 2, 1])), n_views=20, size=32, photons=1e5)
        Sinogram(ParallelBeam of 20 views, 1 x 20 x 47, 1e+05 photons a ray, 1 x 32 x 32 pixels)

    Args:
        volume: slices in HU, or where a DICOM series is; values below -1000 HU count as air.
        n_views: views, equally spaced.
        beam: "parallel", "fan" (flat detector), "fan-curved" or "cone".
        arc_rad: the arc they spread over, end point excluded; None for 180 degrees (parallel) or 360 degrees;
            "short" for the shortest that measures every line.
        detector_offset_mm: shift of the detector.
        axis_offset_mm: from the central ray to the rotation axis; 0 for parallel rays.
        source_to_axis_mm: None for that of a clinical scanner; None for parallel rays.
        source_to_detector_mm: the same.
        size: rows and columns of the image grid to reconstruct on.
        stagger: slices after which the angles repeat, those between being seen from angles between the views (see
            `stagger_shifts`); 1 for the same angles in all slices. Not of a cone beam.
        photons: photons sent along each ray, with a bow-tie filter along the ray through the rotation axis, and with
            modulation on average; None for no noise.
        electronic_noise: read-out noise in photons.
        scanner: its bow-tie filter, tube-current modulation, blur and crosstalk; by default it has none.
        geometry: the scan itself, instead of all from ``n_views`` to ``source_to_detector_mm``; a `ConeBeam` scans the
            whole volume.
        seed: of the noise; slice k of a volume, or row k of a flat panel, draws from ``(seed, k)``.
        progress: told the fraction done, from 0 to 1.

    Raises:
        UsageError: an option is out of range, or two contradict each other.
        GeometryError: a scan that cannot be.
        DicomError: the place of a series holds none, several, or one that cannot be read.
    """
    volume = _read(volume)
    if geometry is None:
        if n_views is None:
            raise UsageError("views is not stated; expected n_views, or a geometry")
        scan = Scan(
            n_views=n_views,
            beam=beam,
            arc_rad=arc_rad,
            detector_offset_mm=detector_offset_mm,
            axis_offset_mm=axis_offset_mm,
            source_to_axis_mm=source_to_axis_mm,
            source_to_detector_mm=source_to_detector_mm,
            size=size,
            stagger=stagger,
            photons=photons,
            electronic_noise=electronic_noise,
            scanner=scanner,
        )
        return scan.scan(volume, seed=seed, progress=progress)
    described = (n_views, arc_rad, source_to_axis_mm, source_to_detector_mm) != (None,) * 4
    if described or beam != "parallel" or detector_offset_mm or axis_offset_mm:
        raise UsageError(
            "geometry has its own views, beam, arc, offsets and distances; leave n_views, beam and the others out"
        )
    check_room(len(volume.hu), size, geometry.n_views, at_once=geometry.is_volume)
    return measure(
        volume,
        geometry,
        size=size,
        stagger=stagger,
        photons=photons,
        electronic_noise=electronic_noise,
        scanner=scanner,
        seed=seed,
        progress=progress,
    )


def _read(given: Volume | StrPath) -> Volume:
    if isinstance(given, Volume):
        return given
    from ctresample.data_tools.dicom.read import read_ct_series  # here, for pydicom is not needed where none is read

    return read_ct_series(as_path(given, "volume"))
