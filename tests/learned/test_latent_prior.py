"""Priors: saved and loaded again, refused when broken, and one estimate whatever the network predicts."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderTiny, DDIMScheduler, UNet2DModel, VQModel
from safetensors.torch import load_file, save_file

from ctresample.errors import PriorError
from ctresample.learned.folders import BUNDLED, find_prior, weights_sha256
from ctresample.learned.latent_prior import LatentPrior
from ctresample.learned.prior_config import CONFIG_NAME, PriorConfig

PREDICTIONS = ["epsilon", "v_prediction", "sample"]


@pytest.fixture
def prior(toy_prior) -> LatentPrior:
    return toy_prior.random_prior()


@pytest.fixture
def folder(prior, tmp_path) -> Path:
    prior.save_pretrained(tmp_path / "toy")
    return tmp_path / "toy"


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# ---------------------------------------------------------------- save and load


def test_saved_and_loaded_it_is_the_same_to_half_precision(prior, folder, phantoms):
    loaded = LatentPrior.from_pretrained(folder)
    assert loaded.config == prior.config
    assert torch.equal(loaded.alpha_bar, prior.alpha_bar)
    z, hu = normal(2, 4, 8, 8), 300 * normal(2, 1, 16, 16)
    with torch.no_grad():
        assert phantoms.relative(loaded.encode(hu), prior.encode(hu)) < 2e-3
        assert phantoms.relative(loaded.decode(z), prior.decode(z)) < 2e-3
    for found, expected in zip(loaded.predict(z, 500), prior.predict(z, 500), strict=True):
        assert phantoms.relative(found, expected) < 2e-3


def test_loaded_weights_are_single_precision_and_fixed(folder):
    loaded = LatentPrior.from_pretrained(folder)
    for network in (loaded.vae, loaded.unet):
        assert not network.training
        for weight in network.parameters():
            assert weight.dtype == torch.float32
            assert not weight.requires_grad


def test_saving_leaves_the_prior_as_it_was(prior, tmp_path):
    before = prior.predict(normal(1, 4, 8, 8), 10)
    prior.save_pretrained(tmp_path / "a" / "b")
    assert next(prior.unet.parameters()).dtype == torch.float32
    assert torch.equal(prior.predict(normal(1, 4, 8, 8), 10)[0], before[0])


def test_saved_twice_has_one_hash(prior, folder, toy_prior, tmp_path):
    prior.save_pretrained(tmp_path / "again")
    toy_prior.random_prior(seed=1).save_pretrained(tmp_path / "other")
    assert weights_sha256(folder) == weights_sha256(tmp_path / "again") != weights_sha256(tmp_path / "other")


def test_a_copy_does_not_tell_where_it_was_loaded_from(folder, tmp_path):
    LatentPrior.from_pretrained(folder).save_pretrained(tmp_path / "copy")
    written = [place.read_text() for place in tmp_path.glob("copy/**/*.json")]
    assert len(written) >= 3
    assert not [text for text in written if str(folder) in text]


def test_weights_are_half_precision_on_disk(prior, folder):
    size = sum(path.stat().st_size for path in folder.glob("*/*.safetensors"))
    n_weights = sum(p.numel() for network in (prior.vae, prior.unet) for p in network.parameters())
    assert 2 * n_weights < size < 2 * n_weights + 60_000
    assert not list(folder.glob("*/*.bin"))


def _tiny() -> AutoencoderTiny:
    return AutoencoderTiny(
        in_channels=4,
        out_channels=4,
        latent_channels=4,
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        num_encoder_blocks=(1, 1),
        num_decoder_blocks=(1, 1),
    )


def _vq() -> VQModel:
    return VQModel(
        in_channels=4,
        out_channels=4,
        latent_channels=4,
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4,
        num_vq_embeddings=16,
        mid_block_add_attention=False,
    )


@pytest.mark.parametrize("make", [_tiny, _vq], ids=["AutoencoderTiny", "VQModel"])
def test_other_autoencoders(make, prior, tmp_path, phantoms):
    """Both halve the image once more than the toy prior's own."""
    other = LatentPrior(make(), prior.unet, prior.scheduler, prior.config)
    assert other.size_multiple == 8
    other.save_pretrained(tmp_path / "other")
    loaded = LatentPrior.from_pretrained(tmp_path / "other")
    assert type(loaded.vae) is type(other.vae)
    hu = 300 * normal(2, 1, 16, 16)
    with torch.no_grad():
        z = loaded.encode(hu)
        assert z.shape == (2, 4, 4, 4)
        assert loaded.decode(z).shape == hu.shape
        assert phantoms.relative(z, other.encode(hu)) < 5e-3


