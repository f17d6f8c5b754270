"""Whatever somebody has, as a sinogram: a sinogram file, a scan of another program, or CT images to scan."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ctresample.data_tools.ct_source import read_ct_volume, volume_files
from ctresample.data_tools.dicom.discovery import find_series
from ctresample.data_tools.dicom.series import Warn
from ctresample.data_tools.importers import import_sinogram
from ctresample.data_tools.importers.formats import format_of
from ctresample.data_tools.reading import PLAIN, Reading
from ctresample.data_tools.sinogram.reading import read_sinogram
from ctresample.errors import SinogramError, UsageError
from ctresample.pipelines.scan.helical_slices import read_near
from ctresample.pipelines.scan.scan import Scan
from ctresample.pipelines.work import Progress
from ctresample.sinogram import Sinogram
from ctresample.volume import Volume


@dataclass(frozen=True)
class Measured:
    """A sinogram, and the images that it was scanned from where it was."""

    sinogram: Sinogram
    source: Volume | None


def measured(
    place: Path,
    *,
    n_views: int | None = None,
    photons: float | None = None,
    sidecar: Path | None = None,
    series: str | None = None,
    reading: Reading = PLAIN,
    seed: int = 0,
    z_range_mm: tuple[float, float] | None = None,
    every: int = 1,
    on_note: Warn = lambda message: None,
    progress: Progress | None = None,
) -> Measured:
    """Read a sinogram, import one, or scan CT images.

    Args:
        place: a sinogram file; a file or folder that `import_sinogram` takes; or a place of CT images.
        n_views: of the scan of CT images, a parallel beam over 180 degrees; for these alone, and needed by them.
        photons: of that scan along each ray; None for no noise.
        sidecar: what a scan of another program leaves unsaid; for these alone.
        series: which of several series of CT images.
        reading: how far these may be from an even stack; for these alone.
        seed: of the scan's noise.
        z_range_mm: of the slices that are wanted of a helix, see `read_near`; its other views are not read.
        every: how many views will be taken together.
        on_note: called with one line for each thing worth knowing.
        progress: told the fraction done, and what is being done.

    Raises:
        UsageError: an option that is missing, or that is for another kind of input; says what to do instead.
        CTResampleError: what is there cannot be read.
    """
    given = {"--views": n_views, "--photons": photons, "--series": series, "--geometry": sidecar}
    extra = [option for option, value in given.items() if value is not None]
    extra += [f"--{name.removesuffix('_mm').replace('_', '-')}" for name in reading.given()]
    found = format_of(place) if place.is_file() else None
    kind = found.name if found else None
    if kind == "HDF5" and sidecar is None:
        _refuse(extra, f"{place} is a sinogram, which states its scan", "--every K takes fewer views")
        return Measured(read_near(place, z_range_mm, every=every), None)
    if _is_ct(place, kind):
        if n_views is None:
            raise UsageError(
                f"{place} holds CT images, not a sinogram; add --views, such as --views 25 --photons 1e5, to scan them "
                "first"
            )
        _refuse([option for option in extra if option == "--geometry"], f"{place} holds CT images")
        volume = read_ct_volume(place, series_uid=series, on_warning=on_note, **vars(reading))
        step = f"scanning {len(volume.hu)} slice{'s'[: len(volume.hu) > 1]}, {n_views} views"
        told = None if progress is None else (lambda share: progress(share, step))
        return Measured(Scan(n_views=n_views, photons=photons).scan(volume, seed=seed, progress=told), volume)
    _refuse([option for option in extra if option != "--geometry"], f"{place} holds no CT images")
    if kind is None and place.is_file():
        return Measured(read_sinogram(place), None)  # which says what is wrong with it
    try:
        return Measured(import_sinogram(place, sidecar=sidecar, on_note=on_note), None)
    except SinogramError as error:
        raise SinogramError(f"{error} (`ctresample import` has more options for scans of other programs)") from error


def _refuse(extra: list[str], what: str, hint: str = "") -> None:
    if extra:
        raise UsageError(f"{what}; leave {extra[0]} out{f' ({hint})' if hint else ''}")


def _is_ct(place: Path, kind: str | None) -> bool:
    """Whether CT images are there, readable or not; a folder without any may still hold a scan as TIFF files."""
    if volume_files(place):
        return True
    if kind not in (None, "NPZ"):  # a zip file begins as NPZ does
        return False
    found = find_series(place, any_class=True)
    return bool(found.series or found.damaged) or (place.is_dir() and not any(place.glob("*.tif*")))
