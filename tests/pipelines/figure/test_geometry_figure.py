"""What is drawn stands where the documentation says, for every beam, and every label can be read."""

import math
import runpy
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.text import Text

from ctresample.errors import GeometryError, UsageError
from ctresample.geometry import ConeBeam, FanBeam, ImageGrid, ParallelBeam, VolumeGrid
from ctresample.pipelines.figure.geometry_figure import DETECTOR, IMAGE, RAYS, SOURCE, draw_scan
from ctresample.pipelines.figure.marks import INK, OFFSET

SCANS = runpy.run_path(str(Path(__file__).parents[3] / "benchmarks" / "figures" / "geometry.py"))["SCANS"]
GRID = ImageGrid((6, 8), 12.0, aspect=1.25, centre_mm=(6.0, -4.0))
VOLUME = VolumeGrid((5, 6, 8), 12.0, 10.0, centre_mm=(6.0, -4.0, 5.0))
BEAMS = ("parallel", "flat", "curved", "cone")


def lines(axes, colour):
    """The lines of one colour: arrays ``[place, (x, y)]``."""
    return [line.get_xydata() for line in axes.lines if line.get_color() == colour]


def rays(axes):
    return np.array([line for line in lines(axes, RAYS)])


@st.composite
def scans(draw):
    """A scan of at most 13 bins and 7 rows, so that all rays are drawn."""
    beam = draw(st.sampled_from(BEAMS))
    angle = st.floats(-7, 7)
    basic = {
        "angles_rad": draw(st.lists(angle, min_size=1, max_size=4)),
        "n_detectors": draw(st.integers(1, 13)),
        "detector_pitch_mm": draw(st.floats(1, 20)),
        "detector_offset_mm": draw(st.sampled_from([0.0, -17.0, 30.5])),
    }
    if beam == "parallel":
        return ParallelBeam(**basic)
    source_to_axis_mm = draw(st.floats(100, 600))
    basic |= {
        "source_to_axis_mm": source_to_axis_mm,
        "source_to_detector_mm": source_to_axis_mm * draw(st.floats(1, 2)),
        "axis_offset_mm": draw(st.sampled_from([0.0, -8.0, 11.0])),
    }
    if beam != "cone":
        return FanBeam(**basic, detector_shape=beam)
    rows = {"n_detector_rows": draw(st.integers(1, 7)), "detector_row_pitch_mm": draw(st.floats(1, 20))}
    return ConeBeam(**basic, **rows, detector_row_offset_mm=draw(st.sampled_from([0.0, 14.0])))


@settings(max_examples=25)
@given(geometry=scans(), data=st.data())
def test_rays_and_detector_are_drawn_where_the_page_says(geometry, data):
    view = data.draw(st.integers(0, geometry.n_views - 1))
    theta = geometry.angles_rad[view]
    figure = draw_scan(geometry, VOLUME if isinstance(geometry, ConeBeam) else GRID, view=view)
    drawn = rays(figure.axes[0])
    u, v = np.array([math.cos(theta), math.sin(theta)]), np.array([-math.sin(theta), math.cos(theta)])
    middle = (geometry.n_detectors - 1) / 2
    s = np.array([(k - middle) * geometry.detector_pitch_mm + geometry.detector_offset_mm for k in range(len(drawn))])
    assert len(drawn) == geometry.n_detectors
    if isinstance(geometry, ParallelBeam):
        assert drawn @ u == pytest.approx(np.stack([s, s], axis=1), abs=1e-6)
        assert (drawn[:, 1] @ v > drawn[:, 0] @ v).all()
    else:
        to_axis, to_detector = geometry.source_to_axis_mm, geometry.source_to_detector_mm
        source = -to_axis * v + geometry.axis_offset_mm * u
        assert drawn[:, 0] == pytest.approx(np.tile(source, (len(s), 1)), abs=1e-6)
        across, along = s, np.full_like(s, to_detector)
        if isinstance(geometry, FanBeam) and geometry.detector_shape == "curved":
            across, along = to_detector * np.sin(s / to_detector), to_detector * np.cos(s / to_detector)
        assert drawn[:, 1] == pytest.approx(source + across[:, None] * u + along[:, None] * v, abs=1e-6)
    detector, _, first = lines(figure.axes[0], DETECTOR)
    assert detector == pytest.approx(drawn[:, 1])
    assert first[0] == pytest.approx(drawn[0, 1])


@settings(max_examples=10)
@given(geometry=scans().filter(lambda scan: isinstance(scan, ConeBeam)))
def test_rows_from_the_side(geometry):
    drawn = rays(draw_scan(geometry, VOLUME).axes[1])
    middle = (geometry.n_detector_rows - 1) / 2
    z = [(r - middle) * geometry.detector_row_pitch_mm + geometry.detector_row_offset_mm for r in range(len(drawn))]
    assert drawn[:, 0] == pytest.approx(np.tile([-geometry.source_to_axis_mm, 0], (len(z), 1)), abs=1e-6)
    to_detector = geometry.source_to_detector_mm - geometry.source_to_axis_mm
    assert drawn[:, 1] == pytest.approx(np.stack([np.full(len(z), to_detector), z], axis=1), abs=1e-6)


