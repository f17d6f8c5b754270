"""Make one regular stack of CT images: which belong together, in what order, and where it lies in the patient."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ctresample.data_tools.dicom_errors import GapError, TiltError
from ctresample.data_tools.dicom_headers import SliceHeader

SAME_PLACE_MM = 0.01
"""Slices closer than this lie at one position; also the sideways shift that rounding in the header explains."""


def group_stacks(headers: Iterable[SliceHeader]) -> list[list[SliceHeader]]:
    """Split images into stacks: equal series, matrix, orientation and pixel spacing (to 1e-4).

    FrameOfReferenceUID does not split: de-identification has given some public series one UID a slice. What it
    would protect from, positions that do not belong together, shows in :func:`stack_affine`.
    """
    stacks: list[list[SliceHeader]] = []
    for header in headers:
        home = next((stack for stack in stacks if _belong_together(stack[0], header)), None)
        if home is None:
            stacks.append([header])
        else:
            home.append(header)
    return stacks


def _belong_together(a: SliceHeader, b: SliceHeader) -> bool:
    return (
        a.series_uid == b.series_uid
        and a.shape == b.shape
        and np.allclose(a.spacing_mm, b.spacing_mm, rtol=0, atol=1e-4)
        and np.allclose(a.orientation, b.orientation, rtol=0, atol=1e-4)
    )


def describe_stack(stack: Sequence[SliceHeader]) -> str:
    """One phrase to tell a stack from its neighbours, without patient data."""
    first = stack[0]
    facing = ("sagittal", "coronal", "axial")[int(np.abs(first.normal).argmax())]
    (rows, columns), (row_mm, column_mm) = first.shape, first.spacing_mm
    matrix = f"{rows} x {columns} pixels of {row_mm:.3g} x {column_mm:.3g} mm"
    return f"{first.series_uid} ({len(stack)} {facing} slice{'s'[: len(stack) > 1]}, {matrix})"


def sort_along_normal(stack: Sequence[SliceHeader]) -> list[SliceHeader]:
    """Order slices by their position along the normal; instance numbers and file names prove nothing."""
    normal = stack[0].normal
    return sorted(stack, key=lambda header: (float(header.position @ normal), header.path))


def same_place(a: SliceHeader, b: SliceHeader) -> bool:
    """Whether two slices of a stack lie at one position along the normal."""
    return abs(float((b.position - a.position) @ a.normal)) < SAME_PLACE_MM


def stack_affine(ordered: Sequence[SliceHeader]) -> NDArray[np.float64]:
    """Affine ``(4, 4)`` from (column, row, slice, 1) to LPS mm of sorted slices without duplicates.

    Raises:
        TiltError: slices shifted sideways.
        GapError: uneven steps, so missing slices.
    """
    first, last, normal = ordered[0], ordered[-1], ordered[0].normal
    offsets = np.stack([header.position - first.position for header in ordered])
    heights = offsets @ normal
    _check_sideways(offsets - heights[:, None] * normal, heights, ordered)
    if len(ordered) > 1:
        _check_steps(np.diff(heights), ordered)
    step_mm = heights[-1] / (len(ordered) - 1) if first is not last else first.nominal_step_mm
    affine = np.eye(4)
    affine[:3, 0] = first.orientation[0] * first.spacing_mm[1]
    affine[:3, 1] = first.orientation[1] * first.spacing_mm[0]
    affine[:3, 2] = normal * step_mm
    affine[:3, 3] = first.position
    return affine


def _check_sideways(
    sideways: NDArray[np.float64], heights: NDArray[np.float64], ordered: Sequence[SliceHeader]
) -> None:
    shifts = np.linalg.norm(sideways, axis=1)
    # rounded direction cosines let a long stack drift a little
    if (shifts <= SAME_PLACE_MM + 5e-4 * heights).all():
        return
    worst = int(shifts.argmax())
    angle_deg = float(np.degrees(np.arctan2(shifts[worst], heights[worst])))
    raise TiltError(
        f"{ordered[0].path.parent}: the slices shift sideways, {shifts[worst]:.2f} mm over {heights[worst]:.2f} mm "
        f"(a gantry tilt of {angle_deg:.1f} degrees); expected an upright stack; "
        f"resample the series without tilt first{_frames_hint(ordered)}",
        angle_deg,
    )


def _check_steps(steps: NDArray[np.float64], ordered: Sequence[SliceHeader]) -> None:
    usual = float(np.median(steps))
    off = np.abs(steps - usual)
    if (off <= max(0.01 * usual, 0.05)).all():
        return
    worst = int(off.argmax())
    raise GapError(
        f"{ordered[0].path.parent}: a gap or uneven step: {steps[worst]:.2f} mm between {ordered[worst].path.name} "
        f"and {ordered[worst + 1].path.name}; expected {usual:.2f} mm as between most slices; "
        f"add the missing slices, or keep only an evenly spaced part{_frames_hint(ordered)}"
    )


def _frames_hint(ordered: Sequence[SliceHeader]) -> str:
    frames = {header.frame_of_reference_uid for header in ordered}
    if len(frames) == 1:
        return ""
    return f" (the slices name {len(frames)} frames of reference, so their positions may not belong together)"
