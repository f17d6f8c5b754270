"""The published gradient descent, stopped at the noise."""

from __future__ import annotations

import pytest
import torch

from ctresample.consistency import fit_latent_by_adamw, fit_pixels_by_adamw, residual_ratio
from ctresample.geometry import FanBeam, ImageGrid, ParallelBeam
from ctresample.operators import SparseProjector, Weighted

UNIT = 0.02
GRID = ImageGrid((16, 16), 4.0)
BATCH = 3


def problem(beam: type = ParallelBeam):
    """Images in units of about 0.02, of which the first start is at its noise level already."""
    A = SparseProjector(beam.for_grid(GRID, 8), GRID)
    generator = torch.Generator().manual_seed(0)
    truth = UNIT * torch.rand((BATCH, 1, *GRID.shape), generator=generator)
    sigma = 0.02 * (1 + torch.rand((1, 1, *A.range_shape), generator=generator))
    W = Weighted(A, 1 / sigma)
    y = W(truth) + 0.9 * torch.randn((BATCH, 1, *A.range_shape), generator=generator)
    start = truth + UNIT * torch.tensor([0.0, 0.2, 1.0]).view(BATCH, 1, 1, 1)
    ratio = residual_ratio(W(start) - y)
    assert ratio[0] < 1 < ratio[1] < ratio[2]
    return W, y, start


def decode(z: torch.Tensor) -> torch.Tensor:
    """Not linear, two latent channels to one image of twice the size."""
    mixed = torch.nn.functional.interpolate(z, scale_factor=2).tanh()
    return UNIT * (0.5 + 0.4 * mixed[:, :1] + 0.2 * mixed[:, 1:])


def pixels(W, y, start, max_iterations=2000):
    return fit_pixels_by_adamw(start, y, W, unit=UNIT, lr=1e-2, max_iterations=max_iterations)


def latents(W, y, start, max_iterations=1500):
    return fit_latent_by_adamw(start, y, W, decode, lr=2e-2, max_iterations=max_iterations)


@pytest.fixture(params=["pixel", "latent"])
def stage(request):
    """The two variants as (solve, start, image of a solution, W, y)."""
    W, y, start = problem()
    if request.param == "pixel":
        return pixels, start, lambda x: x, W, y
    z = torch.randn((BATCH, 2, 8, 8), generator=torch.Generator().manual_seed(3))
    y = W(decode(z)) + 0.9 * torch.randn(y.shape, generator=torch.Generator().manual_seed(4))
    return latents, z + torch.tensor([0.0, 0.2, 1.0]).view(BATCH, 1, 1, 1), decode, W, y


def test_residual_falls_to_the_noise_level(stage):
    solve, start, image, W, y = stage
    ratio = residual_ratio(W(image(solve(W, y, start))) - y)
    assert (ratio <= 1).all()
    assert (ratio[1:] > 0.9).all()  # and hardly below: it stops there


@pytest.mark.parametrize("beam", [FanBeam])
def test_fan_beam_too(beam):
    W, y, start = problem(beam)
    assert (residual_ratio(W(pixels(W, y, start)) - y) <= 1).all()


def test_a_slice_at_its_noise_level_stays(stage):
    solve, start, _, W, y = stage
    found = solve(W, y, start)
    assert found[0] == pytest.approx(start[0], rel=1e-6)
    assert not torch.allclose(found[1], start[1], rtol=1e-3)


def test_batch_is_its_slices(stage, phantoms):
    solve, start, _, W, y = stage
    together = solve(W, y, start)
    alone = torch.cat([solve(W, y[k : k + 1], start[k : k + 1]) for k in range(BATCH)])
    assert phantoms.relative(together, alone) < 1e-4


def test_no_more_iterations_than_allowed(stage):
    solve, start, image, W, y = stage
    ratios = [residual_ratio(W(image(solve(W, y, start, n))) - y)[2] for n in (0, 1, 5)]
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[2] > 1
    assert solve(W, y, start, 0) == pytest.approx(start, rel=1e-6)


def test_works_inside_no_grad_and_hands_back_plain_tensors(stage):
    solve, start, _, W, y = stage
    with torch.no_grad():
        found = solve(W, y, start, 5)
    assert not found.requires_grad
    assert torch.equal(found, solve(W, y, start, 5))


def test_the_unit_of_the_image_does_not_matter(phantoms):
    W, y, start = problem()
    thousandfold = Weighted(W.operator, W.weights / 1000)
    found = fit_pixels_by_adamw(1000 * start, y, thousandfold, unit=1000 * UNIT, lr=1e-2, max_iterations=200)
    assert phantoms.relative(found / 1000, pixels(W, y, start, 200)) < 1e-4
