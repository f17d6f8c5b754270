"""Folders of diffusers pipelines: schedules kept, scaling taken over once, and what cannot be a prior refused."""

from __future__ import annotations

import json
import os
import shutil

import diffusers
import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, DDPMScheduler, UNet2DConditionModel, UNet2DModel

from ctresample.errors import PriorError
from ctresample.pipelines.prior_import.diffusers_folder import read_diffusers_folder
from ctresample.pipelines.prior_import.schedule import ddim_scheduler


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, write_dm4ct):
    return write_dm4ct(tmp_path_factory.mktemp("tiny") / "tiny", width=8, codes=16)


@pytest.fixture
def folder(tiny, tmp_path):
    return shutil.copytree(tiny, tmp_path / "model")


def change_config(path, **changes):
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in config.items() if v is not ...}))


def refused(folder, said):
    with pytest.raises(PriorError, match=said) as error:
        read_diffusers_folder(folder)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600


# ---------------------------------------------------------------- DM4CT's layout


def test_configuration_of_dm4ct(write_dm4ct, tmp_path):
    """The published latent model's own sizes; the numbers of weights are those of its published files."""
    model = read_diffusers_folder(write_dm4ct(tmp_path / "lodochallenge", width=128, sample_size=128))
    assert sum(p.numel() for p in model.unet.parameters()) == 113_668_609
    assert sum(p.numel() for p in model.vae.parameters()) == 55_275_654
    assert model.latent_size == 128
    assert (model.latent_mean, model.latent_std) == ((0.0,), (1.0,))
    expected = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)
    assert torch.allclose(model.scheduler.alphas_cumprod.double(), expected, rtol=1e-4)


@pytest.mark.parametrize("name", ["vae", "autoencoder"])
def test_other_names_of_the_autoencoder(folder, name):
    (folder / "vqvae").rename(folder / name)
    assert read_diffusers_folder(folder).latent_size == 8
    shutil.copytree(folder / name, folder / "vqvae")
    refused(folder, "more than one autoencoder")


def test_code_beside_the_weights_is_left_alone(folder):
    (folder / "pipeline.py").write_text("raise SystemExit")
    (folder / "model_index.json").write_text('{"_class_name": ["pipeline", "Evil"]}')
    read_diffusers_folder(folder)


def test_weights_pickled_by_torch(folder, tmp_path):
    expected = read_diffusers_folder(folder).unet.state_dict()
    (weights,) = (folder / "unet").glob("*.safetensors")
    weights.unlink()
    torch.save(expected, folder / "unet" / "diffusion_pytorch_model.bin")
    model = read_diffusers_folder(folder)
    assert all(torch.equal(v, expected[k]) for k, v in model.unet.state_dict().items())
    assert [path.name for path in model.files][-1] == "diffusion_pytorch_model.bin"


class Evil:
    def __reduce__(self):
        return os.system, ("touch ran-code",)


