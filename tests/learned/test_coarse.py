"""The coarse denoiser: right for blocks whose best estimate is known; below its steps the prior is as without it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from diffusers import UNet2DModel

from ctresample.errors import PriorError
from ctresample.learned.coarse import CoarseDenoiser, block_alpha_bar, time_of
from ctresample.learned.folders import weights_sha256
from ctresample.learned.latent_prior import LatentPrior
from ctresample.learned.prior_config import CONFIG_NAME

FROM_STEP = 600


@pytest.fixture
def small_unet(toy_prior) -> Callable[..., UNet2DModel]:
    def make(channels: int = 4, sample_size: int = 4) -> UNet2DModel:
        with torch.random.fork_rng():
            torch.manual_seed(3)
            return toy_prior.small_unet(channels, sample_size)

    return make


@pytest.fixture
def with_coarse(small_unet) -> Callable[..., LatentPrior]:
    def make(prior: LatentPrior, unet: UNet2DModel | None = None, **changes: object) -> LatentPrior:
        config = replace(prior.config, **({"coarse_from_step": FROM_STEP} | changes))
        return LatentPrior(prior.vae, prior.unet, prior.scheduler, config, unet or small_unet())

    return make


@pytest.fixture
def prior(toy_prior) -> LatentPrior:
    return toy_prior.random_prior()


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# ---------------------------------------------------------------- the estimate


@pytest.mark.parametrize("n", [1, 2, 4, 8])
@pytest.mark.parametrize("alpha_bar", [1e-6, 0.01, 0.3])
def test_estimate_of_independent_blocks_is_the_wiener_filter(alpha_bar, n, phantoms, small_unet):
    """Where block averages are standard normal, the best velocity is 0, and the best estimate a known factor."""
    coarse = CoarseDenoiser(small_unet(sample_size=16 // n), FROM_STEP)
    for weight in coarse.unet.parameters():
        weight.zero_()
    z_t = normal(2, 4, 16, 16)
    means = torch.nn.functional.avg_pool2d(z_t, n)
    gain = alpha_bar**0.5 / (alpha_bar + (1 - alpha_bar) / n**2)
    expected = torch.nn.functional.interpolate(gain * means, scale_factor=n, mode="bicubic")
    assert phantoms.relative(coarse.estimate(z_t, alpha_bar), expected) < 1e-6


def test_level_of_blocks_is_that_of_their_noise():
    alpha_bar, n = 0.02, 4
    z_0, noise = 3.0, normal(1, 1, 2000, 2000)
    blocks = torch.nn.functional.avg_pool2d(alpha_bar**0.5 * z_0 + (1 - alpha_bar) ** 0.5 * noise, n)
    level = block_alpha_bar(alpha_bar, n)
    blocks *= (level / alpha_bar) ** 0.5
    assert float(blocks.mean()) == pytest.approx(level**0.5 * z_0, rel=0.01)
    assert float(blocks.std()) == pytest.approx((1 - level) ** 0.5, rel=0.01)


def test_network_is_told_the_level_of_the_blocks(phantoms, small_unet):
    """A slice of twice the size, with twice the noise, is the same to the network."""
    coarse = CoarseDenoiser(small_unet(), FROM_STEP)
    z_0, noise = normal(1, 4, 4, 4), normal(1, 4, 4, 4, seed=1)
    seen = []
    coarse.unet.register_forward_pre_hook(lambda _, args: seen.append(args))
    for n, spread in ((4, 8.0), (8, 16.0)):
        alpha_bar = 1 / (1 + spread**2)
        large = torch.nn.functional.interpolate(z_0 + spread / n * noise, scale_factor=n)
        coarse.estimate(alpha_bar**0.5 * large, alpha_bar)
    assert phantoms.relative(seen[0][0], seen[1][0]) < 1e-6
    assert float(seen[0][1]) == pytest.approx(100 * torch.log(torch.tensor(2.0)).item(), rel=1e-5)
    assert float(seen[1][1]) == pytest.approx(float(seen[0][1]), rel=1e-5)


def test_time_grows_with_noise():
    assert float(time_of(torch.tensor(0.5))) == 0
    assert float(time_of(torch.tensor(1e-6))) == pytest.approx(50 * 13.8155, rel=1e-3)


@pytest.mark.parametrize(
    ("rows", "columns", "expected"),
    [(16, 16, 4), (32, 32, 8), (4, 4, 1), (2, 2, 1), (16, 8, 4), (12, 12, 3), (10, 10, 5), (14, 14, 7), (16, 18, 1)],
)
def test_block_size(rows, columns, expected, small_unet):
    """Near four blocks along the longer side, each side an even number of them."""
    assert CoarseDenoiser(small_unet(), FROM_STEP).block_size(rows, columns) == expected


def test_gradient(prior, with_coarse):
    model = with_coarse(prior)
    model.coarse.unet.double()
    z_t = normal(1, 4, 8, 8).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: model.predict(z, 800), (z_t,), fast_mode=True)


# ---------------------------------------------------------------- in a prior


def test_below_its_steps_nothing_changes(prior, with_coarse):
    model, z_t = with_coarse(prior), normal(2, 4, 8, 8)
    assert (prior.unet_steps, model.unet_steps) == (1000, FROM_STEP)
    for t in (0, 300, FROM_STEP - 1):
        assert all(map(torch.equal, model.predict(z_t, t), prior.predict(z_t, t)))


def test_above_it_estimate_and_noise_add_up_to_what_was_given(prior, with_coarse):
    model, z_t = with_coarse(prior), normal(2, 4, 8, 8)
    for t in (FROM_STEP, 999):
        z_0, epsilon = model.predict(z_t, t)
        assert not torch.allclose(z_0, prior.predict(z_t, t)[0], atol=0.01)
        alpha_bar = float(model.alpha_bar[t])
        assert torch.allclose(alpha_bar**0.5 * z_0 + (1 - alpha_bar) ** 0.5 * epsilon, z_t, atol=1e-5)


def test_saved_and_loaded(prior, tmp_path, phantoms, with_coarse):
    model = with_coarse(prior)
    model.save_pretrained(tmp_path / "with")
    prior.save_pretrained(tmp_path / "without")
    loaded = LatentPrior.from_pretrained(tmp_path / "with")
    assert loaded.config == model.config
    z_t = normal(2, 4, 8, 8)
    assert phantoms.relative(loaded.predict(z_t, 900)[0], model.predict(z_t, 900)[0]) < 2e-3
    assert next(model.coarse.unet.parameters()).dtype == torch.float32
    assert weights_sha256(tmp_path / "with") != weights_sha256(tmp_path / "without")
    assert not (tmp_path / "without" / "coarse").exists()


def test_prior_without_the_entry_is_one_without_it(prior, tmp_path):
    """As those are that were made before there were any."""
    prior.save_pretrained(tmp_path)
    path = tmp_path / CONFIG_NAME
    raw = json.loads(path.read_text())
    del raw["coarse_from_step"]
    path.write_text(json.dumps(raw))
    assert LatentPrior.from_pretrained(tmp_path).coarse is None


def test_image_sides_suit_both_networks(prior, with_coarse):
    deep = UNet2DModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        block_out_channels=(8, 8, 8, 8),
        down_block_types=("DownBlock2D",) * 4,
        up_block_types=("UpBlock2D",) * 4,
        norm_num_groups=4,
    )
    assert prior.size_multiple == 4
    assert with_coarse(prior).size_multiple == 4
    assert with_coarse(prior, deep).size_multiple == 16


@pytest.mark.parametrize("step", [None, 0, 1000])
def test_no_such_step(prior, step, with_coarse):
    with pytest.raises(PriorError, match=f"coarse_from_step is {step} and a coarse denoiser is there"):
        with_coarse(prior, coarse_from_step=step)


def test_missing_network(prior, tmp_path, with_coarse):
    config = replace(prior.config, coarse_from_step=FROM_STEP)
    with pytest.raises(PriorError, match="a coarse denoiser is missing"):
        LatentPrior(prior.vae, prior.unet, prior.scheduler, config)
    with_coarse(prior).save_pretrained(tmp_path)
    shutil.rmtree(tmp_path / "coarse")
    with pytest.raises(PriorError, match="coarse cannot be loaded as a UNet2DModel"):
        LatentPrior.from_pretrained(tmp_path)


def test_network_of_other_latents(prior, small_unet, with_coarse):
    with pytest.raises(PriorError, match="the coarse denoiser takes 3 latent channels"):
        with_coarse(prior, small_unet(channels=3))
