"""Counts of passes and operator calls, and that counting changes no result."""

import pytest
import torch

from ctresample.geometry import ImageGrid, ParallelBeam
from ctresample.operators import SparseProjector, dot_test
from ctresample.pipelines.benchmark.memory import PeakMemory
from ctresample.pipelines.benchmark.tally import CountedProjector, Tally, counted_networks, networks_of

GRID = ImageGrid((16, 16), 4.0)


@pytest.fixture
def projector():
    return SparseProjector(ParallelBeam.for_grid(GRID, 5), GRID)


def test_operator_calls_are_counted_slice_by_slice(projector):
    tally = Tally()
    A = CountedProjector(projector, tally)
    x = torch.rand((3, 1, 16, 16), requires_grad=True)
    torch.testing.assert_close(A(x), projector(x), rtol=0, atol=0)
    assert tally == {"projections": 3}
    A(x).square().sum().backward()  # its gradient is a back projection
    A.T(projector(x).detach())
    assert tally == {"projections": 6, "back_projections": 6}
    assert A.geometry == projector.geometry
    assert dot_test(A) < 1e-5


def test_network_passes_are_counted_forwards_and_backwards(toy_prior):
    prior, tally = toy_prior.random_prior(), Tally()
    hu = torch.zeros((2, 1, 32, 32))
    plain_z = prior.encode(hu)
    plain_x = prior.decode(plain_z)
    with counted_networks(prior, tally):
        z = prior.encode(hu).requires_grad_()
        assert torch.equal(z, plain_z)
        x = prior.decode(z)
        assert torch.equal(x, plain_x)
        assert tally == {"encoder_calls": 2, "decoder_calls": 2}
        (counted,) = torch.autograd.grad(x.square().sum(), z)
        prior.predict(z, 500)  # without gradients
        with torch.enable_grad():
            prior.unet(z, 500).sample.sum().backward()
    assert tally == {
        "encoder_calls": 2,
        "decoder_calls": 2,
        "decoder_backwards": 2,
        "denoiser_calls": 4,
        "denoiser_backwards": 2,
    }
    (plain,) = torch.autograd.grad(prior.decode(z).square().sum(), z)
    assert torch.equal(counted, plain)
    assert tally["decoder_calls"] == 2  # the hooks are gone


def test_derivatives_of_torch_func_are_counted_too(toy_prior):
    prior, tally = toy_prior.random_prior(), Tally()
    z = torch.randn((2, 4, 16, 16), generator=torch.Generator().manual_seed(0))
    with counted_networks(prior, tally):
        torch.func.jvp(prior.decode, (z,), (z,))
        assert tally == {"decoder_calls": 2}
        _, pull = torch.func.vjp(prior.decode, z)
        pull(torch.ones((2, 1, 32, 32)))
    assert tally == {"decoder_calls": 4, "decoder_backwards": 2}


def test_a_model_that_is_a_network_is_the_denoiser():
    network = torch.nn.Conv2d(1, 1, 3)
    assert networks_of(network) == {"denoiser": network}
    assert networks_of(None) == {}
    tally = Tally()
    with counted_networks(network, tally):
        network(torch.zeros((5, 1, 8, 8)))
    assert tally["denoiser_calls"] == 5


def test_peak_memory_is_what_the_block_took():
    with PeakMemory("cpu") as memory:
        block = torch.ones(40_000_000)  # 160 MB
        block.sum()
        del block
    assert memory.megabytes == pytest.approx(160, rel=0.25)
    with PeakMemory("cpu") as memory:
        pass
    assert memory.megabytes < 20


def test_every_kind_of_model_has_its_denoiser_counted(toy_prior):
    latent, pixel = toy_prior.random_prior(), toy_prior.random_pixel_prior()
    assert set(networks_of(latent)) == {"denoiser", "encoder", "decoder"}
    assert set(networks_of(pixel)) == {"denoiser"}
    tally = Tally()
    with counted_networks(pixel, tally):
        pixel.predict(torch.zeros((3, 1, 32, 32)), 500)
    assert tally == {"denoiser_calls": 3}


def test_the_denoiser_of_scans_is_counted_too(toy_prior):
    plain, knowing, tally = toy_prior.random_prior(), toy_prior.random_prior(condition_spread=0.3), Tally()
    prior = knowing.with_denoisers(plain.unet, knowing.unet)
    z = prior.encode(torch.zeros((2, 1, 32, 32)))
    with counted_networks(prior, tally):
        prior.predict(z, 500)
        prior.predict(z, 500, z)
        prior.estimate(z)
    assert tally == {"denoiser_calls": 6}