def test_code_in_a_pickle_is_not_run(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (weights,) = (folder / "vqvae").glob("*.safetensors")
    weights.unlink()
    torch.save({"encoder.conv_in.weight": Evil()}, folder / "vqvae" / "diffusion_pytorch_model.bin")
    refused(folder, r"more than weights \(.*system\)")
    assert not (tmp_path / "ran-code").exists()


# ---------------------------------------------------------------- scaling


KL = {"block_out_channels": (8, 8), "norm_num_groups": 4, "latent_channels": 4, "layers_per_block": 1}
KL |= {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}


@pytest.mark.parametrize(
    ("changes", "mean", "std"),
    [
        ({}, 0.0, 1 / 0.18215),
        ({"scaling_factor": 0.5}, 0.0, 2.0),
        ({"scaling_factor": 0.5, "shift_factor": 0.1}, 0.1, 2.0),
        ({"scaling_factor": 0.5, "latents_mean": [0.3] * 4, "latents_std": [3.0] * 4}, 0.3, 6.0),
    ],
    ids=str,
)
def test_latents_are_scaled_as_the_pipeline_does(folder, changes, mean, std):
    """What a pipeline of diffusers gives its UNet: (z - shift) * scale, or (z - mean) / std * scale."""
    shutil.rmtree(folder / "vqvae")
    AutoencoderKL(**KL | changes).save_pretrained(folder / "vae")
    model = read_diffusers_folder(folder)
    assert model.latent_mean == pytest.approx((mean,) * 4)
    assert model.latent_std == pytest.approx((std,) * 4)


def test_tiny_autoencoder(folder):
    shutil.rmtree(folder / "vqvae")
    AutoencoderTiny(
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        num_encoder_blocks=(1, 1),
        num_decoder_blocks=(1, 1),
    ).save_pretrained(folder / "vae")
    model = read_diffusers_folder(folder)
    assert (model.latent_mean, model.latent_std) == ((0.0,) * 4, (1.0,) * 4)


@pytest.mark.parametrize("value", [..., 0, -1.0, "one", None])
def test_scaling_that_is_none(folder, value):
    change_config(folder / "vqvae" / "config.json", scaling_factor=value)
    refused(folder, "scaling_factor")


# ---------------------------------------------------------------- schedules


def put_scheduler(folder, scheduler):
    shutil.rmtree(folder / "scheduler")
    scheduler.save_pretrained(folder / "scheduler")


SCALED = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}


@pytest.mark.parametrize(
    "name",
    [
        "DDPMScheduler",
        "DDIMScheduler",
        "PNDMScheduler",
        "DPMSolverMultistepScheduler",
        "UniPCMultistepScheduler",
        "EulerDiscreteScheduler",
        "DEISMultistepScheduler",
    ],
)
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_schedulers_of_the_diffusion_kind(folder, name, prediction_type):
    put_scheduler(folder, getattr(diffusers, name)(**SCALED, prediction_type=prediction_type))
    made = read_diffusers_folder(folder).scheduler
    expected = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2, 0)
    assert torch.allclose(made.alphas_cumprod.double(), expected, rtol=1e-4)
    assert made.config["prediction_type"] == prediction_type
    assert made.config["trained_betas"] is None
    assert not made.config["clip_sample"]