# ---------------------------------------------------------------- what is refused


def break_config(folder: Path, **changes: object) -> None:
    path = folder / CONFIG_NAME
    raw = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in raw.items() if value is not ...}))


def test_no_such_prior():
    with pytest.raises(PriorError, match="no prior 'nonsense'"):
        LatentPrior.from_pretrained("nonsense")


def test_folder_without_config(folder):
    (folder / CONFIG_NAME).unlink()
    for refuse in (LatentPrior.from_pretrained, find_prior, PriorConfig.load):
        with pytest.raises(PriorError, match=f"has no {CONFIG_NAME}"):
            refuse(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '"x"', b"\xff\xfe{"], ids=repr)
def test_config_that_is_none(folder, text):
    (folder / CONFIG_NAME).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(PriorError, match="cannot be used"):
        LatentPrior.from_pretrained(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ...},
        {"hu_range": ...},
        {"hu_range": [2000, -1000]},
        {"hu_range": [0]},
        {"hu_range": "wide"},
        {"latent_mean": ...},
        {"latent_std": None},
        {"denoising_rmse_hu": ...},
        {"denoising_rmse_hu": []},
        {"denoising_rmse_hu": [[0.1]]},
        {"patch_size": "two"},
        {"provenance": ...},
    ],
    ids=str,
)
def test_config_with_holes(folder, changes):
    break_config(folder, **changes)
    with pytest.raises(PriorError, match="cannot be used"):
        LatentPrior.from_pretrained(folder)


@pytest.mark.parametrize("part", ["vae", "unet", "scheduler"])
def test_missing_part(folder, part):
    for path in (folder / part).iterdir():
        path.unlink()
    (folder / part).rmdir()
    with pytest.raises(PriorError, match=part):
        LatentPrior.from_pretrained(folder)


@pytest.mark.parametrize("part", ["vae", "unet"])
@pytest.mark.parametrize("damage", ["no weights", "cut short", "garbage"])
def test_damaged_weights(folder, part, damage):
    (weights,) = (folder / part).glob("*.safetensors")
    if damage == "no weights":
        weights.unlink()
    else:
        weights.write_bytes(weights.read_bytes()[:1000] if damage == "cut short" else b"garbage" * 100)
    with pytest.raises(PriorError, match=part):
        LatentPrior.from_pretrained(folder)


@pytest.mark.parametrize("part", ["vae", "unet"])
@pytest.mark.parametrize(("change", "said"), [("lacking", "lack what"), ("added", "have more than what")])
def test_weights_of_another_network(folder, part, change, said):
    (path,) = (folder / part).glob("*.safetensors")
    weights = load_file(path)
    if change == "lacking":
        del weights[min(weights)]
    else:
        weights["more.weight"] = torch.zeros(3)
    save_file(weights, path)
    with pytest.raises(PriorError, match=f"{part}: the weights {said} config.json describes"):
        LatentPrior.from_pretrained(folder)


@pytest.mark.parametrize("part", ["vae", "unet", "scheduler"])
def test_damaged_part_config(folder, part):
    (config,) = (folder / part).glob("*config.json")
    config.write_text("{")
    with pytest.raises(PriorError, match=part):
        LatentPrior.from_pretrained(folder)


@pytest.mark.parametrize("name", ["latent_mean", "latent_std"])
def test_channel_mismatch(prior, folder, name):
    with pytest.raises(PriorError, match="these must agree"):
        LatentPrior(prior.vae, prior.unet, prior.scheduler, replace(prior.config, **{name: (0.5, 0.5)}))
    break_config(folder, **{name: [0.5]})
    with pytest.raises(PriorError, match="these must agree"):
        LatentPrior.from_pretrained(folder)


