"""A water cylinder in air through the whole chain, DICOM to DICOM: water must read 0 HU and air -1000 HU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctresample.data_tools.dicom.read import read_ct_series
from ctresample.data_tools.dicom_export.write import Provenance, write_ct_series
from ctresample.geometry import ImageGrid
from ctresample.noise import Scanner
from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.pipelines.scan.simulate import simulate
from ctresample.solvers.fbp import fbp
from ctresample.units import AIR_HU, mu_to_hu
from ctresample.volume import Volume

SIZE = 64
BEAMS = pytest.mark.parametrize("beam", ["parallel", "fan"])
PIXEL_SIZES = pytest.mark.parametrize("pixel_size_mm", [0.5, 0.9, 2.0, 4.0])
PROVENANCE = Provenance("0", "water cylinder")


class Cylinder:
    """Off the centre, two slices; the regions keep away from its wall."""

    def __init__(self, phantoms, pixel_size_mm: float) -> None:
        grid = ImageGrid((SIZE, SIZE), pixel_size_mm)
        side = SIZE * pixel_size_mm
        centre, radius = (0.06 * side, -0.04 * side), 0.3 * side
        hu = phantoms.image(grid, [phantoms.disk(-AIR_HU, centre, radius)]) + AIR_HU
        distance = np.hypot(grid.x_mm - centre[0], grid.y_mm[:, None] - centre[1])
        affine = np.diag([pixel_size_mm, pixel_size_mm, 3.0, 1.0])
        affine[:3, 3] = (-20.0, 30.0, 100.0)
        self.volume = Volume(np.stack([hu, hu]).astype(np.float32), affine)
        self.water = distance < radius - 6 * pixel_size_mm
        self.air = (distance > radius + 6 * pixel_size_mm) & (np.hypot(grid.x_mm, grid.y_mm[:, None]) < side / 2)

    def check(self, hu: np.ndarray) -> None:
        """As a scanner is checked: by the mean over a region. Single pixels ripple from the jagged wall."""
        assert hu.shape == (2, SIZE, SIZE)
        for one in hu:
            for region, expected in ((self.water, 0.0), (self.air, AIR_HU)):
                assert abs(one[region].mean() - expected) < 1
                assert one[region].std() < 5


@pytest.mark.slow  # test_dicom_to_dicom checks as much; this one tells whether DICOM is to blame
@BEAMS
@PIXEL_SIZES
def test_fbp(beam, pixel_size_mm, phantoms):
    cylinder = Cylinder(phantoms, pixel_size_mm)
    sinogram = simulate(cylinder.volume, n_views=360, beam=beam, size=SIZE)
    mu = fbp(torch.from_numpy(sinogram.values)[:, None], sinogram.geometry, sinogram.grid)
    cylinder.check(mu_to_hu(mu)[:, 0].numpy())


@BEAMS
def test_noise_of_a_usual_dose_does_not_shift_hu(beam, phantoms):
    cylinder = Cylinder(phantoms, 4.0)
    sinogram = simulate(cylinder.volume, n_views=360, beam=beam, size=SIZE, photons=1e5, electronic_noise=5.0)
    done = reconstruct(sinogram, method="fbp").image_hu
    assert abs(done[:, cylinder.water].mean()) < 2
    assert abs(done[:, cylinder.air].mean() - AIR_HU) < 2


@pytest.mark.parametrize("beam", ["parallel", "fan", "fan-curved"])
def test_bow_tie_and_modulation_do_not_shift_hu(beam, phantoms):
    cylinder = Cylinder(phantoms, 4.0)
    scanner = Scanner(bow_tie_mm=200.0, tube_current_modulation=0.5)
    sinogram = simulate(
        cylinder.volume, n_views=360, beam=beam, size=SIZE, photons=1e5, electronic_noise=5.0, scanner=scanner
    )
    done = reconstruct(sinogram, method="fbp").image_hu
    assert abs(done[:, cylinder.water].mean()) < 2
    assert abs(done[:, cylinder.air].mean() - AIR_HU) < 2


@BEAMS
@pytest.mark.parametrize("method", ["sirt", "cgls", "tv"])
def test_iterative_methods_have_the_same_scale(method, beam, phantoms):
    cylinder = Cylinder(phantoms, 4.0)
    sinogram = simulate(cylinder.volume, n_views=90, beam=beam, size=SIZE)
    done = reconstruct(sinogram, method=method).image_hu
    assert abs(done[:, cylinder.water].mean()) < 5
    assert abs(done[:, cylinder.air].mean() - AIR_HU) < 5


@BEAMS
@PIXEL_SIZES
def test_dicom_to_dicom(beam, pixel_size_mm, phantoms, tmp_path):
    cylinder = Cylinder(phantoms, pixel_size_mm)
    write_ct_series(cylinder.volume, tmp_path / "scan", description="water", provenance=PROVENANCE)
    volume = read_ct_series(tmp_path / "scan")
    assert np.abs(volume.hu - cylinder.volume.hu).max() <= 0.5 + 1e-3
    sinogram = simulate(volume, n_views=360, beam=beam, size=SIZE)
    hu = mu_to_hu(fbp(torch.from_numpy(sinogram.values)[:, None], sinogram.geometry, sinogram.grid))[:, 0].numpy()
    done = Volume(hu, sinogram.affine, sinogram.headers)
    write_ct_series(done, tmp_path / "done", description="water again", provenance=PROVENANCE)
    found = read_ct_series(tmp_path / "done")
    assert found.affine == pytest.approx(cylinder.volume.affine, abs=1e-3)
    cylinder.check(found.hu)
