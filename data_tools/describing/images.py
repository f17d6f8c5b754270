"""What CT images are: DICOM series, and volumes in files of their own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ctresample.data_tools.describing.words import Facts, by, slice_step
from ctresample.errors import DicomError

if TYPE_CHECKING:
    from ctresample.data_tools.dicom.discovery import Discovery
    from ctresample.data_tools.dicom.series import FoundSeries
    from ctresample.volume import Volume


def volume_facts(path: Path) -> Facts:
    """Of a NIfTI, NRRD or MetaImage file; `VolumeFileError` where it cannot be read."""
    from ctresample.data_tools.ct_source import NO_HEADERS
    from ctresample.data_tools.volume_source import read_volume_file

    notes = [f"{path} {NO_HEADERS}"]
    volume = read_volume_file(path, notes.append)
    column_mm, row_mm, _ = volume.spacing_mm
    facts = {
        "kind": f"CT volume ({'NIfTI' if '.nii' in path.name.lower() else path.suffix[1:].upper()})",
        "slices": str(len(volume.hu)),
        "matrix": by(volume.hu.shape[1:]),
        "pixel size": f"{row_mm:.4g} x {column_mm:.4g} mm",
        "slice step": slice_step(volume.spacing_mm[2], even=True),
        "HU range": f"{volume.hu.min():g} to {volume.hu.max():g}",
    }
    return facts | {f"note {number}": note for number, note in enumerate(notes, 1)}


def series_facts(place: Path, discovery: Discovery) -> Facts:
    """Of the series found in a place; `DicomError` where there is none."""
    from ctresample.data_tools.dicom.discovery import counts, one_series_hint, only_series
    from ctresample.data_tools.dicom.series import doubts_of, verdict

    if not discovery.series:
        only_series(discovery, place)  # says why there is none
    facts: Facts = {}
    if len(discovery.series) == 1:
        facts = _series(discovery.series[0])
    else:
        facts["kind"] = f"{len(discovery.series)} CT series (DICOM)"
        for number, found in enumerate(discovery.series, 1):
            problem, options = verdict(found)
            facts[f"series {number}"] = f"{found.shown_uid}, key {found.key}: {found.describe()}"
            if problem:
                facts[f"problem {number}"] = problem + _proceed(options)
            try:
                doubts = doubts_of(found)
            except DicomError as error:
                doubts = []
                facts.setdefault(f"problem {number}", str(error))
            if doubts:
                facts[f"note {number}"] = "; ".join(doubts)
        facts["choose with"] = f"--series UID, or --series KEY{one_series_hint(discovery.series)}"
    if discovery.left_out:
        facts["left out"] = counts(discovery.left_out)
    if discovery.damaged:
        n_more = len(discovery.damaged) - 1
        facts["damaged"] = discovery.damaged[0] + (f" (and {n_more} more)" if n_more else "")
    return facts


def _proceed(options: tuple[str, ...]) -> str:
    """What the problem itself does not say: that it takes more than one option."""
    return f"; proceed with {' '.join(options)}" if len(options) > 1 else ""


def _series(found: FoundSeries) -> Facts:
    from ctresample.data_tools.dicom.series import load_series, verdict

    first = found.headers[0]
    one = len(found.headers) == 1 and first.frame is None
    problem, options = verdict(found)
    notes: list[str] = []
    volume: Volume | None = None
    try:
        gaps, tilt = ("--allow-gaps" in options, "--resample-tilt" in options)
        volume = load_series(found, allow_gaps=gaps, resample_tilt=tilt, on_warning=notes.append)
    except DicomError as error:
        if one:
            raise
        problem, options = problem or str(error), ()  # what else it is stays worth telling
    facts = {"kind": "CT image (DICOM)" if one else "CT series (DICOM)"}
    if not one:
        facts["slices"] = f"{found.n_slices} {found.facing}"
    row_mm, column_mm = first.spacing_mm
    facts |= {"matrix": by(first.shape), "pixel size": f"{row_mm:.4g} x {column_mm:.4g} mm"}
    if volume and not one:
        facts["slice step"] = slice_step(volume.spacing_mm[2], volume.slice_offsets_mm is None)
    if volume:
        facts["HU range"] = f"{volume.hu.min():g} to {volume.hu.max():g}"
    facts["series UID"] = found.shown_uid
    facts |= {f"note {number}": note for number, note in enumerate(notes, 1)}
    if problem:
        facts["problem"] = problem + _proceed(options)
    return facts