def test_patch_size_that_the_autoencoder_does_not_have(prior):
    with pytest.raises(PriorError, match=r"takes 4 channels and gives 4, but patches of 4 x 4 pixels have 16"):
        LatentPrior(prior.vae, prior.unet, prior.scheduler, replace(prior.config, patch_size=4))


def test_colours_that_do_not_come_out_as_they_went_in(prior):
    vae = _vq()
    vae.register_to_config(out_channels=3)
    with pytest.raises(PriorError, match=r"takes 4 channels and gives 3"):
        LatentPrior(vae, prior.unet, prior.scheduler, prior.config)


@pytest.mark.parametrize("shape", [(30, 32), (32, 34), (2, 4)])
def test_image_that_does_not_fit(prior, shape):
    with pytest.raises(PriorError, match="multiples of 4"):
        prior.check_shape(shape)


# ---------------------------------------------------------------- images and latents


def test_size_multiple_is_what_the_networks_need(prior):
    side = prior.size_multiple
    prior.check_shape((side, 3 * side))
    with torch.no_grad():
        z = prior.encode(torch.zeros(2, 1, side, 3 * side))
    assert z.shape == (2, 4, 2, 6)
    assert prior.predict(z, 5)[0].shape == z.shape
    assert prior.decode(z).shape == (2, 1, side, 3 * side)


def test_latents_are_normalised(prior, toy_prior):
    other = LatentPrior(
        prior.vae, prior.unet, prior.scheduler, toy_prior.config(latent_mean=(0.0,) * 4, latent_std=(1.0,) * 4)
    )
    hu = 300 * normal(2, 1, 16, 16)
    mean, std = (torch.tensor(v).view(1, 4, 1, 1) for v in (prior.config.latent_mean, prior.config.latent_std))
    with torch.no_grad():
        assert torch.allclose(prior.encode(hu) * std + mean, other.encode(hu), atol=1e-5)
        assert torch.allclose(prior.decode(prior.encode(hu)), other.decode(other.encode(hu)), atol=0.1)


def test_hu_range_is_that_of_the_config(prior, toy_prior):
    """The same networks under a range shifted by 500 HU and twice as wide."""
    low, high = prior.config.hu_range
    wide = toy_prior.config(hu_range=(2 * low + 500, 2 * high + 500))
    other = LatentPrior(prior.vae, prior.unet, prior.scheduler, wide)
    hu = 300 * normal(2, 1, 16, 16)
    with torch.no_grad():
        assert torch.allclose(other.encode(2 * hu + 500), prior.encode(hu), atol=1e-4)
        z = normal(2, 4, 8, 8)
        assert torch.allclose(other.decode(z), 2 * prior.decode(z) + 500, atol=0.1)


def test_decoding_can_be_differentiated(prior):
    z = normal(1, 4, 8, 8).requires_grad_()
    prior.decode(z).sum().backward()
    assert z.grad.abs().sum() > 0


# ---------------------------------------------------------------- denoising


class Oracle(torch.nn.Module):
    """Stands for a network that knows the clean latents: each kind of prediction, by its definition."""

    def __init__(self, z_0: torch.Tensor, epsilon: torch.Tensor, prior: LatentPrior) -> None:
        super().__init__()
        self.z_0, self.epsilon, self.prior = z_0, epsilon, prior

    def forward(self, z_t: torch.Tensor, t: int):
        alpha_bar = float(self.prior.alpha_bar[t])
        a, s = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
        kind = self.prior.scheduler.config["prediction_type"]
        out = {"epsilon": self.epsilon, "sample": self.z_0, "v_prediction": a * self.epsilon - s * self.z_0}[kind]
        return type("Output", (), {"sample": out})


@pytest.mark.parametrize("t", [0, 1, 500, 999])
@pytest.mark.parametrize("prediction_type", PREDICTIONS)
def test_every_kind_of_prediction_gives_the_same_estimate(prediction_type, t, toy_prior):
    prior = toy_prior.random_prior(prediction_type)
    z_0, epsilon = normal(2, 4, 8, 8, seed=1), normal(2, 4, 8, 8, seed=2)
    prior.unet = Oracle(z_0, epsilon, prior)
    alpha_bar = float(prior.alpha_bar[t])
    z_t = alpha_bar**0.5 * z_0 + (1 - alpha_bar) ** 0.5 * epsilon
    found_z_0, found_epsilon = prior.predict(z_t, t)
    assert torch.allclose(found_z_0, z_0, atol=1e-4)
    assert torch.allclose(found_epsilon, epsilon, atol=1e-4)


