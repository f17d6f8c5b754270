"""Read CT images: one series as a volume, or every axial slice on its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ctresample.data_tools.dicom.discovery import counts, find_series, iter_files, only_series
from ctresample.data_tools.dicom.files import DicomFile, SkippedFile
from ctresample.data_tools.dicom.headers import SliceHeader, read_slice_headers
from ctresample.data_tools.dicom.pixels import SliceDecoder
from ctresample.data_tools.dicom.series import Warn, load_series, warn_values
from ctresample.data_tools.dicom.stack import stack_affine
from ctresample.data_tools.dicom.values import ValueCounts
from ctresample.data_tools.volume_source import check_kind, is_volume_file, read_volume_file
from ctresample.errors import DicomError, VolumeFileError
from ctresample.paths import StrPath, as_path
from ctresample.volume import Volume

_AXIAL_COSINE = np.cos(np.pi / 4)  # slices nearer to axial than to anything else; a tilted gantry stays axial


def read_ct_series(
    place: StrPath,
    *,
    series_uid: str | None = None,
    allow_gaps: bool = False,
    resample_tilt: bool = False,
    even_steps_mm: float | None = None,
    one_series: bool = False,
    any_class: bool = False,
    on_warning: Warn | None = None,
) -> Volume:
    """Read the one CT series of a place; see `find_series` and `load_series`.

    Example:
        >>> from importlib.resources import files
        >>> read_ct_series(str(files("ctresample") / "demo_data" / "slice-01.dcm"))
        Volume(1 slice of 512 x 512 pixels, 0.8789 x 0.8789 x 2.5 mm, with DICOM headers)

    Args:
        place: a folder, searched with all its subfolders; a zip file; a DICOMDIR; or one DICOM file.
        series_uid: where there are several, that of one of them, or the key of a stack.
        allow_gaps: take uneven steps; every slice keeps its true position.
        resample_tilt: shear the slices of a tilted gantry to an upright stack.
        even_steps_mm: interpolate a stack of uneven steps at even ones.
        one_series: take the images of each folder as one series, whatever their UIDs.
        any_class: take CT images that are stored as another class.
        on_warning: called with one line for each thing worth knowing: files left out, padding, odd values.

    Returns:
        HU ``[z, y, x]``, affine and one header a slice.

    Raises:
        SeveralSeriesError: several series, and none is chosen.
        DuplicateError: several images at one position.
        TiltError: a tilted gantry.
        GapError: uneven steps.
        DicomError: no series, a damaged file, no rescale to HU, or a missing decoder.
    """
    place = as_path(place, "place")
    warn = on_warning or _ignore
    discovery = find_series(place, one_series=one_series, any_class=any_class)
    found = only_series(discovery, place, series_uid)
    if discovery.stray and series_uid is None:
        raise DicomError(discovery.stray[0])  # it may be a slice that is missing now
    if others := len(discovery.damaged) - len(found.damaged):
        warn(f"{place}: {others} damaged file(s), of other series as far as can be told")
    if discovery.left_out:
        warn(f"{place}: left out {counts(discovery.left_out)}")
    return load_series(
        found, allow_gaps=allow_gaps, resample_tilt=resample_tilt, even_steps_mm=even_steps_mm, on_warning=warn
    )


def read_ct_slices(
    place: StrPath, *, max_slices: int | None = None, any_class: bool = False, on_warning: Warn | None = None
) -> list[Volume]:
    """Every axial CT image of a place as a volume of one slice; see :func:`iter_ct_slices`."""
    place = as_path(place, "place")
    return list(iter_ct_slices(place, max_slices=max_slices, any_class=any_class, on_warning=on_warning))


def iter_ct_slices(
    place: StrPath, *, max_slices: int | None = None, any_class: bool = False, on_warning: Warn | None = None
) -> Iterator[Volume]:
    """Yield every axial CT image of a place as a volume of one slice, in the order of the paths and of the frames.

    Slices of NIfTI, NRRD and MetaImage files come after those of DICOM files, turned upright. Series and patients may
    be mixed. Files without an axial CT image (within 45 degrees) or that cannot be read are left out; the counts go to
    ``on_warning`` at the end.

    Args:
        place: a folder, searched with all its subfolders; a zip file; a DICOMDIR; or one file.
        max_slices: stop after so many.
        any_class: take CT images that are stored as another class.
        on_warning: called with one line for each thing worth knowing.

    Raises:
        DicomError: no axial CT image found.
    """
    place = as_path(place, "place")
    warn = on_warning or _ignore
    skipped: Counter[str] = Counter()
    damage: dict[DicomFile, str] = {}
    volumes: list[Path] = []
    check_kind(place)
    headers, decoder = _axial_headers(place, skipped, damage, volumes, any_class), SliceDecoder()
    n_found, values = 0, ValueCounts()
    doubtful: Counter[str] = Counter()
    while n_found != max_slices and (header := next(headers, None)):
        try:
            decoded = decoder.decode(header.file, header.frame)
        except DicomError as error:
            damage.setdefault(header.file, str(error))
            continue
        if reason := decoded.values.why_not_hu():
            damage.setdefault(header.file, f"{header.file}: {reason}; expected HU")
            continue
        n_found += 1
        values += decoded.values
        doubtful.update(doubt.rpartition("; ")[2] for doubt in decoded.values.doubts(decoded.header))
        yield Volume(decoded.hu[None], stack_affine([header]), (decoded.header,))
    for path in volumes:
        if n_found == max_slices:
            break
        try:
            volume = read_volume_file(path, warn)
        except VolumeFileError as error:
            damage.setdefault(DicomFile(path), str(error))
            continue
        for k, origin in enumerate(volume.slice_origins_mm[: None if max_slices is None else max_slices - n_found]):
            n_found += 1
            affine = volume.affine.copy()
            affine[:3, 3] = origin
            yield Volume(volume.hu[k : k + 1], affine)
    first_damage = ""
    if damage:
        skipped["unreadable"] = len(damage)
        first_damage = f"; first unreadable: {next(iter(damage.values()))}"
    if n_found == 0 and max_slices != 0:
        raise DicomError(f"{place}: no axial CT image found ({counts(skipped) or 'no files'}){first_damage}")
    if skipped:
        warn(f"{place}: left out {counts(skipped)}{first_damage}")
    warn_values(warn, place, values)
    for doubt, count in doubtful.items():
        warn(f"{place}: {count} image{'s'[: count > 1]} may not be in HU: {doubt}")


def _axial_headers(
    place: Path, skipped: Counter[str], damage: dict[DicomFile, str], volumes: list[Path], any_class: bool
) -> Iterator[SliceHeader]:
    """Headers of DICOM images; files of other formats go to ``volumes``."""
    for file in iter_files(place, lambda archive, error: damage.setdefault(archive, str(error))):
        if file.index is None and is_volume_file(file.path):
            volumes.append(file.path)
            continue
        try:
            yield from read_axial_headers(file, any_class=any_class)
        except SkippedFile as reason:
            skipped[str(reason)] += 1
        except DicomError as error:
            damage[file] = str(error)


def read_axial_headers(file: DicomFile, *, any_class: bool = False) -> list[SliceHeader]:
    """As `read_slice_headers`, without images that are not axial (within 45 degrees); `SkippedFile` if none is.

    Each slice is taken on its own, so that it needs no series, and no place along its normal.
    """
    headers = read_slice_headers(file, any_class=any_class, one_series=True)
    axial = [header for header in headers if abs(header.normal[2]) >= _AXIAL_COSINE]
    if not axial:
        raise SkippedFile("not axial")
    return axial


def _ignore(message: str) -> None:
    """Where nobody listens."""
