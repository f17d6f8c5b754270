"""Make one stack of CT images: which belong together, in what order, and where it lies in the patient."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctresample.data_tools.dicom.errors import GapError, TiltError
from ctresample.data_tools.dicom.headers import SliceHeader, from_first_to_centre_mm
from ctresample.data_tools.dicom.tolerance import along_normal_mm, same_place_mm, within_plane_mm

_LEAST_TURN = 0.02  # of a cosine: where pixels are few, a degree may move none of them, yet it is another plane


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


def _series_uid(header: SliceHeader) -> str:
    return header.series_uid


def group_stacks(
    headers: Iterable[SliceHeader], series_of: Callable[[SliceHeader], str] = _series_uid
) -> list[list[SliceHeader]]:
    """Split images into stacks: equal series, matrix, orientation and pixel spacing, as far as a pixel tells.

    FrameOfReferenceUID does not split: de-identification has given some public series one UID a slice. What it
    would protect from, positions that do not belong together, shows in :func:`place_stack`.
    """
    series: dict[tuple[str, tuple[int, int]], list[list[SliceHeader]]] = {}
    stacks: list[list[SliceHeader]] = []
    for header in headers:
        siblings = series.setdefault((series_of(header), header.shape), [])
        home = next((stack for stack in siblings if same_plane(stack[0], header)), None)
        if home is None:
            siblings.append([header])
            stacks.append(siblings[-1])
        else:
            home.append(header)
    return stacks


def same_plane(a: SliceHeader, b: SliceHeader) -> bool:
    """Whether orientation and pixel spacing put the corners of two slices of one matrix at the same places.

    Each may differ from the middle of its stack by the tolerance, so two by twice that.
    """
    half_a = from_first_to_centre_mm(a.shape, a.spacing_mm)
    half_b = from_first_to_centre_mm(b.shape, b.spacing_mm)
    along_rows = half_a[0] * a.orientation[0] - half_b[0] * b.orientation[0]
    down_columns = half_a[1] * a.orientation[1] - half_b[1] * b.orientation[1]
    corner_mm = max(np.linalg.norm(along_rows + down_columns), np.linalg.norm(along_rows - down_columns))
    turn = float(np.abs(a.orientation - b.orientation).max())
    return bool(corner_mm <= 2 * within_plane_mm(min(*a.spacing_mm, *b.spacing_mm)) and turn < _LEAST_TURN)


def sort_along_normal(stack: Sequence[SliceHeader]) -> list[SliceHeader]:
    """Order slices by their position along the normal; instance numbers and file names prove nothing."""
    normal = stack[0].normal
    return sorted(stack, key=lambda header: (float(header.centre @ normal), header.file, header.frame or 0))


def same_place(a: SliceHeader, b: SliceHeader) -> bool:
    """Whether two slices of a stack lie at one position along the normal."""
    return abs(float((b.centre - a.centre) @ a.normal)) < same_place_mm(min(a.spacing_mm))


def heights_mm(ordered: Sequence[SliceHeader]) -> NDArray[np.float64]:
    """Of the middle of each slice along their common normal, above the first."""
    centres = np.stack([header.centre for header in ordered])
    orientation = common_orientation(ordered)
    return (centres - centres[0]) @ np.cross(orientation[0], orientation[1])


def step_range_mm(ordered: Sequence[SliceHeader]) -> tuple[float, float]:
    """The least and the largest step between different positions, of which there are two; equal on an even grid."""
    heights = heights_mm(ordered)
    heights = heights[np.diff(heights, prepend=-np.inf) >= same_place_mm(min(ordered[0].spacing_mm))]
    steps = np.full(1, np.diff(heights).mean()) if is_even(heights) else np.diff(heights)
    return float(steps.min()), float(steps.max())


def is_even(heights_mm: NDArray[np.float64]) -> bool:
    """Whether positions lie on an even grid, but for rounding; steps alone would let small errors add up."""
    first_mm, step_mm = _even_grid(heights_mm)
    even = first_mm + step_mm * np.arange(len(heights_mm))
    return bool((np.abs(heights_mm - even) <= along_normal_mm(step_mm) + 1e-6).all())


def _even_grid(heights_mm: NDArray[np.float64]) -> tuple[float, float]:
    """First height and step of the even grid that is nearest: least squares, then as far off above as below."""
    n = len(heights_mm)
    index = np.arange(n) - (n - 1) / 2
    step_mm = float(index @ heights_mm) / max(float(index @ index), 0.5)
    off = heights_mm - step_mm * np.arange(n)
    return float(off.max() + off.min()) / 2, step_mm


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
    first, orientation = ordered[0], common_orientation(ordered)
    normal = np.cross(orientation[0], orientation[1])
    centres = np.stack([header.centre for header in ordered])
    heights = (centres - centres[0]) @ normal
    sideways = (centres - centres[0]) @ orientation.T
    shifts = np.linalg.norm(sideways, axis=1)
    worst = int(shifts.argmax())
    tilt_deg = float(np.degrees(np.arctan2(shifts[worst], heights[worst]))) if len(ordered) > 1 else 0.0
    middle = (sideways.max(axis=0) + sideways.min(axis=0)) / 2
    allowed = np.array([within_plane_mm(mm) for mm in first.spacing_mm[::-1]])
    upright = bool((np.abs(sideways - middle) <= allowed + 1e-6).all())
    if not (upright or resample_tilt):
        raise TiltError(
            f"{_folder(ordered)}: the slices shift sideways, {shifts[worst]:.2f} mm over {heights[worst]:.2f} mm "
            f"(a gantry tilt of {tilt_deg:.1f} degrees); expected an upright stack; --resample-tilt shears the slices "
            f"to one{_frames_hint(ordered)}",
            tilt_deg,
        )
    steps, even = np.diff(heights), is_even(heights)
    if not (even or allow_gaps):
        raise GapError(
            f"{_folder(ordered)}: a gap or uneven step: {_odd_step(ordered, steps)}; add the missing slices, or take "
            "them where they are with --allow-gaps, or make even steps of MM millimetres of them with --even-steps MM"
            f"{_frames_hint(ordered)}"
        )
    start_mm, step_mm = 0.0, first.nominal_step_mm
    if len(ordered) > 1:
        start_mm, step_mm = _even_grid(heights) if even else (0.0, float(np.median(steps)))
    affine = np.eye(4)
    affine[:3, 0] = orientation[0] * first.spacing_mm[1]
    affine[:3, 1] = orientation[1] * first.spacing_mm[0]
    affine[:3, 2] = normal * step_mm
    middle_of_first = centres[0] + start_mm * normal + (middle @ orientation if upright else 0.0)
    affine[:3, 3] = middle_of_first - from_first_to_centre_mm(first.shape, first.spacing_mm) @ orientation
    return StackPlace(affine, None if even else tuple(heights.tolist()), None if upright else sideways, tilt_deg)


def _odd_step(ordered: Sequence[SliceHeader], steps: NDArray[np.float64]) -> str:
    """The step that differs most from the others, and what else changes there."""
    usual = float(np.median(steps))
    odd = int(np.abs(steps - usual).argmax())
    below, above = ordered[odd], ordered[odd + 1]
    changed = below.marks.get("AcquisitionNumber") != above.marks.get("AcquisitionNumber")
    between = ", where AcquisitionNumber changes" if changed else ""
    return (
        f"{steps[odd]:.2f} mm between {below.name} and {above.name}{between}; expected {usual:.2f} mm as between most "
        "slices"
    )


def common_orientation(ordered: Sequence[SliceHeader]) -> NDArray[np.float64]:
    """Unit vectors ``(2, 3)`` in the middle of those of all slices."""
    first = ordered[0].orientation
    mean = np.mean([header.orientation - first for header in ordered], axis=0) + first
    along_row = mean[0] / np.linalg.norm(mean[0])
    down_column = mean[1] - along_row * (along_row @ mean[1])
    return np.stack([along_row, down_column / np.linalg.norm(down_column)])


def _folder(ordered: Sequence[SliceHeader]) -> str:
    return str(ordered[0].file.folder)


def _frames_hint(ordered: Sequence[SliceHeader]) -> str:
    frames = {header.frame_of_reference_uid for header in ordered}
    if len(frames) == 1:
        return ""
    return f" (the slices name {len(frames)} frames of reference, so their positions may not belong together)"
