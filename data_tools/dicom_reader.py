"""Read CT images from folders: one series as a volume, or every axial slice on its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctresample.data_tools.dicom_files import SkippedFile, find_files
from ctresample.data_tools.dicom_headers import EnhancedCTError, SliceHeader, read_slice_header
from ctresample.data_tools.dicom_pixels import decode_slice
from ctresample.data_tools.dicom_stack import (
    SAME_PLACE_MM,
    describe_stack,
    group_stacks,
    same_place,
    sort_along_normal,
    stack_affine,
)
from ctresample.errors import DicomError
from ctresample.volume import Volume

MAX_SERIES_FILES = 50_000
LOWEST_PLAUSIBLE_HU = -1024.0
_AXIAL_COSINE = np.cos(np.pi / 4)  # slices nearer to axial than to anything else; a tilted gantry stays axial

Warn = Callable[[str], None]


def read_ct_series(folder: Path, *, series_uid: str | None = None, on_warning: Warn | None = None) -> Volume:
    """Read the one CT series below a folder.

    Names and extensions of files prove nothing; other files and localizers are left out, and counted. Slices are
    sorted by position along their normal. Padding becomes air (-1000 HU); no other value is changed. Slices that
    name different frames of reference are one stack as long as their positions form one.

    Args:
        folder: searched with all its subfolders.
        series_uid: the SeriesInstanceUID to read where there are several.
        on_warning: called with one line for each thing worth knowing: files left out, padding, odd values.

    Returns:
        HU ``[z, y, x]``, affine and one header a slice. A lone slice takes its step from SpacingBetweenSlices,
        SliceThickness or 1 mm, in that order.

    Raises:
        DicomError: no or several series, a damaged file, differing duplicates, gaps, gantry tilt, no rescale to
            HU, multi-frame images, or a missing decoder.
    """
    warn = on_warning or _ignore
    files = find_files(folder)
    if len(files) > MAX_SERIES_FILES:
        raise DicomError(f"{folder} holds {len(files)} files; expected one series; choose its own folder")
    skipped: Counter[str] = Counter()
    headers = []
    for path in files:
        try:
            headers.append(read_slice_header(path, series_uid))
        except SkippedFile as reason:
            skipped[str(reason)] += 1
    stack = sort_along_normal(_only_stack(headers, folder, len(files), skipped, series_uid))
    if skipped:
        warn(f"{folder}: left out {_counts(skipped)}")
    ordered, copies = _without_copies(stack)
    if copies:
        warn(f"{folder}: left out {copies} identical duplicate(s) of slices")
    affine = stack_affine(ordered)
    frames = {header.frame_of_reference_uid for header in ordered}
    if len(frames) > 1:
        warn(f"{folder}: the slices name {len(frames)} frames of reference, yet their positions form one stack")
    return _decode_stack(ordered, affine, folder, warn)


def _decode_stack(ordered: list[SliceHeader], affine: NDArray[np.float64], folder: Path, warn: Warn) -> Volume:
    first = decode_slice(ordered[0].path)  # before the volume is made: a header may lie about the size
    hu = np.empty((len(ordered), *first.hu.shape), np.float32)
    json_headers, n_padding = [], 0
    for z, header in enumerate(ordered):
        decoded = decode_slice(header.path) if z else first
        hu[z] = decoded.hu
        json_headers.append(decoded.header)
        n_padding += decoded.n_padding
    _warn_values(warn, folder, n_padding, int(np.count_nonzero(hu < LOWEST_PLAUSIBLE_HU)), float(hu.min()))
    return Volume(hu, affine, tuple(json_headers))


def read_ct_slices(root: Path, *, max_slices: int | None = None, on_warning: Warn | None = None) -> list[Volume]:
    """Every axial CT image below a folder as a volume of one slice; see :func:`iter_ct_slices`."""
    return list(iter_ct_slices(root, max_slices=max_slices, on_warning=on_warning))


def iter_ct_slices(root: Path, *, max_slices: int | None = None, on_warning: Warn | None = None) -> Iterator[Volume]:
    """Yield every axial CT image below a folder as a volume of one slice, in the order of the paths.

    Series and patients may be mixed. Files that are no axial CT image (within 45 degrees) or that cannot be read
    are left out; the counts go to ``on_warning`` at the end.

    Args:
        root: searched with all its subfolders.
        max_slices: stop after so many.
        on_warning: called with one line for each thing worth knowing.

    Raises:
        DicomError: no axial CT image found.
    """
    warn = on_warning or _ignore
    skipped: Counter[str] = Counter()
    n_found = n_padding = n_low = 0
    lowest, first_damage = 0.0, ""
    for path in find_files(root):
        if n_found == max_slices:
            break
        try:
            header = read_axial_header(path)
            decoded = decode_slice(path)
        except SkippedFile as reason:
            skipped[str(reason)] += 1
            continue
        except EnhancedCTError:
            skipped["multi-frame"] += 1
            continue
        except DicomError as error:
            skipped["unreadable"] += 1
            first_damage = first_damage or f"; first unreadable: {error}"
            continue
        n_found += 1
        n_padding += decoded.n_padding
        n_low += int(np.count_nonzero(decoded.hu < LOWEST_PLAUSIBLE_HU))
        lowest = min(lowest, float(decoded.hu.min()))
        yield Volume(decoded.hu[None], stack_affine([header]), (decoded.header,))
    if n_found == 0 and max_slices != 0:
        raise DicomError(f"{root}: no axial CT image found ({_counts(skipped) or 'no files'}){first_damage}")
    if skipped:
        warn(f"{root}: left out {_counts(skipped)}{first_damage}")
    _warn_values(warn, root, n_padding, n_low, lowest)


def read_axial_header(path: Path) -> SliceHeader:
    """As :func:`read_slice_header`; `SkippedFile` also for an image that is not axial (within 45 degrees)."""
    header = read_slice_header(path)
    if abs(header.normal[2]) < _AXIAL_COSINE:
        raise SkippedFile("not axial")
    return header


def _only_stack(
    headers: list[SliceHeader], folder: Path, n_files: int, skipped: Counter[str], series_uid: str | None
) -> list[SliceHeader]:
    stacks = group_stacks(headers)
    wanted = "" if series_uid is None else f" of series {series_uid}"
    if not stacks:
        raise DicomError(
            f"{folder}: no CT image{wanted} among {n_files} file(s) ({_counts(skipped) or 'empty folder'}); "
            "expected the DICOM files of one CT series"
        )
    if len(stacks) == 1:
        return stacks[0]
    listing = "; ".join(describe_stack(stack) for stack in stacks[:10]) + "; ..." * (len(stacks) > 10)
    n_series = len({stack[0].series_uid for stack in stacks})
    fix = "choose one by its series UID" if n_series > 1 else "split the series into one folder for each"
    raise DicomError(f"{folder} holds {len(stacks)} stacks of slices{wanted}; expected one; {fix}: {listing}")


def _without_copies(ordered: list[SliceHeader]) -> tuple[list[SliceHeader], int]:
    """Drop slices that repeat their neighbour pixel for pixel; refuse those that only share its position."""
    kept = ordered[:1]
    for header in ordered[1:]:
        if not same_place(kept[-1], header):
            kept.append(header)
        elif not _same_image(kept[-1], header):
            raise DicomError(
                f"{header.path.parent}: {kept[-1].path.name} and {header.path.name} lie at the same position with "
                "different pixels; expected one slice a position; keep only one acquisition"
            )
    return kept, len(ordered) - len(kept)


def _same_image(a: SliceHeader, b: SliceHeader) -> bool:
    return np.allclose(a.position, b.position, rtol=0, atol=SAME_PLACE_MM) and np.array_equal(
        decode_slice(a.path).hu, decode_slice(b.path).hu
    )


def _counts(skipped: Counter[str]) -> str:
    return ", ".join(f"{count} file{'s'[: count > 1]} {reason}" for reason, count in skipped.most_common())


def _warn_values(warn: Warn, folder: Path, n_padding: int, n_low: int, lowest: float) -> None:
    if n_padding:
        warn(f"{folder}: {n_padding} padding pixels set to -1000 HU (air)")
    if n_low:
        warn(f"{folder}: {n_low} pixels lie below -1024 HU (down to {lowest:g}) and are kept; undeclared padding?")


def _ignore(message: str) -> None:
    """Where nobody listens."""