def test_image_and_offsets():
    geometry = FanBeam((0.0,), 13, 20.0, 25.0, source_to_axis_mm=200, source_to_detector_mm=320, axis_offset_mm=-15)
    (axes, _) = draw_scan(geometry, GRID).axes
    outline, first = (patch.get_bbox().extents for patch in axes.patches[:2])
    assert outline == pytest.approx([6 - 4 * 12, -4 - 3 * 15, 6 + 4 * 12, -4 + 3 * 15])
    assert sorted(first) == pytest.approx(sorted([-42, 41, -42 + 12, 41 - 15]))  # pixel [0, 0]: left and top
    on_detector, at_axis = lines(axes, OFFSET)
    assert on_detector == pytest.approx(np.array([[-15, 120], [-15 + 25, 120]]))
    assert at_axis == pytest.approx(np.array([[0, 0], [-15, 0]]))


def test_other_views_are_dots_at_their_sources():
    angles = np.radians([0, 90, 200])
    geometry = FanBeam(angles, 3, 1.0, source_to_axis_mm=200, source_to_detector_mm=320)
    (dots,) = lines(draw_scan(geometry, GRID, view=1).axes[0], "#ef9a9a")
    assert dots == pytest.approx(200 * np.stack([np.sin(angles), -np.cos(angles)], axis=1), abs=1e-6)


@pytest.mark.parametrize("degrees", [30, 140, 300, -50, 750])
def test_angle_is_an_arc_from_x(degrees):
    geometry = ParallelBeam((math.radians(degrees),), 5, 10.0)
    axes = draw_scan(geometry, GRID).axes[0]
    (arc,) = (line for line in lines(axes, INK) if len(line) > 2)
    turned = np.degrees(np.unwrap(np.arctan2(arc[:, 1], arc[:, 0])))
    assert turned[[0, -1]] == pytest.approx([0, math.fmod(degrees, 360)], abs=1e-6)
    assert f"θ = {degrees}°" in [text.get_text() for text in axes.texts]
    # that of growing angles, beside the dots, is counter-clockwise
    (sense,) = (line for line in lines(axes, SOURCE) if len(line) > 2)
    assert (np.diff(np.unwrap(np.arctan2(sense[:, 1], sense[:, 0]))) > 0).all()


@pytest.mark.parametrize("name", SCANS)
def test_labels_of_the_page_are_whole_and_apart(name):
    geometry, grid, view = SCANS[name]
    figure = draw_scan(geometry, grid, view=view)
    figure.canvas.draw()
    for axes in figure.axes:
        texts = [text for text in axes.texts if isinstance(text, Text) and text.get_text()]
        # an annotation's own extent takes in its arrow
        boxes = {text.get_text(): Text.get_window_extent(text) for text in texts}
        inside = figure.bbox if not axes.axison else axes.bbox
        for text, box in boxes.items():
            assert inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and box.y1 <= inside.y1, text
        upright = [text.get_text() for text in texts if text.get_rotation() % 90 == 0]  # boxes of others are too wide
        for one, other in combinations(upright, 2):
            assert not boxes[one].overlaps(boxes[other]), (one, other)


@pytest.mark.parametrize(
    ("geometry", "words"),
    [
        (ParallelBeam.for_grid(GRID, 30), "half circle"),
        (ParallelBeam.for_grid(GRID, 30, math.pi / 2), "limited angle: an arc of 90°\n  180° see every line"),
        (ParallelBeam((0.3,), 5, 1.0), "one direction only"),
        (ParallelBeam(np.radians([*range(0, 60, 4), *range(90, 150, 4)]), 5, 1.0), "2 arcs; widest gap 34°"),
        (FanBeam.for_grid(GRID, 90), "full circle"),
        (FanBeam.for_grid(GRID, 90, arc_rad=math.radians(200)), "short scan: an arc of 200°"),
        (FanBeam.for_grid(GRID, 90, arc_rad=math.pi), "limited angle: an arc of 180°"),
    ],
)
def test_says_how_much_of_a_circle_is_measured(geometry, words):
    facts = draw_scan(geometry, GRID).axes[-1].texts[0].get_text()
    assert words in facts
    assert f"n_detectors = {geometry.n_detectors}" in facts
    assert "centre_mm = (6, -4)" in facts


def test_scanner_of_full_size():
    grid = ImageGrid((512, 512), 0.7, centre_mm=(40, -25))
    figure = draw_scan(FanBeam.for_grid(grid, 2000), grid, view=1500)
    assert len(rays(figure.axes[0])) == 13
    assert len(lines(figure.axes[0], "#ef9a9a")[0]) <= 720
    assert figure.get_size_inches()[0] * figure.dpi == pytest.approx(1210)


def test_a_helix_is_drawn_at_the_height_of_its_view():
    geometry, grid, view = SCANS["helical"]
    flying = replace(geometry, spot_z_mm=(0.5,) * geometry.n_views, spot_radial_mm=(2.0,) * geometry.n_views)
    for scan in (geometry, flying):
        _, side, facts = draw_scan(scan, grid, view=view).axes
        starts = np.array([ray[0] for ray in rays(side)])
        assert starts[:, 1] == pytest.approx(scan.spot_mm(view)[2], abs=1e-9)
        assert "centre_z_mm = -40 to 40" in facts.texts[0].get_text()


def test_leaves_pyplot_alone():
    import matplotlib.pyplot as plt

    draw_scan(ParallelBeam.for_grid(GRID, 3), GRID)
    assert plt.get_fignums() == []


def test_refuses_what_is_not_there():
    geometry = ParallelBeam.for_grid(GRID, 3)
    for view in (-1, 3):
        with pytest.raises(UsageError, match="expected 0 to 2"):
            draw_scan(geometry, GRID, view=view)
    with pytest.raises(GeometryError, match="expected an ImageGrid"):
        draw_scan(geometry, VOLUME)


def test_colours_differ():
    assert len({IMAGE, RAYS, DETECTOR, SOURCE, OFFSET}) == 5
