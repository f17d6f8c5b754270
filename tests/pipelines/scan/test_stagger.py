"""Slices seen from angles of their own: the scan, its file, and what is said of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ctresample import ReSamplePipeline
from ctresample.data_tools.describing import describe
from ctresample.data_tools.sinogram.reading import read_sinogram
from ctresample.data_tools.sinogram.writing import write_sinogram
from ctresample.errors import SinogramError, UsageError
from ctresample.geometry import ImageGrid, ParallelBeam
from ctresample.operators import make_projector
from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.pipelines.results.provenance import scan_facts
from ctresample.pipelines.scan.geometry import stagger_shifts
from ctresample.pipelines.scan.scan import Scan
from ctresample.pipelines.scan.simulate import simulate
from ctresample.volume import Volume


@pytest.fixture(scope="module")
def volume(phantoms) -> Volume:
    grid = ImageGrid((24, 24), 8.0)
    hu = phantoms.image(grid, [phantoms.disk(1000.0, (10.0, -20.0), 60.0)]) - 1000
    return Volume(np.repeat(hu[None], 4, axis=0).astype(np.float32), np.diag([8.0, 8.0, 2.0, 1.0]))


@pytest.fixture(scope="module")
def scan(volume):
    return Scan(n_views=6, size=24, stagger=3).scan(volume)


def test_angles_lie_between_those_of_the_neighbours(scan):
    step = np.pi / 6
    np.testing.assert_allclose(scan.angle_shifts_rad, [0, 2 * step / 3, step / 3, 0])
    seen = np.sort(np.concatenate([scan.geometry_of(k).angles_rad for k in range(3)]))
    np.testing.assert_allclose(seen, np.arange(18) * np.pi / 18, atol=1e-12)


def test_few_slices_in_a_row_are_spread_over_the_step():
    """Of five sets of angles in their order no two that follow each other lie side by side."""
    scan = ParallelBeam.for_grid(ImageGrid((8, 8), 1.0), n_views=4)
    shifts = np.array(stagger_shifts(scan, 11, 5)) / (np.pi / 4)
    np.testing.assert_allclose(np.sort(shifts[:5]), np.arange(5) / 5)
    np.testing.assert_allclose(shifts[5:], shifts[:6])
    between = np.abs(np.diff(shifts)) % 1
    assert np.minimum(between, 1 - between).min() > 0.39


def test_each_slice_is_the_scan_of_its_own_angles(volume, scan):
    for k in (0, 1, 3):
        alone = simulate(Volume(volume.hu[:1], volume.affine), geometry=scan.geometry_of(k), size=24)
        np.testing.assert_array_equal(scan.values[k], alone.values[0])
        seen = make_projector(scan.geometry_of(k), scan.grid)
        assert seen.geometry.angles_rad[0] == pytest.approx(scan.angle_shifts_rad[k])


@pytest.mark.parametrize("beam", ["parallel", "fan", "fan-curved"])
def test_file(beam, volume, tmp_path):
    made = Scan(n_views=6, size=24, stagger=2, beam=beam, photons=1e5).scan(volume)
    write_sinogram(made, tmp_path / "scan.h5")
    found = read_sinogram(tmp_path / "scan.h5")
    assert found.angle_shifts_rad == made.angle_shifts_rad
    np.testing.assert_array_equal(found.values, made.values)
    assert "stagger" in str(describe(tmp_path / "scan.h5"))


def test_noise_is_that_of_each_slice(volume):
    plain, turned = (simulate(volume, n_views=6, size=24, photons=1e4, stagger=n) for n in (1, 3))
    np.testing.assert_array_equal(plain.values[0], turned.values[0])
    assert turned.sigma().shape == turned.values.shape


def test_scans_of_other_angles_are_told_apart(scan):
    facts = scan_facts(scan)
    assert facts["angle_shifts_deg"] == [0, 20, 10, 0]
    assert "angle_shifts_deg" not in scan_facts(scan.part([0, 3]))
    assert "in 3 sets of angles" in repr(scan)


def test_part(scan):
    part = scan.part([1, 2])
    assert part.angle_shifts_rad == scan.angle_shifts_rad[1:3]
    np.testing.assert_allclose(part.slice_origins_mm, scan.slice_origins_mm[1:3])
    apart = scan.part([0, 3])
    assert apart.slice_offsets_mm is None  # two are always even
    np.testing.assert_allclose(apart.slice_origins_mm, scan.slice_origins_mm[[0, 3]])
    # slices that are all turned alike are no longer staggered, and keep their angles
    alike = scan.part([1])
    assert alike.angle_shifts_rad is None
    assert alike.geometry == scan.geometry_of(1)


def test_every_other_view_of_a_staggered_scan(scan):
    few = scan.every(2)
    assert few.angle_shifts_rad == scan.angle_shifts_rad
    assert few.geometry_of(1).n_views == 3


@pytest.mark.parametrize(
    ("shifts", "message"),
    [((0.0, 0.1), "2 angle_shifts_rad for 4 slices"), ((0.0, np.inf, 0.0, 0.0), "of slice 1 is inf; expected radians")],
)
def test_shifts_that_cannot_be(scan, shifts, message):
    with pytest.raises(SinogramError, match=message):
        replace(scan, angle_shifts_rad=shifts)


def test_a_cone_cannot_be_staggered(volume):
    with pytest.raises(UsageError, match="stagger is of slices scanned one by one.*leave it out"):
        simulate(volume, n_views=4, beam="cone", size=24, stagger=2)
    cone = simulate(volume, n_views=4, beam="cone", size=24)
    with pytest.raises(SinogramError, match="a cone beam sees all slices from the same angles"):
        replace(cone, angle_shifts_rad=(0.0,) * 4)
    with pytest.raises(SinogramError, match="a cone beam measures all slices together"):
        cone.part([0])


def test_periods(scan):
    beam = ParallelBeam((0.3,), 5, 1.0)
    assert stagger_shifts(beam, 2, 2) == (0.0, np.pi / 2)
    with pytest.raises(UsageError, match="stagger is 0; expected a number of slices"):
        stagger_shifts(beam, 2, 0)


def test_who_takes_one_set_of_angles_says_so(scan):
    projector = make_projector(scan.geometry, scan.grid)
    with pytest.raises(UsageError, match="projector is of one set of angles"):
        reconstruct(scan, method="tv", projector=projector)
    with pytest.raises(UsageError, match="of slices seen from different angles.*use ctresample.reconstruct"):
        ReSamplePipeline.from_pretrained("ct256")(scan)
