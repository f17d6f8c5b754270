"""Images shown to the prior in a random frame come back to their place, and a run takes them there and back."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ctresample.errors import UsageError
from ctresample.geometry import ImageGrid, ParallelBeam
from ctresample.operators import SparseProjector
from ctresample.solvers.resample import ReSampleSettings, resample
from ctresample.solvers.resample.frames import Frame
from ctresample.units import hu_to_mu

GRID = ImageGrid((16, 16), 8.0)
A = SparseProjector(ParallelBeam.for_grid(GRID, 8), GRID)
MOVING = ReSampleSettings(
    n_steps=6,
    start_level=0.5,
    stop_level=0.05,
    pixel_level=1.0,
    latent_level=0.0,
    skip=1,
    inner_steps=0,
    pixel_optimiser="cg",
    cg_iterations=8,
    resampling="encoding",
    moving_frame=True,
    averaged_steps=2,
    final="none",
)


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@given(st.integers(0, 1000), st.integers(0, 20), st.sampled_from([(16, 16), (8, 12)]))
def test_back_undoes_there(seed, max_shift, shape):
    x = torch.arange(2.0 * shape[0] * shape[1]).view(2, 1, *shape)
    frame = Frame.drawn(generators(seed, seed + 1), max_shift)
    assert torch.equal(frame.back(frame.there(x)), x)
    assert torch.equal(frame.there(frame.back(x)), x)


def test_a_pixel_goes_where_the_frame_says():
    x = torch.zeros(2, 1, 4, 5)
    x[:, 0, 1, 1] = 1
    frame = Frame(shifts=((1, 2), (0, -1)), mirrored=(False, True))
    shown = frame.there(x)
    assert shown[0, 0].nonzero().tolist() == [[2, 3]]
    assert shown[1, 0].nonzero().tolist() == [[1, 2]]  # mirrored 1 -> 3, then shifted


def test_frames_are_of_every_kind_and_within_bounds():
    source = generators(0)
    frames = [Frame.drawn(source, 3) for _ in range(300)]
    assert {shift for frame in frames for shift in frame.shifts[0]} == set(range(-3, 4))
    assert {frame.mirrored[0] for frame in frames} == {True, False}


@pytest.fixture
def scan():
    generator = torch.Generator().manual_seed(0)
    truth = hu_to_mu(torch.nn.functional.avg_pool2d(500 * torch.randn((2, 1, 16, 16), generator=generator), 3, 1, 1))
    clean = A(truth)
    return truth, clean + 0.02 * torch.randn(clean.shape, generator=generator), torch.full_like(clean, 0.02)


def run(prior, scan, settings, seeds=(5, 6), **options):
    truth, y, sigma = (part[: len(seeds)] for part in scan)
    return resample(y, A, prior, sigma=sigma, settings=settings, generators=generators(*seeds), start=truth, **options)


def test_a_prior_indifferent_to_frames_gives_the_same_on_average(scan, toy_prior):
    """The mean over many draws of noise is that without frames, pixel by pixel, within its standard error."""
    n = 300
    many = [part[:1].expand(n, -1, -1, -1) for part in scan]
    prior = toy_prior.GaussianPrior()
    moved, still = (
        run(prior, many, replace(MOVING, moving_frame=moving), seeds=range(n)).double() for moving in (True, False)
    )
    error = ((moved.var(0) + still.var(0)) / n).sqrt()
    scores = (moved.mean(0) - still.mean(0)) / error
    assert scores.square().mean() == pytest.approx(1, abs=0.3)
    assert scores.abs().max() < 5


def test_slices_have_frames_of_their_own_whatever_the_batch(scan, toy_prior):
    prior = toy_prior.GaussianPrior()  # a random network would make much of the last bit
    both = run(prior, scan, MOVING)
    assert torch.allclose(run(prior, scan, MOVING, seeds=(5,)), both[:1], atol=1e-6)
    assert torch.equal(run(prior, scan, MOVING), both)


def test_the_last_estimates_are_averaged(scan, toy_prior):
    """Of steps 5 and 6 of 6: the first as a run stopped there has it, the second as a run that averages only that."""
    prior = toy_prior.random_prior()
    last = run(prior, scan, replace(MOVING, averaged_steps=1))
    fifth = run(prior, scan, MOVING, callback=lambda status: status.step < 5)
    assert torch.allclose(run(prior, scan, MOVING), (fifth + last) / 2, atol=1e-7)
    assert not torch.allclose(fifth, last, atol=1e-4)


@pytest.mark.parametrize("changes", [{"encoding": "corrected"}, {"resampling": "stochastic"}], ids=str)
def test_a_moving_frame_takes_fresh_noise_in_its_own_frame(changes):
    with pytest.raises(UsageError, match="moving_frame takes encoding plain and resampling encoding"):
        replace(MOVING, **changes)


def test_averages_are_of_images():
    with pytest.raises(UsageError, match="averaged_steps are of images"):
        replace(MOVING, final="latent")
