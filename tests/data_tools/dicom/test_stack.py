"""Where slices lie: from positions alone, never averaged, whatever the plane."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctresample.data_tools.dicom.errors import GapError, TiltError
from ctresample.data_tools.dicom.files import DicomFile
from ctresample.data_tools.dicom.headers import SliceHeader
from ctresample.data_tools.dicom.stack import group_stacks, place_stack, sort_along_normal
from ctresample.data_tools.dicom.tolerance import within_plane_mm
from ctresample.volume import slice_origins_mm


def stack(heights, *, tilt_deg=0.0, turn=(0.0, 0.0, 0.0), origin=(0.0, 0.0, 0.0), decimals=6):
    """Headers of slices at heights along their normal, shifted down their columns by the tilt."""
    rotation = np.eye(3)
    for axis, angle in enumerate(turn):
        cos, sin = np.cos(angle), np.sin(angle)
        plane = np.roll([[1, 0, 0], [0, cos, -sin], [0, sin, cos]], axis, axis=(0, 1))
        rotation = plane @ rotation
    along_row, down_column, normal = rotation.T
    lean = np.tan(np.radians(tilt_deg))
    return [
        SliceHeader(
            file=DicomFile(Path(f"{(7 * k) % 11}.dcm")),
            frame=None,
            instance_uid=str(k),
            series_uid="1.2",
            frame_of_reference_uid="1.3",
            shape=(8, 8),
            spacing_mm=(0.7, 0.7),
            orientation=np.stack([along_row, down_column]),
            position=np.round(origin + height * (normal + lean * down_column), decimals),
            nominal_step_mm=1.0,
        )
        for k, height in enumerate(heights)
    ]


angles = st.floats(-3, 3)
turns = st.tuples(angles, angles, angles)
steps = st.lists(st.floats(0.3, 20), min_size=1, max_size=12)


@given(steps, turns, st.floats(-30, 30))
def test_every_slice_keeps_its_height(mm, turn, tilt_deg):
    headers = stack(np.cumsum([0.0, *mm]), turn=turn, tilt_deg=tilt_deg, origin=(5.0, -6.0, 7.0))
    place = place_stack(sort_along_normal(headers[::-1]), allow_gaps=True, resample_tilt=True)
    found = slice_origins_mm(place.affine, len(headers), place.offsets_mm)
    normal = headers[0].normal
    for header, origin in zip(headers, found, strict=True):
        assert abs((header.position - origin) @ normal) <= max(0.1, 0.01 * max(mm)) + 1e-5
        sideways = np.linalg.norm(np.cross(origin - headers[0].position, normal))
        # upright on the first slice, or in the middle of what rounding may be
        assert sideways < (within_plane_mm(0.7) + 1e-5 if place.sideways_mm is None else 1e-5)
    if place.sideways_mm is not None:
        assert place.tilt_deg == pytest.approx(abs(tilt_deg), abs=0.1)


@given(st.integers(2, 300), st.floats(0.5, 10), turns)
def test_positions_rounded_to_a_tenth_of_a_millimetre_are_even(n, step_mm, turn):
    """As many archives hold them, in a plane along the axes."""
    place = place_stack(stack(np.arange(n) * step_mm, decimals=1))
    assert place.offsets_mm is None
    assert np.linalg.norm(place.affine[:3, 2]) == pytest.approx(step_mm, abs=0.1 / (n - 1))


@given(st.integers(3, 300), st.data())
def test_a_missing_slice_is_a_gap(n, data):
    heights = np.delete(np.arange(n + 1) * 2.5, data.draw(st.integers(1, n - 1)))
    with pytest.raises(GapError):
        place_stack(stack(heights))


def test_steps_that_drift_are_no_even_grid():
    """Each step is within a per cent of the next, and the middle slice a centimetre from where an average puts it."""
    with pytest.raises(GapError):
        place_stack(stack(np.cumsum(np.linspace(2.4, 2.6, 200))))


@pytest.mark.parametrize("turn", [(0, 0, 0), (0.3, 0.2, 0.1), (1.5, 0, 0)])
@pytest.mark.parametrize("tilt_deg", [-25, -1, 0.5, 18.5])
def test_tilt(turn, tilt_deg):
    headers = stack(np.arange(30) * 5.0, turn=turn, tilt_deg=tilt_deg)
    with pytest.raises(TiltError, match=rf"tilt of {abs(tilt_deg)}(\.0)? degrees") as caught:
        place_stack(headers)
    assert caught.value.angle_deg == pytest.approx(abs(tilt_deg), abs=0.01)


def test_grouping_takes_time_in_proportion():
    headers = stack(np.arange(40) * 1.0)
    mixed = [
        SliceHeader(**{**vars(header), "series_uid": f"1.{series}"}) for header in headers for series in range(500)
    ]
    stacks = group_stacks(mixed)
    assert [len(one) for one in stacks] == [40] * 500
