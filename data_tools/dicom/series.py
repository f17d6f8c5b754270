"""One stack of CT slices: what it is, what is wrong with it, and how it becomes a volume."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctresample.data_tools.dicom.errors import DuplicateError, GapError, TiltError, UnreadableImageError
from ctresample.data_tools.dicom.even import check_step, with_even_steps
from ctresample.data_tools.dicom.files import DicomFile
from ctresample.data_tools.dicom.headers import BY_SLICE_LOCATION, MAX_PIXELS, SliceHeader
from ctresample.data_tools.dicom.neighbours import neighbour_doubts
from ctresample.data_tools.dicom.pixels import SliceDecoder
from ctresample.data_tools.dicom.spacing import step_doubts
from ctresample.data_tools.dicom.stack import StackPlace, place_stack, same_place, step_range_mm
from ctresample.data_tools.dicom.tilt import Upright
from ctresample.data_tools.dicom.tolerance import same_place_mm
from ctresample.data_tools.dicom.values import ValueCounts
from ctresample.errors import DicomError
from ctresample.volume import Volume

_STUDY_UID, _SERIES_UID, _FRAME_OF_REFERENCE_UID = "0020000D", "0020000E", "00200052"

Warn = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class FoundSeries:
    """One stack of CT slices: of one series, matrix, orientation and pixel size.

    Attributes:
        series_uid: SeriesInstanceUID. A series of several stacks has several of these.
        headers: sorted along the normal of the slices.
        damaged: files of the series whose header cannot be used, and what is wrong, in one line that names the file.
        part: what sets the stack apart from others of its series, in words without patient data; empty if nothing does.
        identity: the same for the key; not shown.
        joined: made of images of several series, or of none, because one series was asked for.
    """

    series_uid: str
    headers: tuple[SliceHeader, ...]
    damaged: Mapping[DicomFile, str] = field(default_factory=dict)
    part: str = ""
    identity: tuple[str, ...] = field(default=(), repr=False)
    joined: bool = False

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
    def shown_uid(self) -> str:
        """The series UID, to choose by; nothing of it where it is none, for then it may say anything."""
        return self.series_uid if re.fullmatch(r"[0-9.]{1,64}", self.series_uid) else "no valid UID"

    @property
    def key(self) -> str:
        """Twelve hex digits that name the stack, whatever lies beside it, and say nothing of the patient."""
        first = self.headers[0]
        kind = np.round([*first.orientation.ravel(), *first.spacing_mm], 4) + 0.0  # no -0
        identity = f" {self.identity}" if self.identity else ""
        text = f"{self.series_uid} {self.shape} {kind.tolist()}{identity}"
        return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:12]

    @property
    def facing(self) -> str:
        """The plane that the slices are nearest to: "sagittal", "coronal" or "axial"."""
        return ("sagittal", "coronal", "axial")[int(np.abs(self.headers[0].normal).argmax())]

    def describe(self) -> str:
        """One phrase to tell a stack from its neighbours, without patient data."""
        n, (rows, columns), (row_mm, column_mm) = self.n_slices, self.shape, self.headers[0].spacing_mm
        pixels = f"{row_mm:.3g} mm" if row_mm == column_mm else f"{row_mm:.3g} x {column_mm:.3g} mm"
        steps = sorted({f"{mm:.3g}" for mm in step_range_mm(self.headers)}, key=float) if n > 1 else []
        apart = f", {' to '.join(steps)} mm apart" if steps else ""
        part = f", {self.part}" if self.part else ""
        return f"{n} {self.facing} slice{'s'[: n > 1]} of {rows} x {columns}, {pixels} pixels{apart}{part}"


def check_series(found: FoundSeries, *, allow_gaps: bool = False, resample_tilt: bool = False) -> None:
    """Raise what :func:`load_series` would about headers and places; only pixels of doubtful copies are read.

    Raises:
        UnreadableImageError: an image of the series cannot be used.
        DuplicateError: several images at one position.
        TiltError: a tilted gantry.
        GapError: uneven steps.
    """
    _placed(found, allow_gaps, resample_tilt)


def verdict(found: FoundSeries) -> tuple[str, tuple[str, ...]]:
    """What keeps a stack from being loaded as it is, and the options with which it can be.

    Returns:
        An empty text where nothing does. No options where none would help.
    """
    problem = ""
    for gaps, tilt in ((False, False), (True, False), (False, True), (True, True)):
        try:
            check_series(found, allow_gaps=gaps, resample_tilt=tilt)
        except (GapError, TiltError) as error:
            problem = problem or str(error)
        except DicomError as error:
            return problem or str(error), ()  # no option mends it
        else:
            return problem, ("--allow-gaps",) * gaps + ("--resample-tilt",) * tilt
    return problem, ()


def doubts_of(found: FoundSeries) -> list[str]:
    """What is doubtful in the headers, and in the values of the middle slice: a glance, not all that loading tells.

    Raises:
        DicomError: a middle slice that cannot be decoded, or whose values are certainly no HU.
    """
    middle = found.headers[len(found.headers) // 2]
    decoded = SliceDecoder().decode(middle.file, middle.frame)
    if reason := decoded.values.why_not_hu():
        raise DicomError(f"{middle.file}: {reason}; expected HU; look at RescaleSlope, RescaleIntercept and the unit")
    return [*_header_doubts(found.headers), *decoded.values.doubts(decoded.header)]


def _header_doubts(headers: Sequence[SliceHeader]) -> list[str]:
    """What the headers of sorted slices say that is odd, each once."""
    doubts = dict.fromkeys(doubt for header in headers for doubt in header.doubts)
    thickness_mm, steps_mm = headers[0].thickness_mm, step_range_mm(headers) if len(headers) > 1 else ()
    return [*doubts, *step_doubts(steps_mm[0], thickness_mm)] if steps_mm else [*doubts]


def load_series(
    found: FoundSeries,
    *,
    allow_gaps: bool = False,
    resample_tilt: bool = False,
    even_steps_mm: float | None = None,
    on_warning: Warn | None = None,
) -> Volume:
    """Read the pixels of a stack of slices.

    Padding becomes air (-1000 HU); no other value is changed, but by ``resample_tilt`` and ``even_steps_mm``. Slices
    that name different frames of reference are one stack as long as their positions form one.

    Args:
        found: from `find_series`.
        allow_gaps: take uneven steps; every slice keeps its true position.
        resample_tilt: shear the slices of a tilted gantry to an upright stack, see `Upright`.
        even_steps_mm: interpolate a stack of uneven steps at even ones, see `with_even_steps`.
        on_warning: called with one line for each thing worth knowing.

    Returns:
        HU ``[z, y, x]``, affine and one header a slice, as in the source. A lone slice takes its step from
        SpacingBetweenSlices, SliceThickness or 1 mm, in that order.

    Raises:
        DicomError: as :func:`check_series`; a damaged file, no rescale to HU, values that are certainly no HU, or a
            missing decoder.
        UsageError: even steps that cannot be.
    """
    warn = on_warning or (lambda line: None)
    check_step(even_steps_mm)
    ordered, place = _placed(found, allow_gaps or even_steps_mm is not None, resample_tilt)
    folder = ordered[0].file.folder
    if copies := len(found.headers) - len(ordered):
        warn(f"{folder}: left out {copies} identical duplicate(s) of slices")
    frames = {header.frame_of_reference_uid for header in ordered}
    if len(frames) > 1:
        warn(f"{folder}: the slices name {len(frames)} frames of reference, yet their positions form one stack")
    for doubt in _header_doubts(ordered):
        warn(f"{folder}: {doubt}")
    if found.joined:
        warn(f"{folder}: taken as one series, whatever the UIDs of its images; study and series are those of the first")
    if place.offsets_mm is not None:
        least, most = step_range_mm(ordered)
        lie = "and keep their true positions" if even_steps_mm is None else f"and are interpolated {even_steps_mm:g} mm"
        warn(f"{folder}: slices lie {least:.2f} to {most:.2f} mm apart {lie}{' apart' * (even_steps_mm is not None)}")
    upright = None
    if place.sideways_mm is not None:
        upright = Upright(place.affine, place.sideways_mm, found.shape)
        if math.prod(upright.shape) > MAX_PIXELS:
            raise DicomError(
                f"{folder}: slices shift sideways by up to {np.ptp(place.sideways_mm):.3g} mm, too much to be a tilted "
                "gantry; export the series again"
            )
        warn(
            f"{folder}: a gantry tilt of {place.tilt_deg:.1f} degrees is undone by resampling the slices, now of "
            f"{upright.shape[0]} x {upright.shape[1]} pixels"
        )
    volume = _decode(ordered, place, upright, warn)
    if found.joined:
        volume = replace(volume, headers=_of_one_series(volume.headers))
    if even_steps_mm is not None:
        volume, n_far = with_even_steps(volume, even_steps_mm)
        if n_far:
            warn(f"{folder}: {n_far} of {len(volume.hu)} slices lie in gaps, further than a step from what was scanned")
    return volume


def _of_one_series(headers: Sequence[Mapping[str, object]]) -> tuple[dict[str, Any], ...]:
    """The same headers with the study, series and frame of reference of the first, which its export needs."""
    shared = {tag: headers[0].get(tag) for tag in (_STUDY_UID, _SERIES_UID, _FRAME_OF_REFERENCE_UID)}
    others = ({tag: entry for tag, entry in header.items() if tag not in shared} for header in headers)
    return tuple({**header, **{tag: entry for tag, entry in shared.items() if entry}} for header in others)


def _placed(found: FoundSeries, allow_gaps: bool, resample_tilt: bool) -> tuple[list[SliceHeader], StackPlace]:
    if found.damaged:
        more = f" (and {len(found.damaged) - 1} more images of this series)" if len(found.damaged) > 1 else ""
        raise UnreadableImageError(next(iter(found.damaged.values())) + more, found.series_uid)
    ordered = _without_copies(found.headers)
    return ordered, place_stack(ordered, allow_gaps=allow_gaps, resample_tilt=resample_tilt)


def _decode(ordered: Sequence[SliceHeader], place: StackPlace, upright: Upright | None, warn: Warn) -> Volume:
    decoder, json_headers, values = SliceDecoder(), [], ValueCounts()
    for z, header in enumerate(ordered):
        decoded = decoder.decode(header.file, header.frame)
        if z == 0:  # not before: a header may lie about the size
            hu = _room(len(ordered), upright.shape if upright else decoded.hu.shape, header)
        hu[z] = upright.slice(decoded.hu, z) if upright else decoded.hu
        json_headers.append(decoded.header)
        values += decoded.values
    folder = ordered[0].file.folder
    if reason := values.why_not_hu():
        raise DicomError(f"{folder}: {reason}; expected HU; look at RescaleSlope, RescaleIntercept and the unit")
    warn_values(warn, folder, values)
    for doubt in (*values.doubts(json_headers[0]), *neighbour_doubts(hu, [header.name for header in ordered])):
        warn(f"{folder}: {doubt}")
    affine = upright.affine if upright else place.affine
    return Volume(hu, affine, tuple(json_headers), place.offsets_mm)


def _room(n: int, shape: tuple[int, ...], first: SliceHeader) -> NDArray[np.float32]:
    try:
        return np.empty((n, *shape), np.float32)
    except MemoryError as error:
        gib = n * math.prod(shape) * 4 / 2**30
        raise DicomError(
            f"{first.file.folder}: {n} slices of {' x '.join(map(str, shape))} pixels take {gib:.1f} GiB, more than "
            "there is; use a machine with more memory, or fewer slices"
        ) from error


def _without_copies(ordered: Sequence[SliceHeader]) -> list[SliceHeader]:
    """Drop slices that repeat their neighbour pixel for pixel; refuse those that only share its position."""
    kept = [ordered[0]]
    for header in ordered[1:]:
        if not same_place(kept[-1], header):
            kept.append(header)
        elif not _same_image(kept[-1], header):
            raise DuplicateError(
                f"{header.file.folder}: {kept[-1].name} and {header.name} lie at the same position with different "
                f"pixels; expected one slice a position; {_way_out(ordered)}"
            )
    return kept


def _way_out(ordered: Sequence[SliceHeader]) -> str:
    """What to do about images at one position: by all that is known, nothing else tells them apart."""
    if by_slice_location(ordered) is not None:
        return "their SliceLocation differs: --one-series places slices by it"
    return "keep only one acquisition"


def by_slice_location(stack: Sequence[SliceHeader]) -> list[SliceHeader] | None:
    """The same slices where SliceLocation says, if their positions are all one and their SliceLocations are not."""
    first, places = stack[0], [header.slice_location_mm for header in stack]
    apart_mm = np.ptp([header.centre for header in stack], axis=0).max()
    if (
        len(stack) < 2
        or None in places
        or len(set(places)) < len(places)
        or apart_mm > same_place_mm(min(first.spacing_mm))
    ):
        return None
    start = min(place for place in places if place is not None)
    return [
        replace(
            header,
            position=header.position + ((header.slice_location_mm or 0.0) - start) * header.normal,
            doubts=(*header.doubts, BY_SLICE_LOCATION),
        )
        for header in stack
    ]


def _same_image(a: SliceHeader, b: SliceHeader) -> bool:
    if not np.allclose(a.position, b.position, rtol=0, atol=same_place_mm(min(a.spacing_mm))):
        return False
    decoder = SliceDecoder()
    return np.array_equal(decoder.decode(a.file, a.frame).hu, decoder.decode(b.file, b.frame).hu)


def warn_values(warn: Warn, folder: Path, values: ValueCounts) -> None:
    """Tell of padding that was found, and of values that look like padding."""
    if values.n_padding:
        warn(f"{folder}: {values.n_padding} padding pixels set to -1000 HU (air)")
    if below := values.far_below_air():
        warn(f"{folder}: {below}")