@pytest.mark.parametrize(
    "settings",
    [
        {"num_train_timesteps": 250, "beta_schedule": "linear", "beta_end": 0.05},
        {"beta_schedule": "squaredcos_cap_v2"},
        {"beta_schedule": "sigmoid"},
        {"trained_betas": [0.001 + 1e-5 * k + 1e-4 * (k % 3) for k in range(300)], "num_train_timesteps": 300},
        {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction"},
        {"prediction_type": "sample"},
    ],
    ids=lambda s: next(iter(s)) + str(s.get("beta_schedule", "")),
)
def test_every_schedule_of_ddpm(folder, settings, tmp_path):
    source = DDPMScheduler(**settings)
    put_scheduler(folder, source)
    made = read_diffusers_folder(folder).scheduler
    made.save_pretrained(tmp_path / "again")
    again = diffusers.DDIMScheduler.from_pretrained(tmp_path / "again")
    for found in (made, again):
        assert torch.allclose(found.alphas_cumprod, source.alphas_cumprod, rtol=1e-4, atol=1e-7)
        assert found.config["prediction_type"] == source.config["prediction_type"]


def test_scheduler_class_of_a_pipeline_of_its_own(folder):
    """DM4CT's own sampler is a DDIMScheduler under another name."""
    change_config(folder / "scheduler" / "scheduler_config.json", _class_name="DDIMSchedulerReSampler")
    assert len(read_diffusers_folder(folder).scheduler.alphas_cumprod) == 1000
    change_config(folder / "scheduler" / "scheduler_config.json", beta_schedule=..., trained_betas=...)
    refused(folder, "without beta_schedule")


@pytest.mark.parametrize("name", ["FlowMatchEulerDiscreteScheduler", "EDMEulerScheduler", "ScoreSdeVeScheduler"])
def test_schedulers_of_another_kind(folder, name):
    put_scheduler(folder, getattr(diffusers, name)())
    refused(folder, "adds noise by betas")


@pytest.mark.parametrize(
    ("betas", "prediction", "said"),
    [
        ([0.1, 0.2], "flow_prediction", "predicts 'flow_prediction'"),
        ([0.1, -0.2], "epsilon", "betas outside"),
        ([0.1, float("nan")], "epsilon", "betas outside"),
        ([0.1, 1.0], "epsilon", "alpha_bar = 0"),
    ],
)
def test_schedule_that_cannot_be_used(betas, prediction, said):
    with pytest.raises(PriorError, match=said):
        ddim_scheduler(torch.tensor(betas), prediction, "here")


# ---------------------------------------------------------------- what cannot be a prior


@pytest.mark.parametrize("part", ["unet", "scheduler"])
def test_missing_part(folder, part):
    shutil.rmtree(folder / part)
    refused(folder, f"no {part}")


def test_model_of_pixels(folder):
    shutil.rmtree(folder / "vqvae")
    model = read_diffusers_folder(folder)
    assert model.vae is None
    assert (model.latent_mean, model.latent_std) == ((), ())
    assert model.latent_size == 8
    assert "UNet2DModel and DDPMScheduler" in model.kind


def test_text_conditioned(folder):
    shutil.rmtree(folder / "unet")
    UNet2DConditionModel(
        block_out_channels=(32, 32),
        down_block_types=("DownBlock2D",) * 2,
        up_block_types=("UpBlock2D",) * 2,
    ).save_pretrained(folder / "unet")
    refused(folder, "UNet2DConditionModel.*no text")


@pytest.mark.parametrize("change", [{"num_class_embeds": 10}, {"class_embed_type": "timestep"}])
def test_class_conditioned(folder, change):
    change_config(folder / "unet" / "config.json", **change)
    refused(folder, "conditioned on classes")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"out_channels": 2}, "as many"),
        ({"_class_name": ...}, "names no class"),
        ({"sample_size": None}, "no sample_size"),
        ({"block_out_channels": [8, 8, 16, 16, 32, 40]}, "unet cannot be loaded"),
        ({"layers_per_block": 3}, "expected shape"),
        ({"add_attention": False}, "more than what config.json describes"),
        ({"downsample_type": "resnet"}, "lack what config.json describes"),
        ({"down_block_types": ["Nonsense"] * 6}, "describes no UNet2DModel: Nonsense does not exist"),
    ],
    ids=str,
)
def test_checkpoint_of_another_shape(folder, change, said):
    change_config(folder / "unet" / "config.json", **change)
    refused(folder, said)


@pytest.mark.parametrize("part", ["vqvae", "unet"])
@pytest.mark.parametrize("damage", ["no weights", "cut short", "garbage", "empty"])
@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_damaged_weights(folder, part, damage, suffix):
    (weights,) = (folder / part).glob("*.safetensors")
    whole = weights.read_bytes()
    if suffix == ".bin":
        torch.save({"a": torch.zeros(1000)}, folder / part / "diffusion_pytorch_model.bin")
        weights.unlink()
        weights = weights.with_suffix(".bin")
        whole = weights.read_bytes()
    if damage == "no weights":
        weights.unlink()
    else:
        weights.write_bytes({"cut short": whole[: len(whole) // 2], "garbage": b"garbage" * 99, "empty": b""}[damage])
    refused(folder, part)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}"])
@pytest.mark.parametrize("path", ["vqvae/config.json", "unet/config.json", "scheduler/scheduler_config.json"])
def test_damaged_config(folder, path, text):
    (folder / path).write_text(text)
    refused(folder, path.split("/")[0])


def test_weights_that_are_not_those_of_the_config(folder):
    UNet2DModel(
        sample_size=8,
        in_channels=1,
        out_channels=1,
        block_out_channels=(32,) * 2,
        down_block_types=("DownBlock2D",) * 2,
        up_block_types=("UpBlock2D",) * 2,
    ).save_pretrained(folder / "other")
    shutil.copy(
        folder / "other" / "diffusion_pytorch_model.safetensors",
        folder / "unet" / "diffusion_pytorch_model.safetensors",
    )
    refused(folder, "unet")
