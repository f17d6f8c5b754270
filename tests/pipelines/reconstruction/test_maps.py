"""Maps against what they are defined to be, on images whose errors are known."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ctresample.errors import UsageError
from ctresample.geometry import ConeBeam, FanBeam, ImageGrid, ParallelBeam, VolumeGrid
from ctresample.operators import make_projector
from ctresample.pipelines.reconstruction.maps import (
    SPREAD_HU,
    error_parts,
    origin_map,
    residual_map,
    uncertainty_map,
)
from ctresample.pipelines.reconstruction.physics import Physics
from ctresample.sinogram import Sinogram
from ctresample.solvers.fbp import fbp
from ctresample.units import hu_to_mu

SIZE = 32
GRID = ImageGrid((SIZE, SIZE), 4.0)


def body():
    """Two slices of a disc of water with a bone in it."""
    y, x = (np.mgrid[:SIZE, :SIZE] - SIZE / 2) / SIZE
    hu = np.where(x**2 + y**2 < 0.16, 0, -1000).astype(np.float32)
    hu = np.stack([hu, hu])
    hu[1, 14:18, 8:12] = 300
    return hu


def beam(n_views, kind="parallel"):
    if kind == "fan":
        angles = np.arange(n_views) * 2 * math.pi / n_views
        return FanBeam(angles, 96, 3.0, source_to_axis_mm=400.0, source_to_detector_mm=800.0)
    return ParallelBeam(np.arange(n_views) * math.pi / n_views, 64, 3.0)


def scanned(hu, geometry):
    """What the projector itself measures, without noise."""
    A = make_projector(geometry, GRID)
    values = A(torch.from_numpy(hu_to_mu(hu))[:, None])[:, 0].numpy()
    return Sinogram(values=values, geometry=geometry, grid=GRID, affine=np.eye(4))


@pytest.mark.parametrize("kind", ["parallel", "fan"])
def test_an_image_that_explains_the_data_leaves_no_residual(kind):
    hu = body()
    assert np.abs(residual_map(scanned(hu, beam(30, kind)), hu)).max() < 0.5


@pytest.mark.parametrize("kind", ["parallel", "fan"])
def test_residual_shows_what_the_image_lacks_at_its_place_in_hu(kind):
    hu = body()
    lacking = hu.copy()
    hu[1, 12:20, 16:24] = 800  # was lost in the image: 800 HU too little
    found = residual_map(scanned(hu, beam(180, kind)), lacking, batch_size=1)
    assert np.abs(found[0]).max() < 0.5
    missed = hu[1] - lacking[1]
    assert found[1, 15:17, 19:21].mean() == pytest.approx(missed[15:17, 19:21].mean(), rel=0.15)
    assert found[1].sum() == pytest.approx(missed.sum(), rel=0.15)  # blurred, and still all there
    y, x = np.unravel_index(found[1].argmax(), found[1].shape)
    assert 14 <= y < 18
    assert 18 <= x < 22


def test_residual_of_a_cone_beam():
    hu = np.repeat(body()[:1, ::2, ::2], 6, axis=0)
    lacking = hu.copy()
    hu[3, 6:9, 8:11] = 800
    grid = VolumeGrid((6, 16, 16), 8.0, 8.0)
    geometry = ConeBeam.for_grid(grid, 60)
    values = make_projector(geometry, grid)(torch.from_numpy(hu_to_mu(hu))[None, None])[0, 0].numpy()
    sinogram = Sinogram(values=values, geometry=geometry, grid=grid, affine=np.eye(4))
    assert np.abs(residual_map(sinogram, hu)).max() < 0.5
    found = residual_map(sinogram, lacking)
    assert found.shape == hu.shape
    assert np.unravel_index(found.argmax(), found.shape) in {(3, y, x) for y in (6, 7, 8) for x in (8, 9, 10)}


def test_residual_is_the_difference_of_two_back_projections():
    hu, geometry = body(), beam(12)
    other = hu + np.random.default_rng(3).normal(0, 50, hu.shape).astype(np.float32)
    sinograms = [scanned(image, geometry) for image in (hu, other)]
    ys = [torch.from_numpy(sinogram.values)[:, None] for sinogram in sinograms]
    images = [fbp(y, geometry, GRID, window="hann", cutoff=0.25)[:, 0].numpy() for y in ys]
    expected = (images[0] - images[1]) * 1000 / sinograms[0].mu_water_per_mm
    np.testing.assert_allclose(residual_map(sinograms[0], other), expected, atol=0.5)


def test_residual_knows_the_tube():
    """Of a polychromatic beam the image is measured by the same beam before it is compared."""
    hu, geometry = body(), beam(30)
    plain = scanned(hu, geometry)
    A = make_projector(geometry, GRID)
    tube = Physics(tube_kilovolts=120)
    model = tube.problem(plain, A, torch.zeros(1), torch.zeros(1)).model
    values = model(torch.from_numpy(hu_to_mu(hu))[:, None])[:, 0].numpy()
    hardened = Sinogram(values=values, geometry=geometry, grid=GRID, affine=np.eye(4))
    assert np.abs(residual_map(hardened, hu, physics=tube)).max() < 0.5
    assert np.abs(residual_map(hardened, hu)).max() > 5


def test_origin_map_holds_what_no_ray_sees_and_nothing_of_what_all_see():
    """One view from above: stripes across its rays are measured, stripes along the rays are not."""
    y, x = np.mgrid[:SIZE, :SIZE]
    inside = (np.hypot(y - 15.5, x - 15.5) < 10)[None]
    flat = np.where(inside, 0, -1000).astype(np.float32)
    scan = scanned(flat, ParallelBeam(np.zeros(1), SIZE, 4.0))
    across, along = (np.where(k // 2 % 2, 50, -50)[None] * inside for k in (x, y))
    base = origin_map(scan, flat)
    unseen, seen = (origin_map(scan, (flat + one).astype(np.float32)) - base for one in (along, across))
    share = [float(np.vdot(got, one) / np.vdot(one, one)) for got, one in ((unseen, along), (seen, across))]
    assert share[0] > 0.95
    assert share[1] < 1 - 0.5 * 10 / SIZE  # a stripe is spread over the whole column, beyond the disc
    columns = (flat + 1000).sum(axis=1)
    np.testing.assert_array_less(np.abs(base.sum(axis=1)), 0.02 * columns + 0.1)  # column sums are all that is measured


@pytest.mark.parametrize("kind", ["parallel", "fan"])
def test_origin_map_against_the_matrix(kind):
    """``Q x`` by its definition, with a dense matrix."""
    hu, geometry = body()[1:], beam(9, kind)
    noisy = replace(scanned(hu, geometry), photons=1e4)
    A = make_projector(geometry, GRID, dtype=torch.float64)
    rows = A(torch.eye(SIZE**2, dtype=torch.float64).view(-1, 1, SIZE, SIZE)).flatten(1).T.numpy()
    W = rows / noisy.sigma().reshape(-1, 1)
    unit = noisy.mu_water_per_mm / 1000
    H = W.T @ W
    mu = (hu.astype(float).ravel() + 1000) * unit
    measured = np.linalg.solve(H + np.eye(len(H)) / (SPREAD_HU * unit) ** 2, H @ mu) / unit
    expected = hu.ravel() + 1000 - measured
    found = origin_map(noisy, hu)
    assert np.sqrt(np.mean((found.ravel() - expected) ** 2)) < 0.5
    assert np.sqrt(np.mean(expected**2)) > 20
    told, left_open = error_parts(noisy, np.float32(hu - hu.mean()))
    np.testing.assert_allclose(told + left_open, hu - hu.mean(), atol=1e-3)
    assert np.vdot(told, left_open) > 0


def test_origin_map_of_staggered_slices_counts_and_a_cone():
    hu, geometry = body(), beam(12)
    plain = replace(scanned(hu, geometry), photons=1e4)
    shifts = (0.0, 0.1)
    turned = [scanned(hu[k : k + 1], plain.turned(shift)) for k, shift in enumerate(shifts)]
    staggered = replace(
        plain, values=np.concatenate([one.values for one in turned]), angle_shifts_rad=shifts, photons=1e4
    )
    found = origin_map(staggered, hu)
    for k, one in enumerate(turned):
        np.testing.assert_allclose(found[k], origin_map(replace(one, photons=1e4), hu[k : k + 1])[0], atol=0.1)
    # counts of many photons are told as well as their logarithm
    counts = origin_map(plain, hu, physics=Physics(model="counts"))
    assert np.sqrt(np.mean((counts - origin_map(plain, hu)) ** 2)) < 0.05 * np.sqrt(np.mean(counts**2))
    grid = VolumeGrid((3, 16, 16), 8.0, 8.0)
    cone = ConeBeam.for_grid(grid, 6)
    volume = np.repeat(hu[:1, ::2, ::2], 3, axis=0)
    values = make_projector(cone, grid)(torch.from_numpy(hu_to_mu(volume))[None, None])[0, 0].numpy()
    assert origin_map(Sinogram(values=values, geometry=cone, grid=grid, affine=np.eye(4)), volume).shape == volume.shape


def test_uncertainty_is_the_standard_deviation():
    images = np.random.default_rng(5).normal(-300, 40, (5, 2, 8, 8)).astype(np.float32)
    np.testing.assert_allclose(uncertainty_map(iter(images)), images.std(axis=0, ddof=1), rtol=1e-4)
    assert uncertainty_map([images[0], images[0]]).max() == 0


def test_uncertainty_takes_two():
    with pytest.raises(UsageError, match="expected 2 or more"):
        uncertainty_map([body()])
