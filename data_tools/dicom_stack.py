"""Make one stack of CT images: which belong together, in what order, and where it lies in the patient."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctresample.data_tools.dicom_errors import GapError, TiltError
from ctresample.data_tools.dicom_headers import SliceHeader

SAME_PLACE_MM = 0.01
"""Slices closer than this lie at one position; also the sideways shift that rounding in the header explains."""

_ROUNDING_MM = 0.1  # of positions with one decimal, the ends of the stack among them
_DRIFT = 5e-4  # sideways, of the height: rounded direction cosines let a long stack drift a little


@dataclass(frozen=True, eq=False)
class StackPlace:
    """Where the slices of a stack lie.

    Attributes:
        affine: ``(4, 4)``, from (column, row, slice, 1) to LPS mm of an upright stack on the first slice.
        offsets_mm: of each slice along the normal from the first, where they are not evenly spaced; else None.
        sideways_mm: ``(slices, 2)``: how far each is shifted along its rows and down its columns; None if upright.
        tilt_deg: angle between the normal and the line through the slices.
    """

    affine: NDArray[np.float64]
    offsets_mm: tuple[float, ...] | None
    sideways_mm: NDArray[np.float64] | None
    tilt_deg: float


def group_stacks(headers: Iterable[SliceHeader]) -> list[list[SliceHeader]]:
    """Split images into stacks: equal series, matrix, orientation and pixel spacing (to 1e-4).

    FrameOfReferenceUID does not split: de-identification has given some public series one UID a slice. What it
    would protect from, positions that do not belong together, shows in :func:`place_stack`.
    """
    series: dict[tuple[str, tuple[int, int]], list[list[SliceHeader]]] = {}
    stacks: list[list[SliceHeader]] = []
    for header in headers:
        siblings = series.setdefault((header.series_uid, header.shape), [])
        home = next((stack for stack in siblings if _belong_together(stack[0], header)), None)
        if home is None:
            siblings.append([header])
            stacks.append(siblings[-1])
        else:
            home.append(header)
    return stacks


def _belong_together(a: SliceHeader, b: SliceHeader) -> bool:
    apart = np.abs(a.orientation - b.orientation).max(), *np.abs(np.subtract(a.spacing_mm, b.spacing_mm))
    return max(apart) <= 1e-4


def sort_along_normal(stack: Sequence[SliceHeader]) -> list[SliceHeader]:
    """Order slices by their position along the normal; instance numbers and file names prove nothing."""
    normal = stack[0].normal
    return sorted(stack, key=lambda header: (float(header.position @ normal), header.file, header.frame or 0))


def same_place(a: SliceHeader, b: SliceHeader) -> bool:
    """Whether two slices of a stack lie at one position along the normal."""
    return abs(float((b.position - a.position) @ a.normal)) < SAME_PLACE_MM


def step_range_mm(ordered: Sequence[SliceHeader]) -> tuple[float, float]:
    """The least and the largest step between different positions, of which there are two; equal on an even grid."""
    heights = np.array([header.position @ ordered[0].normal for header in ordered])
    heights = heights[np.diff(heights, prepend=-np.inf) >= SAME_PLACE_MM]
    steps = np.full(1, np.diff(heights).mean()) if is_even(heights) else np.diff(heights)
    return float(steps.min()), float(steps.max())


def is_even(heights_mm: NDArray[np.float64]) -> bool:
    """Whether positions lie on an even grid, but for rounding; steps alone would let small errors add up."""
    even = np.linspace(heights_mm[0], heights_mm[-1], len(heights_mm))
    step_mm = float(even[1] - even[0]) if len(even) > 1 else 0.0
    allowed_mm = max(0.01 * step_mm, min(_ROUNDING_MM, step_mm / 5))
    return bool((np.abs(heights_mm - even) <= allowed_mm + 1e-6).all())


def stack_affine(ordered: Sequence[SliceHeader]) -> NDArray[np.float64]:
    """Affine ``(4, 4)`` of a regular stack; see :func:`place_stack`."""
    return place_stack(ordered).affine


def place_stack(ordered: Sequence[SliceHeader], *, allow_gaps: bool = False, resample_tilt: bool = False) -> StackPlace:
    """Where sorted slices without duplicates lie.

    Args:
        ordered: slices of one orientation, upwards along their normal.
        allow_gaps: take uneven steps.
        resample_tilt: take slices that shift sideways.

    Raises:
        TiltError: slices shifted sideways.
        GapError: uneven steps, so missing slices.
    """
    first, normal = ordered[0], ordered[0].normal
    offsets = np.stack([header.position - first.position for header in ordered])
    heights = offsets @ normal
    sideways = offsets @ first.orientation.T
    shifts = np.linalg.norm(sideways, axis=1)
    worst = int(shifts.argmax())
    tilt_deg = float(np.degrees(np.arctan2(shifts[worst], heights[worst]))) if len(ordered) > 1 else 0.0
    upright = bool((shifts <= SAME_PLACE_MM + _DRIFT * heights).all())
    if not (upright or resample_tilt):
        raise TiltError(
            f"{_folder(ordered)}: the slices shift sideways, {shifts[worst]:.2f} mm over {heights[worst]:.2f} mm "
            f"(a gantry tilt of {tilt_deg:.1f} degrees); expected an upright stack; --resample-tilt shears the slices "
            f"to one{_frames_hint(ordered)}",
            tilt_deg,
        )
    steps, even = np.diff(heights), is_even(heights)
    if not (even or allow_gaps):
        usual = float(np.median(steps))
        odd = int(np.abs(steps - usual).argmax())
        raise GapError(
            f"{_folder(ordered)}: a gap or uneven step: {steps[odd]:.2f} mm between {ordered[odd].name} and "
            f"{ordered[odd + 1].name}; expected {usual:.2f} mm as between most slices; add the missing slices, or take "
            f"them where they are with --allow-gaps{_frames_hint(ordered)}"
        )
    if len(ordered) == 1:
        step_mm = first.nominal_step_mm
    else:
        step_mm = float(heights[-1] / (len(ordered) - 1) if even else np.median(steps))
    affine = np.eye(4)
    affine[:3, 0] = first.orientation[0] * first.spacing_mm[1]
    affine[:3, 1] = first.orientation[1] * first.spacing_mm[0]
    affine[:3, 2] = normal * step_mm
    affine[:3, 3] = first.position
    return StackPlace(affine, None if even else tuple(heights.tolist()), None if upright else sideways, tilt_deg)


def _folder(ordered: Sequence[SliceHeader]) -> str:
    return str(ordered[0].file.folder)


def _frames_hint(ordered: Sequence[SliceHeader]) -> str:
    frames = {header.frame_of_reference_uid for header in ordered}
    if len(frames) == 1:
        return ""
    return f" (the slices name {len(frames)} frames of reference, so their positions may not belong together)"
