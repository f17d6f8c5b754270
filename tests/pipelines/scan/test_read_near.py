"""Slices of a long helix need a few of its views, and come out as from all of them."""

import math
from dataclasses import replace

import numpy as np
import pytest

from ctresample.data_tools.sinogram.reading import read_sinogram
from ctresample.data_tools.sinogram.writing import write_sinogram
from ctresample.errors import UsageError
from ctresample.geometry import HelicalBeam, VolumeGrid
from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.pipelines.scan import helical_slices
from ctresample.pipelines.scan.helical_slices import read_near, with_slices
from ctresample.sinogram import Sinogram

TURNS, VIEWS = 9, 24
RANGE_MM = (70.0, 82.0)


@pytest.fixture(scope="module")
def scan(phantoms) -> Sinogram:
    """A sphere of water, and counts that differ from view to view."""
    view = np.arange(TURNS * VIEWS)
    beam = HelicalBeam(
        angles_rad=0.3 - view * 2 * math.pi / VIEWS,
        n_detectors=48,
        detector_pitch_mm=8.0,
        source_to_axis_mm=595.0,
        source_to_detector_mm=1085.6,
        centre_z_mm=16.0 * view / VIEWS,
        n_detector_rows=6,
        detector_row_pitch_mm=6.0,
    )
    grid = VolumeGrid((20, 24, 24), pixel_size_mm=8.0, slice_step_mm=4.0, centre_mm=(0.0, 0.0, 76.0))
    values = phantoms.helical_integrals(beam, [phantoms.Sphere(0.0192, (0.0, 0.0, 76.0), 60.0)])
    photons = np.broadcast_to(1e4 + view[:, None], (len(view), 48)).astype(np.float32)
    return Sinogram(values, beam, grid, np.diag([8.0, 8.0, 4.0, 1.0]), photons, mu_water_per_mm=0.0192)


@pytest.fixture(scope="module")
def path(scan, tmp_path_factory):
    path = tmp_path_factory.mktemp("long") / "helix.h5"
    write_sinogram(scan, path)
    return path


@pytest.mark.parametrize("every", [1, 3])
def test_the_slices_are_those_of_the_whole_scan(scan, path, every):
    near = read_near(path, RANGE_MM, every=every)
    assert 3 * VIEWS < near.geometry.n_views < 0.8 * scan.geometry.n_views
    few, all_views = (with_slices(one, RANGE_MM).every(every) for one in (near, scan))
    assert few.grid == all_views.grid
    np.testing.assert_allclose(
        reconstruct(few, method="fbp").image_hu, reconstruct(all_views, method="fbp").image_hu, atol=1.5
    )
    one, other = (reconstruct(part, method="cgls", batch_size=1) for part in (few, all_views))
    np.testing.assert_array_equal(one.image_hu, other.image_hu)


def test_bad_rays_and_counts_go_along(scan, tmp_path):
    bad = np.zeros(scan.values.shape, bool)
    bad[2, 100] = True
    write_sinogram(replace(scan, bad_rays=bad), tmp_path / "bad.h5")
    near, whole = read_near(tmp_path / "bad.h5", RANGE_MM), read_sinogram(tmp_path / "bad.h5")
    first = round((near.photons[0, 0] - 1e4).item())
    assert first > 0
    np.testing.assert_array_equal(near.values, whole.values[:, first : first + near.geometry.n_views])
    assert near.geometry.centre_z_mm[0] == scan.geometry.centre_z_mm[first]
    assert near.bad_rays[2, 100 - first].all() and near.bad_rays.sum() == 48


def test_what_no_memory_holds(path, monkeypatch):
    monkeypatch.setattr(helical_slices, "memory_bytes", lambda: 1e5)
    with pytest.raises(UsageError, match=r"these 216 of its 216 views take 0\.000746 GB.*shorter --z-range"):
        read_near(path, None)
