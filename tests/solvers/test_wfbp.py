"""Weighted FBP of helical scans: spheres whose line integrals are known, with the focal spot in all of its modes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ctresample.data_tools.ct_pd.importing import import_projections
from ctresample.data_tools.ct_pd.write import write_projections
from ctresample.data_tools.sinogram.reading import read_sinogram
from ctresample.errors import GeometryError
from ctresample.geometry import HelicalBeam, ParallelBeam, VolumeGrid
from ctresample.solvers.wfbp import wfbp

MU, N = 0.0192, 160
BODY, DENSE = (12.0, -9.0, 20.0), (40.0, -9.0, 20.0)
VIEW = np.arange(int(2.6 * N))
Z, XY = VIEW % 2, VIEW // 2 % 2
"""Whether the spot stands elsewhere, view by view: by two places in turn, or with both by four."""
SPOTS = {
    "FFSNONE": {},
    "FFSZ": {"spot_z_mm": -0.66 * Z, "spot_radial_mm": 5.45 * Z},
    "FFSXY": {"spot_angle_rad": 1.5e-3 * (Z - 0.5)},
    "FFSXYZ": {"spot_z_mm": -0.66 * Z, "spot_radial_mm": 5.45 * Z, "spot_angle_rad": 1.5e-3 * (XY - 0.5)},
}
GRID = VolumeGrid((3, 96, 96), 2.0, 2.0, (0.0, 0.0, 20.0))


def helix(**changes) -> HelicalBeam:
    parts = {
        "angles_rad": 1.0 - VIEW * 2 * math.pi / N,
        "n_detectors": 128,
        "detector_pitch_mm": 4.5,
        "detector_offset_mm": 1.1,
        "source_to_axis_mm": 595.0,
        "source_to_detector_mm": 1085.6,
        "centre_z_mm": 16.0 * VIEW / N,
        "n_detector_rows": 8,
        "detector_row_pitch_mm": 4.4,
    }
    return HelicalBeam(**(parts | changes))


def measured(scan: HelicalBeam, phantoms, radius_mm: float = 70.0) -> torch.Tensor:
    spheres = [phantoms.Sphere(MU, BODY, radius_mm), phantoms.Sphere(0.3 * MU, DENSE, 18.0)]
    return torch.tensor(phantoms.helical_integrals(scan, spheres), dtype=torch.float32)[None, None]


def hu(image: torch.Tensor, centre: tuple[float, float, float], radius: float) -> np.ndarray:
    z, y, x = GRID.axes_mm
    inside = (x - centre[0]) ** 2 + (y[:, None] - centre[1]) ** 2 + (z[:, None, None] - centre[2]) ** 2 < radius**2
    return 1000 * (image[0, 0].numpy()[inside] / MU - 1)


@pytest.mark.parametrize("mode", SPOTS)
def test_spheres_have_their_hu_wherever_the_focal_spot_flies(mode, phantoms):
    scan = helix(**SPOTS[mode])
    image = wfbp(measured(scan, phantoms), scan, GRID, window="ramp")
    assert hu(image, DENSE, 9).mean() == pytest.approx(300, abs=3)
    body = hu(image, (-15.0, -9.0, 20.0), 22)
    assert body.mean() == pytest.approx(0, abs=3)
    # no shading from the middle of the sphere outwards
    assert hu(image, (-30.0, -9.0, 20.0), 10).mean() - body.mean() == pytest.approx(0, abs=5)


def test_a_body_wider_than_the_detector_of_the_other_maker(phantoms, tmp_path):
    """By way of the files: GE counts columns from the other end."""
    scan = helix()
    values = measured(scan, phantoms, radius_mm=185.0)
    write_projections(
        values[0, 0].numpy(), scan, tmp_path / "views", mu_water_per_mm=MU, maker="GE MEDICAL SYSTEMS", implicit=False
    )
    import_projections(tmp_path / "views", tmp_path / "scan.h5")
    read = read_sinogram(tmp_path / "scan.h5")
    y = torch.from_numpy(read.values)[None, None]
    image = wfbp(y, read.geometry, GRID, window="ramp", mu_water_per_mm=read.mu_water_per_mm)
    assert hu(image, DENSE, 9).mean() == pytest.approx(300, abs=3)
    assert hu(image, (-15.0, -9.0, 20.0), 22).mean() == pytest.approx(0, abs=3)


def test_views_that_do_not_reach_the_slices_change_nothing(phantoms):
    scan = helix()
    longer = helix(
        **{
            "angles_rad": 1.0 - np.arange(5 * N) * 2 * math.pi / N,
            "centre_z_mm": 16.0 * np.arange(5 * N) / N,
        }
    )
    found, expected = (wfbp(measured(one, phantoms), one, GRID, window="ramp") for one in (longer, scan))
    assert phantoms.relative(found, expected) < 1e-5


def test_what_is_refused():
    scan = helix()
    y = torch.zeros(1, 1, *scan.shape)
    with pytest.raises(GeometryError, match="helical scans"):
        wfbp(y, ParallelBeam((0.0,), 8, 1.0), GRID)
    beyond = VolumeGrid((2, 8, 8), 2.0, 2.0, (0.0, 0.0, 300.0))
    with pytest.raises(GeometryError, match=r"100.0% of the lines .* scan from 0 to 41.\d+ mm.*at its ends"):
        wfbp(y, scan, beyond)
