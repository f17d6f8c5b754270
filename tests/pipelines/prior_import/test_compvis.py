"""CompVis checkpoints: the same outputs after conversion, whatever the build, and nothing run on reading."""

from __future__ import annotations

import math
import os
import sys
from types import ModuleType

import pytest
import torch
import yaml
from safetensors.torch import save_file

from ctresample.errors import PriorError
from ctresample.pipelines.prior_import.compvis_autoencoder import convert_autoencoder
from ctresample.pipelines.prior_import.compvis_checkpoint import read_compvis_checkpoint
from ctresample.pipelines.prior_import.compvis_unet import convert_unet
from ctresample.pipelines.prior_import.original_config import OriginalConfig

BETAS = torch.linspace(0.0015**0.5, 0.0195**0.5, 1000, dtype=torch.float64) ** 2


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def config_file(folder, **unet):
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({"model": {"params": {"unet_config": {"params": unet}}}}))
    return path


UNETS = {
    "heads of 16, attention on two levels": ({"mult": (1, 2, 3), "attention": (1, 2)}, {"num_head_channels": 16}),
    "one head": ({"mult": (1, 2), "attention": (1,)}, {"num_heads": 1}),
    "4 heads, in the middle only": ({"mult": (1, 1, 2), "attention": ()}, {"num_heads": 4}),
    "new order": (
        {"mult": (1, 2), "attention": (0, 1), "new_order": True},
        {"num_head_channels": 16, "use_new_attention_order": True},
    ),
    "scale and shift": ({"mult": (1, 2), "attention": (1,), "scale_shift": True}, {"num_head_channels": 32}),
    "deep": ({"mult": (1, 2), "attention": (1,), "depth": 3}, {"num_head_channels": 32}),
}


def heads_of(said):
    return lambda width: said["num_heads"] if "num_heads" in said else width // said["num_head_channels"]


@pytest.mark.parametrize("kind", UNETS)
def test_unet_gives_the_same_output(kind, compvis, phantoms, tmp_path):
    build, said = UNETS[kind]
    original = compvis.random(lambda: compvis.UNet(3, 32, **({"depth": 2} | build), heads=heads_of(said)))
    found = convert_unet(original.state_dict(), OriginalConfig(config_file(tmp_path, **said)), 16).eval()
    x, t = normal(2, 3, 16, 24), torch.tensor([3, 700])
    with torch.no_grad():
        assert phantoms.relative(found(x, t).sample, original(x, t.float())) < 2e-5
    assert found.config["sample_size"] == 16


STAGES = {
    "VQ-f4": {"mult": (1, 2, 4), "z": 3, "embed": 3, "n_codes": 64},
    "VQ with a codebook of its own width": {"mult": (1, 2), "z": 4, "embed": 2, "n_codes": 32},
    "VQ-f4 with attention": {"mult": (1, 1, 2), "z": 3, "embed": 3, "n_codes": 64, "attention": (2,)},
    "KL": {"mult": (1, 2), "z": 3, "embed": 3, "depth": 1},
    "grey VQ": {"mult": (1, 2, 2), "z": 1, "embed": 1, "n_codes": 64, "colours": 1},
}


@pytest.mark.parametrize("kind", STAGES)
def test_first_stage_gives_the_same_output(kind, compvis, phantoms):
    build = {"colours": 3, "width": 32, "depth": 2} | STAGES[kind]
    original = compvis.random(lambda: compvis.FirstStage(**build))
    loss = {"loss.discriminator.main.0.weight": torch.zeros(3)}
    found = convert_autoencoder(original.state_dict() | loss).eval()
    x = normal(2, build["colours"], 32, 16)
    with torch.no_grad():
        z = original.encode(x)
        encoded = found.encode(x)
        latents = encoded.latents if "n_codes" in build else encoded.latent_dist.mode()
        assert phantoms.relative(latents, z) < 2e-5
        z = normal(*z.shape)
        assert phantoms.relative(found.decode(z).sample, original.decode(z)) < 2e-5


# ---------------------------------------------------------------- whole checkpoints


@pytest.fixture(scope="module")
def parts(compvis):
    """Weights of a UNet and a first stage that go together, and the UNet's moving average."""
    unet, average = (compvis.random(lambda: compvis.UNet(3, 32, (1, 2), 1, (1,), lambda _: 2), seed) for seed in (1, 2))
    return unet, average, compvis.random(lambda: compvis.FirstStage(3, 32, (1, 2, 2), 1, 3, 3, 64))