@pytest.mark.parametrize("prediction_type", PREDICTIONS)
def test_estimate_and_noise_add_up_to_what_was_given(prediction_type, toy_prior):
    prior = toy_prior.random_prior(prediction_type)
    z_t = normal(2, 4, 8, 8)
    for t in (1, 300, 998):
        z_0, epsilon = prior.predict(z_t, t)
        alpha_bar = float(prior.alpha_bar[t])
        assert torch.allclose(alpha_bar**0.5 * z_0 + (1 - alpha_bar) ** 0.5 * epsilon, z_t, atol=1e-4)
        assert not z_0.requires_grad


def test_spread_is_read_off_between_the_measured_levels(prior, toy_prior):
    pairs = prior.config.denoising_rmse_hu
    spreads = [prior.spread_hu(t) for t in range(1000)]
    for t in (100, 400, 700):
        alpha_bar = float(prior.alpha_bar[t])
        (a0, e0), (a1, e1) = max(p for p in pairs if p[0] <= alpha_bar), min(p for p in pairs if p[0] > alpha_bar)
        assert spreads[t] == pytest.approx(e0 + (e1 - e0) * (alpha_bar - a0) / (a1 - a0))
    assert spreads == sorted(spreads)
    assert spreads[0] == 20.0  # the level nearest to what was measured, beyond it
    assert spreads[999] == 300.0
    shuffled = toy_prior.config(denoising_rmse_hu=pairs[::-1])
    assert LatentPrior(prior.vae, prior.unet, prior.scheduler, shuffled).spread_hu(400) == spreads[400]


# ---------------------------------------------------------------- what is bundled


@pytest.mark.parametrize(
    "folder", sorted(path.parent for path in BUNDLED.glob(f"*/{CONFIG_NAME}")), ids=lambda p: p.name
)
def test_bundled_prior_loads_by_name(folder):
    prior = LatentPrior.from_pretrained(folder.name)
    assert asdict(prior.config)["provenance"]
    assert isinstance(prior.unet, UNet2DModel)
    assert isinstance(prior.scheduler, DDIMScheduler)
    prior.check_shape((prior.config.image_size,) * 2)


# ---------------------------------------------------------------- a denoiser of scans beside the plain one


def test_two_denoisers_each_for_its_own(toy_prior, tmp_path):
    plain, knowing = toy_prior.random_prior(), toy_prior.random_prior(condition_spread=0.3, seed=1)
    both = LatentPrior(plain.vae, plain.unet, plain.scheduler, knowing.config, scan_unet=knowing.unet)
    z = normal(2, 4, 8, 8)
    for found, expected in zip(both.predict(z, 500), plain.predict(z, 500), strict=True):
        assert torch.equal(found, expected)
    assert torch.equal(both.predict(z, 500, z)[0], knowing.predict(z, 500, z)[0])
    both.save_pretrained(tmp_path / "both")
    loaded = LatentPrior.from_pretrained(tmp_path / "both")
    assert loaded.is_conditioned and loaded.conditioned_unet is loaded.scan_unet


def test_denoisers_that_do_not_fit_each_other_are_refused(toy_prior):
    plain, knowing = toy_prior.random_prior(), toy_prior.random_prior(condition_spread=0.3)
    parts = (plain.vae, plain.unet, plain.scheduler)
    with pytest.raises(PriorError, match="scan_unet.*no condition_spread"):
        LatentPrior(*parts, plain.config, scan_unet=knowing.unet)
    with pytest.raises(PriorError, match="denoiser of scans takes 4 channels.*expected twice as many"):
        LatentPrior(*parts, knowing.config, scan_unet=plain.unet)
    with pytest.raises(PriorError, match="the denoiser takes 8 channels.*expected the same number"):
        LatentPrior(knowing.vae, knowing.unet, knowing.scheduler, knowing.config, scan_unet=knowing.unet)
