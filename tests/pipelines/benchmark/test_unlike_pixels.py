"""Slices of pixels that differ in size, worked on as if they did not."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from ctresample.pipelines.benchmark.compare import compare
from ctresample.pipelines.benchmark.conditions import Condition
from ctresample.pipelines.benchmark.runs import Run
from ctresample.pipelines.benchmark.unlike_pixels import as_one, in_pixels
from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.solvers.wls import wls
from ctresample.volume import Volume

PIXELS_MM = (8.0, 6.5, 9.1)


def head(pixel_mm: float, hu: float) -> Volume:
    y, x = np.mgrid[:32, :32] - 15.5
    soft_edge = 1 / (1 + np.exp(np.hypot(x, y) - 11))  # pixels this coarse explain it
    image = (-1000 + (hu + 1000) * soft_edge).astype(np.float32)
    return Volume(image[None], np.diag([pixel_mm, pixel_mm, 2.0, 1.0]))


SLICES = [head(pixel_mm, hu) for pixel_mm, hu in zip(PIXELS_MM, (0.0, 60.0, -80.0), strict=True)]


def scans(**changes):
    one = Condition(n_views=12, size=32, photons=1e5, electronic_noise=5.0)
    return [replace(one, **changes).scan(volume, seed=k) for k, volume in enumerate(SLICES)]


@pytest.mark.parametrize("method", ["fbp", "tv", "wls", "sirt"])
def test_images_and_residuals_are_those_of_each_by_itself(method, monkeypatch):
    # rounding decides when least squares stop, at 24 iterations or some later: here all take as many
    monkeypatch.setattr("ctresample.solvers.wls.wls", partial(wls, tolerance_hu=0.0, max_iterations=60))
    each = scans()
    together = reconstruct(as_one(each), method=method, z_coupling="none", batch_size=3)
    for k, scan in enumerate(each):
        alone = reconstruct(scan, method=method)
        np.testing.assert_allclose(together.image_hu[k], alone.image_hu[0], atol=1.5)  # rounding in wls
        assert together.residual_ratio[k] == pytest.approx(alone.residual_ratio[0], rel=1e-3)


def test_noise_goes_with_the_values_also_of_a_part():
    each = scans()
    bad = np.zeros(each[1].values.shape, bool)
    bad[0, 3, 7] = True
    each[1] = replace(each[1], bad_rays=bad)
    one = as_one(each)
    for k, scan in enumerate(each):
        scale = PIXELS_MM[0] / PIXELS_MM[k]
        part = one.part([k])
        expected = np.where(np.isfinite(scan.sigma()) & ~(bad if k == 1 else False), scale * scan.sigma(), scan.sigma())
        for found in (one.sigma()[k], part.sigma()[0]):
            np.testing.assert_allclose(found, expected[0], rtol=1e-5)
        np.testing.assert_allclose(part.values, scale * scan.values, rtol=1e-6)


def test_which_scans_are_one():
    parallel, fan = scans(), scans(beam="fan")
    assert len({in_pixels(scan.geometry, scan.grid) for scan in parallel}) == 1
    assert len({in_pixels(scan.geometry, scan.grid) for scan in fan}) == 3  # its source stays where it is
    fewer = scans(n_views=11)[0]
    assert in_pixels(fewer.geometry, fewer.grid) != in_pixels(parallel[0].geometry, parallel[0].grid)


def test_a_benchmark_takes_them_together(monkeypatch):
    calls = []

    def spy(sinogram, **options):
        calls.append(sinogram.n_slices)
        return reconstruct(sinogram, **options)

    monkeypatch.setattr("ctresample.pipelines.benchmark.trial.reconstruct", spy)
    options = {"runs": [Run("tv")], "conditions": [Condition(n_views=12, photons=1e5)], "size": 32}
    together = list(compare(SLICES, **options))
    assert calls == [3]
    one_by_one = list(compare(SLICES, batch_size=1, **options))
    for a, b, pixel_mm in zip(together, one_by_one, PIXELS_MM, strict=True):
        np.testing.assert_allclose(a.image.hu, b.image.hu, atol=0.3)
        assert a.image.spacing_mm[0] == pytest.approx(pixel_mm)
        assert a.row.psnr_db == pytest.approx(b.row.psnr_db, abs=0.01)
        assert a.row.worst_region_rmse_hu == pytest.approx(b.row.worst_region_rmse_hu, rel=0.01)
