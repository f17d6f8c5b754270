"""RTK's geometry: XML by hand, and the place of source and panel by its manual's formulas."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from ctresample.data_tools.importers import import_sinogram
from ctresample.data_tools.importers.rtk_geometry import read_rtk_geometry
from ctresample.errors import SinogramError

ANGLES = [0.0, 95.0, 220.0]
HEAD = """<?xml version="1.0"?>
<!DOCTYPE RTKGEOMETRY>
<RTKThreeDCircularGeometry version="3">
  <SourceToIsocenterDistance>500</SourceToIsocenterDistance>
  <SourceToDetectorDistance>800</SourceToDetectorDistance>
  <SourceOffsetX>2.5</SourceOffsetX>
"""
VIEWS = "".join(
    f"  <Projection>\n    <GantryAngle>{angle}</GantryAngle>\n    <ProjectionOffsetX>7</ProjectionOffsetX>\n"
    f"    <ProjectionOffsetY>-3</ProjectionOffsetY>\n    <Matrix>1 0 0 0</Matrix>\n  </Projection>\n"
    for angle in ANGLES
)
WHOLE = f"{HEAD}{VIEWS}</RTKThreeDCircularGeometry>"
REST = {
    "quantity": "line_integral",
    "axes": "view,row,detector",
    "mu_water_per_mm": 0.02,
    "photons": None,
    "geometry": {"detector_pitch_mm": 2.0, "detector_row_pitch_mm": 3.0},
}


def test_source_and_bins_are_where_rtk_has_them(tmp_path):
    (tmp_path / "geometry.xml").write_text(WHOLE)
    (tmp_path / "scan.json").write_text(json.dumps(REST))
    np.save(tmp_path / "scan.npy", np.ones((3, 2, 40), np.float32))
    geometry = import_sinogram(tmp_path / "scan.npy", sidecar=tmp_path / "geometry.xml").geometry
    for view, angle in enumerate(np.radians(ANGLES)):
        turn = np.array([[math.cos(angle), 0, math.sin(angle)], [0, 1, 0], [-math.sin(angle), 0, math.cos(angle)]])
        source = turn @ [2.5, 0, 500]
        corner = turn @ [-19.5 * 2 + 7, -0.5 * 3 - 3, 500 - 800]  # of the panel: first column, first row

        def ours(x, y, z):
            return np.array([x, -z, y])

        points, directions = geometry.rays(view)
        np.testing.assert_allclose(points[0, 0], ours(*source), atol=1e-9)
        towards = ours(*corner) - ours(*source)
        np.testing.assert_allclose(directions[0, 0], towards / np.linalg.norm(towards), atol=1e-9)


BAD = {
    "no distance": (WHOLE.replace("SourceToIsocenterDistance", "SID"), "without SourceToIsocenterDistance"),
    "no number": (WHOLE.replace(">500<", ">far<"), "SourceToIsocenterDistance is 'far'"),
    "tilted": (WHOLE.replace("SourceOffsetX", "OutOfPlaneAngle"), "OutOfPlaneAngle is 2.5"),
    "moving": (WHOLE.replace(">7<", ">8<", 1), "ProjectionOffsetX changes from 7 to 8"),
    "said twice": (
        WHOLE.replace("<SourceOffsetX>", "<SourceOffsetX>3</SourceOffsetX><SourceOffsetX>"),
        "SourceOffsetX is said twice, 3 and 2.5",
    ),
    "no view": (f"{HEAD}</RTKThreeDCircularGeometry>", "0 elements Projection"),
    "cut short": (WHOLE[:-40], "no valid XML"),
    "of another kind": ("<html></html>", "holds html"),
    "a bomb": (WHOLE.replace("RTKGEOMETRY>", 'R [<!ENTITY a "b">]>'), "declares entities"),
}


@pytest.mark.parametrize(("content", "said"), BAD.values(), ids=BAD.keys())
def test_what_cannot_be_read_is_named(tmp_path, content, said):
    (tmp_path / "geometry.xml").write_text(content)
    with pytest.raises(SinogramError, match=said):
        read_rtk_geometry(tmp_path / "geometry.xml")
