"""The denoiser of neighbours: what it is shown, whom it depends on, and that single slices never meet it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from ctresample.errors import PriorError
from ctresample.learned.folders import weights_sha256
from ctresample.learned.latent_prior import LatentPrior
from ctresample.learned.neighbour_denoiser import REACH, SHOWN, seen
from ctresample.learned.prior_config import CONFIG_NAME
from ctresample.pipelines.reconstruction.in_parts import InParts

N_STEPS = 250


@pytest.fixture(scope="module")
def prior(toy_prior) -> LatentPrior:
    return toy_prior.with_neighbours(toy_prior.random_prior(), N_STEPS)


def latents(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 4, 8, 8, generator=generator), torch.randn(n, 4, 8, 8, generator=generator)


def test_it_is_shown_the_slice_and_what_its_neighbours_differ_by():
    z_t, z_0 = latents(5)
    shown = seen(z_t, z_0).view(5, SHOWN, 4, 8, 8)
    assert torch.equal(shown[:, 0], z_t)
    assert torch.equal(shown[:, 1], z_0)
    for k in range(5):
        beside = [min(max(k + j, 0), 4) for j in (-2, -1, 1, 2)]
        assert torch.equal(shown[k, 2:], z_0[beside] - z_0[k])


def test_volumes_in_one_batch_do_not_mix():
    z_t, z_0 = latents(6)
    both = seen(z_t, z_0, n_volumes=2)
    assert torch.equal(both, torch.cat([seen(z_t[:3], z_0[:3]), seen(z_t[3:], z_0[3:])]))


def test_a_slice_depends_on_those_within_reach(prior):
    z_t, z_0 = latents(9)
    before = prior.among_neighbours(z_t, z_0, 100)
    changed = z_0.clone()
    changed[4] += 1.0
    after = prior.among_neighbours(z_t, changed, 100)
    same = [bool(torch.equal(a, b)) for a, b in zip(before, after, strict=True)]
    assert same == [abs(k - 4) > REACH for k in range(9)]


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_a_few_slices_at_a_time_give_the_same(prior, size):
    z_t, z_0 = latents(7)
    torch.testing.assert_close(
        InParts(prior, size).among_neighbours(z_t, z_0, 50), prior.among_neighbours(z_t, z_0, 50)
    )


def test_estimates_stay_where_it_has_not_been_trained(prior, toy_prior):
    z_t, z_0 = latents(4)
    assert not torch.equal(prior.among_neighbours(z_t, z_0, N_STEPS - 1), z_0)
    assert torch.equal(prior.among_neighbours(z_t, z_0, N_STEPS), z_0)
    assert torch.equal(prior.among_neighbours(z_t[:1], z_0[:1], 10), z_0[:1])
    assert torch.equal(toy_prior.random_prior().among_neighbours(z_t, z_0, 10), z_0)


def test_the_correction_is_in_units_of_the_noise(prior):
    z_t, z_0 = latents(3)
    with torch.no_grad():
        said = prior.neighbours.unet(seen(z_t, z_0), 40).sample
    noise = float(1 - prior.alpha_bar[40]) ** 0.5
    torch.testing.assert_close(prior.among_neighbours(z_t, z_0, 40), z_0 + noise * said)


def test_it_is_saved_with_the_prior(prior, toy_prior, tmp_path):
    prior.save_pretrained(tmp_path / "with")
    toy_prior.random_prior().save_pretrained(tmp_path / "without")
    loaded = LatentPrior.from_pretrained(tmp_path / "with")
    assert loaded.config.neighbour_steps == N_STEPS
    z_t, z_0 = latents(4)
    torch.testing.assert_close(
        loaded.among_neighbours(z_t, z_0, 30), prior.among_neighbours(z_t, z_0, 30), rtol=1e-2, atol=1e-2
    )
    without = LatentPrior.from_pretrained(tmp_path / "without")
    assert all(map(torch.equal, loaded.predict(z_t, 30), without.predict(z_t, 30)))
    assert weights_sha256(tmp_path / "with") != weights_sha256(tmp_path / "without")
    other = without.with_denoisers(without.unet)
    assert other.neighbours is None
    assert loaded.with_denoisers(loaded.unet).neighbours is not None


@pytest.mark.parametrize(
    ("n_steps", "wrong", "said"),
    [
        (None, False, "neighbour_steps is None and a denoiser of neighbours is there"),
        (0, False, "expected both or neither, and 1 to 1000 steps"),
        (1001, False, "expected both or neither, and 1 to 1000 steps"),
        (250, True, "takes 4 channels and gives 4; expected 24 and 4"),
    ],
)
def test_what_does_not_fit_is_refused(prior, toy_prior, n_steps, wrong, said):
    unet = toy_prior.small_unet(4) if wrong else prior.neighbours.unet
    with pytest.raises(PriorError, match=said):
        LatentPrior(
            prior.vae, prior.unet, prior.scheduler, replace(prior.config, neighbour_steps=n_steps), neighbours=unet
        )


def test_a_config_without_the_network_is_refused(prior, toy_prior, tmp_path):
    with pytest.raises(PriorError, match="a denoiser of neighbours is missing"):
        LatentPrior(prior.vae, prior.unet, prior.scheduler, prior.config)
    toy_prior.random_prior().save_pretrained(tmp_path)
    config = json.loads((tmp_path / CONFIG_NAME).read_text())
    (tmp_path / CONFIG_NAME).write_text(json.dumps(config | {"neighbour_steps": 100}))
    with pytest.raises(PriorError, match="neighbours cannot be loaded as a UNet2DModel"):
        LatentPrior.from_pretrained(tmp_path)