def weights(parts, *, ema=True, first_stage=True, buffers=True):
    unet, average, stage = parts
    state = {f"model.diffusion_model.{k}": v for k, v in unet.state_dict().items()}
    if ema:
        flat = {k.replace(".", ""): v for k, v in average.state_dict().items()}
        state |= {f"model_ema.diffusion_model{k}": v for k, v in flat.items()}
        state |= {"model_ema.decay": torch.tensor(0.9999), "model_ema.num_updates": torch.tensor(5)}
    if first_stage:
        state |= {f"first_stage_model.{k}": v for k, v in stage.state_dict().items()}
    if buffers:
        state |= {"betas": BETAS.float(), "scale_factor": torch.tensor(0.5)}
    return state


HEADS = {"num_head_channels": 32, "image_size": 16}  # the middle is 64 wide


@pytest.fixture
def config(tmp_path):
    return config_file(tmp_path, **HEADS)


@pytest.mark.parametrize("ema", [True, False])
@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_whole_checkpoint(parts, config, tmp_path, phantoms, ema, suffix):
    path = tmp_path / f"model{suffix}"
    state = weights(parts, ema=ema)
    if suffix == ".ckpt":
        torch.save({"state_dict": state, "epoch": 3}, path)
    else:
        save_file(state, path)
    model = read_compvis_checkpoint(path, None, config)
    x, t = normal(1, 3, 16, 16), torch.tensor([500])
    with torch.no_grad():
        assert phantoms.relative(model.unet.eval()(x, t).sample, parts[1 if ema else 0](x, t.float())) < 2e-5
    assert model.latent_std == (2.0,) * 3
    assert model.latent_mean == (0.0,) * 3
    assert model.latent_size == 16
    assert model.scheduler.config["prediction_type"] == "epsilon"
    assert model.scheduler.config["beta_schedule"] == "scaled_linear"
    expected = torch.cumprod(1 - BETAS, 0)
    assert torch.allclose(model.scheduler.alphas_cumprod.double(), expected, rtol=1e-4)
    assert not model.assumed


def test_first_stage_from_a_file_of_its_own(parts, config, tmp_path):
    torch.save({"state_dict": weights(parts, first_stage=False)}, tmp_path / "unet.ckpt")
    torch.save({"state_dict": parts[2].state_dict()}, tmp_path / "vq.ckpt")
    with pytest.raises(PriorError, match="--first-stage"):
        read_compvis_checkpoint(tmp_path / "unet.ckpt", None, config)
    model = read_compvis_checkpoint(tmp_path / "unet.ckpt", tmp_path / "vq.ckpt", config)
    assert torch.equal(model.vae.quantize.embedding.weight, parts[2].quantize["embedding"].weight)
    assert [path.name for path in model.files] == ["unet.ckpt", "vq.ckpt"]


def test_what_the_config_says(parts, tmp_path):
    torch.save(weights(parts, buffers=False), tmp_path / "m.ckpt")
    params = {
        "scale_factor": 0.25,
        "parameterization": "v",
        "linear_start": 0.001,
        "linear_end": 0.02,
        "timesteps": 500,
        "image_size": 24,
        "unet_config": {"params": {"num_head_channels": 32}},
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({"model": {"params": params}}))
    model = read_compvis_checkpoint(tmp_path / "m.ckpt", None, tmp_path / "c.yaml")
    assert model.latent_std == (4.0,) * 3
    assert model.latent_size == 24
    assert model.scheduler.config["prediction_type"] == "v_prediction"
    expected = math.prod(1 - (0.001**0.5 + k / 499 * (0.02**0.5 - 0.001**0.5)) ** 2 for k in range(500))
    assert float(model.scheduler.alphas_cumprod[-1]) == pytest.approx(expected, rel=1e-3)
    assert len(model.scheduler.alphas_cumprod) == 500


def test_without_config_it_asks_for_what_the_weights_do_not_say(parts, tmp_path):
    torch.save(weights(parts), tmp_path / "m.ckpt")
    with pytest.raises(PriorError, match=r"do not say .*num_heads; .*--config"):
        read_compvis_checkpoint(tmp_path / "m.ckpt", None, None)


