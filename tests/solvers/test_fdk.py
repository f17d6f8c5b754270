"""FDK: HU in and near the plane of the source, short scans, offsets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ctresample.errors import GeometryError
from ctresample.geometry import ConeBeam, FanBeam, ImageGrid, VolumeGrid
from ctresample.solvers.fbp import fbp
from ctresample.solvers.fdk import fdk
from ctresample.units import AIR_HU, MU_WATER_PER_MM, mu_to_hu

GRID = VolumeGrid((9, 64, 70), 1.5, 2.0, centre_mm=(2.0, -1.0, 1.0))
CENTRE, RADIUS = (6.0, -4.0, 1.0), 30.0
CONE = ConeBeam.for_grid(VolumeGrid((34, 64, 70), 1.5, 2.0), 300, 500.0, 800.0)


CASES = {
    "full circle": CONE,
    "quarter offset": replace(CONE, detector_offset_mm=0.6),
    "axis off the central ray": replace(CONE, axis_offset_mm=5.0),
    "panel shifted along the axis": replace(CONE, detector_row_offset_mm=3.0),
    "half a panel": replace(CONE, n_detectors=80, detector_offset_mm=45.0),
    "finer rows": replace(CONE, n_detector_rows=2 * CONE.n_detector_rows, detector_row_pitch_mm=1.6),
    "random views": CONE.with_angles(np.random.default_rng(3).choice(720, 60, replace=False) * np.pi / 360),
    "bursts dropped": CONE.with_angles(np.delete(CONE.angles_rad, [30, 31, 32, 33, 180, 181, 182, 183])),
    "half-step jitter": CONE.with_angles(
        CONE.angles_rad + np.random.default_rng(3).uniform(-0.5, 0.5, 300) * np.pi / 150
    ),
    "short scan": CONE.with_angles(np.linspace(0.3, 0.3 + CONE.short_scan_rad, 300, endpoint=False)),
}


@pytest.mark.parametrize("geometry", CASES.values(), ids=CASES.keys())
def test_water_sphere(geometry, phantoms):
    sinogram = phantoms.cone_integrals(geometry, [phantoms.Sphere(MU_WATER_PER_MM, CENTRE, RADIUS)])
    hu = mu_to_hu(fdk(torch.tensor(sinogram, dtype=torch.float32)[None, None], geometry, GRID))[0, 0].numpy()
    z, y, x = np.meshgrid(*GRID.axes_mm, indexing="ij")
    distance = np.sqrt((x - CENTRE[0]) ** 2 + (y - CENTRE[1]) ** 2 + (z - CENTRE[2]) ** 2)
    inside = hu[distance < RADIUS - 9]
    assert abs(inside.mean()) < 1
    assert np.abs(inside).max() < 5
    around = (distance > RADIUS + 6) & (np.hypot(x, y) < 44)
    assert abs(hu[around].mean() - AIR_HU) < 1


def test_mid_plane_is_the_fan(phantoms):
    """With one row in the plane of the source FDK is the filtered back projection of a fan."""
    slice_grid = ImageGrid((40, 44), 1.5)
    fan = FanBeam.for_grid(slice_grid, 90, 200.0, 350.0)
    shared = {"source_to_axis_mm": 200.0, "source_to_detector_mm": 350.0}
    cone = ConeBeam(
        fan.angles_rad, fan.n_detectors, fan.detector_pitch_mm, **shared, n_detector_rows=3, detector_row_pitch_mm=4.0
    )
    y = torch.rand((2, 1, *fan.shape), generator=torch.Generator().manual_seed(0))
    stack = y[:, :, None].expand(-1, -1, 3, -1, -1)
    volume = fdk(stack, cone, VolumeGrid((1, 40, 44), 1.5, 2.0))
    assert phantoms.relative(volume[:, :, 0], fbp(y, fan, slice_grid)) < 1e-4


def test_wrong_kind_of_beam():
    grid = ImageGrid((8, 8), 1.0)
    with pytest.raises(GeometryError, match="use fbp"):
        fdk(torch.zeros(1, 1, 4, 4), FanBeam.for_grid(grid, 4), grid)


@pytest.mark.cuda
def test_cuda_gives_what_the_cpu_gives(phantoms):
    geometry = CONE.with_angles(CONE.angles_rad[::20])
    y = torch.rand((2, 1, *geometry.shape), generator=torch.Generator().manual_seed(0))
    assert phantoms.relative(fdk(y.cuda(), geometry, GRID).cpu(), fdk(y, geometry, GRID)) < 1e-4
