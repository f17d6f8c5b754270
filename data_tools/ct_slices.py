"""Axial CT slices of a place, each on its own, whatever they are stored as."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ctresample.data_tools.dicom.discovery import counts, iter_files
from ctresample.data_tools.dicom.files import DicomFile, SkippedFile
from ctresample.data_tools.dicom.headers import SliceHeader
from ctresample.data_tools.dicom.pixels import SliceDecoder
from ctresample.data_tools.dicom.read import read_axial_headers
from ctresample.data_tools.dicom.series import Warn, warn_values
from ctresample.data_tools.dicom.stack import stack_affine
from ctresample.data_tools.dicom.values import ValueCounts
from ctresample.data_tools.volume_source import check_kind, is_volume_file, read_volume_file
from ctresample.errors import DicomError, VolumeFileError
from ctresample.paths import StrPath, as_path
from ctresample.volume import Volume


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


def _ignore(message: str) -> None:
    pass
