"""Find the CT series below a place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from ctresample.data_tools.dicom.archives import is_archive
from ctresample.data_tools.dicom.errors import SeveralSeriesError, UnreadableImageError
from ctresample.data_tools.dicom.files import DicomFile, SkippedFile, find_files, members
from ctresample.data_tools.dicom.headers import SliceHeader, read_slice_headers
from ctresample.data_tools.dicom.parts import Part, is_even_stack, parts_of
from ctresample.data_tools.dicom.series import FoundSeries, by_slice_location
from ctresample.data_tools.dicom.stack import group_stacks
from ctresample.errors import DicomError
from ctresample.paths import StrPath, as_path

MAX_FILES = 1_000_000
_MOST_SCOUTS, _LEAST_SLICES_PER_SCOUT = 2, 5
_SURELY_ONE_SERIES = 3
_ANOTHER_PLANE = 1e-4  # of a cosine, between stacks that are apart already


@dataclass(frozen=True, eq=False)
class Discovery:
    """What lies below a place.

    Attributes:
        series: each stack of slices, in the order of their first files.
        left_out: how many files or frames are no CT slice, by reason.
        damaged: one line for each file that should have been a CT image, or a zip file.
        stray: those of them that do not say of which series the file is.
    """

    series: tuple[FoundSeries, ...]
    left_out: Mapping[str, int]
    damaged: tuple[str, ...]
    stray: tuple[str, ...] = ()


def find_series(place: StrPath, *, one_series: bool = False, any_class: bool = False) -> Discovery:
    """Look for CT series; a bad file is told of in the result and never raises.

    Names and extensions prove nothing: every file is looked at, inside zip files too. A DICOMDIR stands for its
    folder; the paths in it are not followed. Images of a series that show another plane than nearly all others, such
    as localizers that do not say so, are left out.

    Args:
        place: a folder, searched with all its subfolders; a zip file; a DICOMDIR; or one DICOM file.
        one_series: take the images of each folder as one series, whatever their UIDs say, and place those without a
            position by SliceLocation.
        any_class: take images that are stored as another class than CT, where Modality, HU and place are all there.

    Raises:
        DicomError: there is no such place, it cannot be searched, or it holds a million files.
    """
    place = as_path(place, "place")
    left_out: Counter[str] = Counter()
    damaged: list[tuple[str, DicomFile, str]] = []  # series, if it is known; the file; what is wrong
    headers: list[SliceHeader] = []
    for file in iter_files(place, lambda archive, error: damaged.append(("", archive, str(error)))):
        try:
            headers += read_slice_headers(file, any_class=any_class, one_series=one_series)
        except SkippedFile as reason:
            left_out[str(reason)] += 1
        except UnreadableImageError as error:
            damaged.append((_home(file) if one_series else error.series_uid, file, str(error)))
        except DicomError as error:
            damaged.append(("", file, str(error)))

    def series_of(header: SliceHeader) -> str:
        return _home(header.file) if one_series else header.series_uid

    found = []
    for stack in _without_scouts(group_stacks(headers, series_of), series_of, left_out):
        bad = {file: line for series, file, line in damaged if series == series_of(stack[0])}
        stack = (by_slice_location(stack) or stack) if one_series else stack
        for part in parts_of(stack, one_series=one_series):
            uid, identity = part.headers[0].series_uid, (*part.identity, *(_images(part) if one_series else ()))
            found.append(FoundSeries(uid, part.headers, bad, part.words, identity, joined=one_series))
    lines, stray = tuple(line for *_, line in damaged), tuple(line for series, _, line in damaged if not series)
    return Discovery(tuple(found), dict(left_out.most_common()), lines, stray)


def _home(file: DicomFile) -> str:
    """The folder of a file, in a zip file too."""
    if not file.name:
        return str(file.path.parent)
    return f"{file.path}/{PurePosixPath(file.name).parent}"


def _images(part: Part) -> tuple[str, ...]:
    """What names a stack where no UID does."""
    named = [
        f"{header.instance_uid} {np.round(header.position, 3).tolist()} {header.patient}" for header in part.headers
    ]
    return tuple(sorted(named))


def iter_files(place: Path, on_damaged: Callable[[DicomFile, DicomError], object]) -> Iterator[DicomFile]:
    """Every file of a place, in the order of the paths; what an archive holds, as if it were a folder.

    Args:
        place: as for :func:`find_series`.
        on_damaged: told of each archive that cannot be used, and why.

    Raises:
        DicomError: there is no such place, it cannot be searched, or it holds a million files.
    """
    root = root_of(place)
    paths = [root] if root.is_file() else find_files(root, lambda path, error: on_damaged(DicomFile(path), error))
    if len(paths) > MAX_FILES:
        raise DicomError(f"{place} holds {len(paths)} files; expected at most {MAX_FILES}; choose a folder inside it")
    for path in paths:
        if not is_archive(path):
            yield DicomFile(path)
            continue
        try:
            inside = members(path)
        except DicomError as error:
            on_damaged(DicomFile(path), error)
        else:
            yield from sorted(inside, key=lambda file: PurePosixPath(file.name).parts)


def root_of(place: Path) -> Path:
    """What is searched for a place: of a DICOMDIR its folder, else the place itself."""
    return place.parent if place.name.upper() == "DICOMDIR" and place.is_file() else place


def _without_scouts(
    stacks: list[list[SliceHeader]], series_of: Callable[[SliceHeader], str], left_out: Counter[str]
) -> Iterator[list[SliceHeader]]:
    """Leave out one or two images of another plane beside a whole stack of the same series."""
    largest: dict[str, list[SliceHeader]] = {}
    for stack in stacks:
        largest[series_of(stack[0])] = max(largest.get(series_of(stack[0]), []), stack, key=len)
    for stack in stacks:
        main = largest[series_of(stack[0])]
        few = len(stack) <= _MOST_SCOUTS and len(main) >= _LEAST_SLICES_PER_SCOUT * len(stack)
        if few and np.abs(stack[0].orientation - main[0].orientation).max() > _ANOTHER_PLANE:
            left_out["of another plane than the rest of its series"] += len(stack)
        else:
            yield stack


def only_series(discovery: Discovery, place: Path, series: str | None = None) -> FoundSeries:
    """The one stack, or the one chosen.

    Args:
        discovery: from :func:`find_series`.
        place: named in errors.
        series: a SeriesInstanceUID, or the ``key`` of a stack.

    Raises:
        SeveralSeriesError: more than one; the message lists them.
        DicomError: none.
    """
    chosen = [one for one in discovery.series if series in (None, one.series_uid, one.key)]
    if len(chosen) == 1:
        return chosen[0]
    wanted = "" if series is None else f" of series {series}"
    if not chosen:
        n_damaged = len(discovery.damaged)
        there = ", ".join(filter(None, (counts(discovery.left_out), f"{n_damaged} damaged" * bool(n_damaged))))
        there = there or "no files"
        if discovery.series:
            there += f", {len(discovery.series)} other series"
        first = f"; the first: {discovery.damaged[0]}" if discovery.damaged else ""
        raise DicomError(f"{place}: no CT image{wanted} ({there}); expected the DICOM files of one CT series{first}")
    names = [one.shown_uid for one in chosen]
    if len(set(names)) < len(chosen):
        names = [one.key for one in chosen]
    listing = "; ".join(f"{name} ({one.describe()})" for name, one in zip(names[:10], chosen, strict=False))
    listing += "; ..." * (len(chosen) > 10)
    raise SeveralSeriesError(
        f"{place} holds {len(chosen)} stacks of slices{wanted}; expected one; choose one with --series: {listing}"
        f"{one_series_hint(chosen)}"
    )


def one_series_hint(found: Sequence[FoundSeries]) -> str:
    """What to do where an anonymiser gave each slice a series of its own; empty if it is not so."""
    slices = [one.headers[0] for one in found if len(one.headers) == 1]
    stacks = group_stacks(slices, lambda header: _home(header.file))
    if any(len(stack) >= _SURELY_ONE_SERIES and is_even_stack(stack) for stack in stacks):
        return "; slices of one folder lie evenly: if they are one series, --one-series takes them as such"
    return ""


def counts(left_out: Mapping[str, int]) -> str:
    """In words: how many files are left out for which reasons."""
    return ", ".join(f"{count} file{'s'[: count > 1]} {reason}" for reason, count in left_out.items())