def test_what_was_assumed_is_told(parts, tmp_path, monkeypatch):
    """Only the number of heads cannot be done without."""
    config = OriginalConfig(None)
    config._content = {"model": {"params": {"unet_config": {"params": {"num_head_channels": 32}}}}}
    module = "ctresample.pipelines.prior_import.compvis_checkpoint.OriginalConfig"
    monkeypatch.setattr(module, lambda _path: config)
    state = weights(parts)
    del state["scale_factor"]
    torch.save(state, tmp_path / "m.ckpt")
    model = read_compvis_checkpoint(tmp_path / "m.ckpt", None, None)
    assert [line.split()[0].rpartition(".")[2] for line in model.assumed] == [
        "image_size",
        "use_new_attention_order",
        "scale_factor",
        "parameterization",
    ]


# ---------------------------------------------------------------- what is refused, and what is left out


class Evil:
    def __reduce__(self):
        return os.system, ("touch ran-code",)


def test_code_in_a_pickle_is_not_run(parts, config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": weights(parts), "extra": Evil()}, tmp_path / "m.ckpt")
    with pytest.raises(PriorError, match=r"more than weights \(.*system\).*torch\.save") as refused:
        read_compvis_checkpoint(tmp_path / "m.ckpt", None, config)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "ran-code").exists()


def test_callbacks_of_lightning_are_left_out(parts, config, tmp_path, monkeypatch):
    """Checkpoints of latent diffusion name such classes, and the package need not be there to read them."""
    name = "pytorch_lightning.callbacks.model_checkpoint"
    made = type("ModelCheckpoint", (), {"__module__": name})
    module = ModuleType(name)
    module.ModelCheckpoint = made
    for parent in ("pytorch_lightning", "pytorch_lightning.callbacks"):
        monkeypatch.setitem(sys.modules, parent, ModuleType(parent))
    monkeypatch.setitem(sys.modules, name, module)
    content = {"state_dict": weights(parts), "callbacks": {made: {"best": 1.0}}, "loops": made()}
    torch.save(content, tmp_path / "m.ckpt")
    for parent in ("pytorch_lightning", "pytorch_lightning.callbacks", name):
        monkeypatch.delitem(sys.modules, parent)
    model = read_compvis_checkpoint(tmp_path / "m.ckpt", None, config)
    assert model.latent_std == (2.0,) * 3


@pytest.mark.parametrize("damage", ["cut short", "garbage", "empty", "no weights", "other names"])
@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_damaged_file(parts, config, tmp_path, damage, suffix):
    path = tmp_path / f"m{suffix}"
    save = save_file if suffix == ".safetensors" else torch.save
    save({"a.b": torch.zeros(3)} if damage == "other names" else weights(parts), path)
    if damage == "no weights" and suffix == ".ckpt":
        torch.save({"state_dict": {"epoch": 3}}, path)
    elif damage != "other names":
        whole = path.read_bytes()
        path.write_bytes({"cut short": whole[: len(whole) // 2], "garbage": b"garbage" * 99}.get(damage, b""))
    with pytest.raises(PriorError, match=r"m\.(ckpt|safetensors)") as refused:
        read_compvis_checkpoint(path, None, config)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"label_emb.weight": torch.zeros(10, 128)}, "conditioned on classes"),
        ({"input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight": torch.zeros(3, 3)}, "conditioned on text"),
        ({"out.2.weight": torch.zeros(3, 16, 3, 3)}, "size mismatch"),
        ({"middle_block.0.emb_layers.1.weight": None}, "has no middle_block.0.emb_layers.1.weight"),
        ({"middle_block.2.in_layers.0.weight": None}, "Missing key"),
        ({"extra_blocks.0.weight": torch.zeros(3)}, "extra_blocks.0.weight is no part"),
    ],
    ids=lambda v: v if isinstance(v, str) else next(iter(v)),
)
def test_unet_of_another_build(parts, config, tmp_path, change, said):
    state = weights(parts, ema=False)
    state |= {f"model.diffusion_model.{k}": v for k, v in change.items()}
    torch.save({k: v for k, v in state.items() if v is not None}, tmp_path / "m.ckpt")
    with pytest.raises(PriorError, match=said) as refused:
        read_compvis_checkpoint(tmp_path / "m.ckpt", None, config)
    assert "\n" not in str(refused.value)


def test_heads_that_diffusers_cannot_have(compvis, tmp_path):
    unet = compvis.random(lambda: compvis.UNet(3, 32, (1, 2), 1, (0, 1), lambda _: 4))
    with pytest.raises(PriorError, match="4 attention heads at 2 different widths"):
        convert_unet(unet.state_dict(), OriginalConfig(config_file(tmp_path, num_heads=4)), 16)


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", "just words"])
def test_config_that_is_none(tmp_path, text):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(PriorError, match=r"c\.yaml"):
        OriginalConfig(tmp_path / "c.yaml")
