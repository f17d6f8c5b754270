"""Find the CT series below a place, say what is wrong with each, and load one as a volume."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctresample.data_tools.dicom_errors import DuplicateError
from ctresample.data_tools.dicom_files import SkippedFile, find_files
from ctresample.data_tools.dicom_headers import SliceHeader, read_slice_header
from ctresample.data_tools.dicom_pixels import decode_slice
from ctresample.data_tools.dicom_stack import (
    SAME_PLACE_MM,
    group_stacks,
    same_place,
    sort_along_normal,
    stack_affine,
)
from ctresample.errors import DicomError
from ctresample.volume import Volume

LOWEST_PLAUSIBLE_HU = -1024.0

Warn = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class FoundSeries:
    """One stack of CT slices: of one series, matrix, orientation and pixel size.

    Attributes:
        series_uid: SeriesInstanceUID. A series of several stacks has several of these.
        headers: sorted along the normal of the slices.
    """

    series_uid: str
    headers: tuple[SliceHeader, ...]

    @property
    def n_slices(self) -> int:
        """Positions with an image."""
        pairs = zip(self.headers, self.headers[1:], strict=False)
        return 1 + sum(not same_place(below, above) for below, above in pairs)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.headers[0].shape

    @property
    def key(self) -> str:
        """Twelve hex digits that name the stack, whatever lies beside it, and say nothing of the patient."""
        first = self.headers[0]
        place = np.round([*first.orientation.ravel(), *first.spacing_mm], 4) + 0.0  # no -0
        return hashlib.sha256(f"{self.series_uid} {self.shape} {place.tolist()}".encode()).hexdigest()[:12]

    def describe(self) -> str:
        """One phrase to tell a stack from its neighbours, without patient data."""
        first, n = self.headers[0], self.n_slices
        facing = ("sagittal", "coronal", "axial")[int(np.abs(first.normal).argmax())]
        (rows, columns), (row_mm, column_mm) = first.shape, first.spacing_mm
        pixels = f"{row_mm:.3g} mm" if row_mm == column_mm else f"{row_mm:.3g} x {column_mm:.3g} mm"
        heights = [float(header.position @ first.normal) for header in self.headers]
        apart = f", {(heights[-1] - heights[0]) / (n - 1):.3g} mm apart" if n > 1 else ""
        return f"{n} {facing} slice{'s'[: n > 1]} of {rows} x {columns}, {pixels} pixels{apart}"


@dataclass(frozen=True, eq=False)
class Discovery:
    """What lies below a place.

    Attributes:
        series: each stack of slices, in the order of their first files.
        left_out: how many files are no CT slice, by reason.
        damaged: one line for each file that should have been a CT image.
    """

    series: tuple[FoundSeries, ...]
    left_out: Mapping[str, int]
    damaged: tuple[str, ...]


def find_series(place: Path) -> Discovery:
    """Look for CT series; a bad file is told of in the result and never raises.

    Args:
        place: a folder, searched with all its subfolders; or one DICOM file.

    Raises:
        DicomError: there is no such place, or it cannot be searched.
    """
    left_out: Counter[str] = Counter()
    damaged: list[str] = []
    headers: list[SliceHeader] = []
    for path in [place] if place.is_file() else find_files(place):
        try:
            headers.append(read_slice_header(path))
        except SkippedFile as reason:
            left_out[str(reason)] += 1
        except DicomError as error:
            damaged.append(str(error))
    stacks = (sort_along_normal(stack) for stack in group_stacks(headers))
    return Discovery(
        tuple(FoundSeries(stack[0].series_uid, tuple(stack)) for stack in stacks), dict(left_out), tuple(damaged)
    )


def check_series(found: FoundSeries, *, allow_gaps: bool = False, resample_tilt: bool = False) -> None:
    """Raise what :func:`load_series` would about the places of the slices; only pixels of doubtful copies are read.

    Raises:
        DuplicateError: several images at one position.
        TiltError: a tilted gantry.
        GapError: uneven steps.
    """
    stack_affine(without_copies(found.headers)[0])


def load_series(
    found: FoundSeries, *, allow_gaps: bool = False, resample_tilt: bool = False, on_warning: Warn | None = None
) -> Volume:
    """Read the pixels of a stack of slices.

    Padding becomes air (-1000 HU); no other value is changed. Slices that name different frames of reference are one
    stack as long as their positions form one.

    Args:
        found: from :func:`find_series`.
        allow_gaps: take uneven steps.
        resample_tilt: shear the slices of a tilted gantry to an upright stack.
        on_warning: called with one line for each thing worth knowing.

    Returns:
        HU ``[z, y, x]``, affine and one header a slice. A lone slice takes its step from SpacingBetweenSlices,
        SliceThickness or 1 mm, in that order.

    Raises:
        DicomError: as :func:`check_series`; a damaged file, no rescale to HU, or a missing decoder.
    """
    warn = on_warning or (lambda line: None)
    ordered, copies = without_copies(found.headers)
    folder = ordered[0].path.parent
    if copies:
        warn(f"{folder}: left out {copies} identical duplicate(s) of slices")
    affine = stack_affine(ordered)
    frames = {header.frame_of_reference_uid for header in ordered}
    if len(frames) > 1:
        warn(f"{folder}: the slices name {len(frames)} frames of reference, yet their positions form one stack")
    return _decode(ordered, affine, folder, warn)


def _decode(ordered: list[SliceHeader], affine: NDArray[np.float64], folder: Path, warn: Warn) -> Volume:
    first = decode_slice(ordered[0].path)  # before the volume is made: a header may lie about the size
    hu = np.empty((len(ordered), *first.hu.shape), np.float32)
    json_headers, n_padding = [], 0
    for z, header in enumerate(ordered):
        decoded = decode_slice(header.path) if z else first
        hu[z] = decoded.hu
        json_headers.append(decoded.header)
        n_padding += decoded.n_padding
    warn_values(warn, folder, n_padding, int(np.count_nonzero(hu < LOWEST_PLAUSIBLE_HU)), float(hu.min()))
    return Volume(hu, affine, tuple(json_headers))


def without_copies(ordered: tuple[SliceHeader, ...]) -> tuple[list[SliceHeader], int]:
    """Drop slices that repeat their neighbour pixel for pixel; refuse those that only share its position."""
    kept = list(ordered[:1])
    for header in ordered[1:]:
        if not same_place(kept[-1], header):
            kept.append(header)
        elif not _same_image(kept[-1], header):
            raise DuplicateError(
                f"{header.path.parent}: {kept[-1].path.name} and {header.path.name} lie at the same position with "
                "different pixels; expected one slice a position; keep only one acquisition"
            )
    return kept, len(ordered) - len(kept)


def _same_image(a: SliceHeader, b: SliceHeader) -> bool:
    return np.allclose(a.position, b.position, rtol=0, atol=SAME_PLACE_MM) and np.array_equal(
        decode_slice(a.path).hu, decode_slice(b.path).hu
    )


def warn_values(warn: Warn, folder: Path, n_padding: int, n_low: int, lowest: float) -> None:
    """Tell of padding that was found, and of values that look like padding."""
    if n_padding:
        warn(f"{folder}: {n_padding} padding pixels set to -1000 HU (air)")
    if n_low:
        warn(f"{folder}: {n_low} pixels lie below -1024 HU (down to {lowest:g}) and are kept; undeclared padding?")
