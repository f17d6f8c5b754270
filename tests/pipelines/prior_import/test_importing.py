"""From a foreign model to a prior in use: through the command line, from DICOM to images, whole or not at all."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import asdict, replace

import pytest
import torch
import yaml
from diffusers import UNet2DModel
from typer.testing import CliRunner

from ctresample.cli import app
from ctresample.errors import OutputError, PriorError, UsageError
from ctresample.learned.folders import find_prior
from ctresample.learned.latent_prior import LatentPrior
from ctresample.pipelines.denoising_error import N_LEVELS, LevelError
from ctresample.pipelines.prior_import import import_prior

RANGE = (-1024.0, 3071.0)


def cli(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def one_slice(validation, tmp_path_factory):
    folder = tmp_path_factory.mktemp("slice")
    shutil.copy(validation / "slice-01.dcm", folder)
    return folder


@pytest.fixture(scope="module")
def imported(narrow, one_slice, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "prior"
    words = ("prior", "import", narrow, "-o", out, "--hu-range", -1024, 3071, "--validation", one_slice)
    done = cli(*words, "--name", "dm4ct", "--device", "cpu")
    assert done.exit_code == 0, done.output
    return out, done


@pytest.fixture(scope="module")
def natural(compvis, tmp_path_factory):
    """A checkpoint of coloured images, and its config."""
    folder = tmp_path_factory.mktemp("natural")
    unet = compvis.random(lambda: compvis.UNet(3, 32, (1, 2), 1, (1,), lambda _: 2))
    stage = compvis.random(lambda: compvis.FirstStage(3, 32, (1, 1, 2), 1, 3, 3, 64))
    state = {f"model.diffusion_model.{k}": v for k, v in unet.state_dict().items()}
    state |= {f"first_stage_model.{k}": v for k, v in stage.state_dict().items()}
    state["betas"] = torch.linspace(0.0015**0.5, 0.0195**0.5, 1000) ** 2
    torch.save({"state_dict": state}, folder / "model.ckpt")
    params = {"scale_factor": 0.5, "unet_config": {"params": {"image_size": 16, "num_head_channels": 32}}}
    (folder / "config.yaml").write_text(yaml.safe_dump({"model": {"params": params}}))
    return folder, stage


# ---------------------------------------------------------------- the whole way


def test_imported_prior_is_the_source(imported, narrow, phantoms):
    """To half precision, in which priors are kept."""
    prior = LatentPrior.from_pretrained(imported[0])
    unet = UNet2DModel.from_pretrained(narrow / "unet").eval()
    z = normal(1, 1, 32, 32)
    with torch.no_grad():
        assert phantoms.relative(prior.unet(z, 300).sample, unet(z, 300).sample) < 5e-3
    assert prior.config.hu_range == RANGE
    assert prior.config.image_size == 128
    assert prior.config.name == "dm4ct"
    assert prior.size_multiple == 4 * 32
    assert prior.scheduler.config["prediction_type"] == "epsilon"
    hu = torch.tensor([[[[-1024.0, 3071.0]]]]).repeat(1, 1, 128, 64)
    with torch.no_grad():
        latents = prior.vae.encode(torch.tensor([-1.0, 1.0]).repeat(128, 64)[None, None]).latents
        assert phantoms.relative(prior.encode(hu), latents) < 1e-5


def test_error_is_measured_noisiest_first(imported):
    pairs = LatentPrior.from_pretrained(imported[0]).config.denoising_rmse_hu
    assert len(pairs) == N_LEVELS
    levels = [alpha_bar for alpha_bar, _ in pairs]
    assert levels == sorted(levels)
    assert levels[0] < 0.01 < 0.9 < levels[-1]
    assert all(0 < error < 10_000 for _, error in pairs)
    assert "to" in imported[1].stdout and "--prior" in imported[1].stdout


def test_info_describes_it_and_names_no_folder_of_this_machine(imported, narrow):
    done = cli("info", imported[0])
    assert done.exit_code == 0
    for fact in ("dm4ct", "-1024 to 3071", "128 x 128", "VQModel", "imported from", "licence"):
        assert fact in done.stdout
    config = json.loads((imported[0] / "prior.json").read_text())
    assert str(narrow.parent) not in json.dumps(config)
    assert len(config["provenance"]["imported weights sha256"]) == 64


@pytest.mark.slow
def test_it_reconstructs(imported, one_slice, tmp_path):
    scan = tmp_path / "scan.h5"
    done = cli("simulate", one_slice, "-o", scan, "--views", 10, "--size", 128)
    assert done.exit_code == 0, done.output
    done = cli("reconstruct", scan, "-o", tmp_path / "result", "--prior", imported[0], "--device", "cpu")
    assert done.exit_code == 0, done.output
    files = [path for path in (tmp_path / "result").rglob("*") if path.is_file()]
    assert any(path.suffix == ".dcm" for path in files)
    assert any(b"dm4ct" in path.read_bytes() for path in files)


def test_coloured_model(natural, one_slice, tmp_path, compvis, phantoms):
    """Grey goes in as three equal colours and comes out as their mean; the first stage quantises on decoding."""
    folder, stage = natural
    notes = []
    config = import_prior(
        folder / "model.ckpt",
        tmp_path / "prior",
        one_slice,
        hu_range=RANGE,
        original_config=folder / "config.yaml",
        on_note=notes.append,
    )
    prior = LatentPrior.from_pretrained(tmp_path / "prior")
    assert config == prior.config
    assert (config.name, config.image_size, config.patch_size) == ("model", 64, 1)
    assert prior.size_multiple == 8
    hu = 500 * normal(2, 1, 16, 24)
    model = (hu + 1024) * 2 / 4095 - 1
    with torch.no_grad():
        z = prior.encode(hu)
        assert phantoms.relative(z, 0.5 * stage.encode(model.repeat(1, 3, 1, 1))) < 5e-3
        z = 0.5 * stage.quantize["embedding"].weight[:24].T.reshape(1, 3, 4, 6) + 1e-5
        expected = (stage.decode(2 * z).mean(1, keepdim=True) + 1) * 4095 / 2 - 1024
        assert phantoms.relative(prior.decode(z), expected) < 5e-3
    z.requires_grad_()
    prior.decode(z).sum().backward()  # through the codebook, as if it were not there
    assert z.grad.abs().sum() > 0


def test_same_source_gives_the_same_prior(natural, one_slice, tmp_path):
    folder, _ = natural
    made = [
        import_prior(folder / "model.ckpt", out, one_slice, hu_range=RANGE, original_config=folder / "config.yaml")
        for out in (tmp_path / "a", tmp_path / "b")
    ]
    assert asdict(made[0]) == asdict(made[1])
    for path in (tmp_path / "a").rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


def test_prior_of_ours_says_its_range_itself(toy_prior, one_slice, tmp_path):
    """Such as one whose UNet a script of diffusers has fine-tuned."""
    source = toy_prior.random_prior()
    source.unet.register_to_config(sample_size=16)
    source.save_pretrained(tmp_path / "mine")
    with pytest.raises(UsageError, match="leave out --hu-range"):
        import_prior(tmp_path / "mine", tmp_path / "again", one_slice, hu_range=(-1.0, 1.0))
    made = import_prior(tmp_path / "mine", tmp_path / "again", one_slice)
    for name in ("name", "hu_range", "patch_size", "latent_mean", "latent_std", "image_size"):
        assert getattr(made, name) == getattr(source.config, name)
    assert made.provenance["data"] == "none"


def test_prior_of_ours_keeps_its_coarse_denoiser(toy_prior, one_slice, tmp_path, phantoms):
    source = toy_prior.random_prior()
    source.unet.register_to_config(sample_size=16)
    config = replace(source.config, coarse_from_step=600)
    source = LatentPrior(source.vae, source.unet, source.scheduler, config, toy_prior.random_prior(seed=5).unet)
    source.coarse.unet.register_to_config(sample_size=4)
    source.save_pretrained(tmp_path / "mine")
    import_prior(tmp_path / "mine", tmp_path / "again", one_slice)
    loaded, z_t = LatentPrior.from_pretrained(tmp_path / "again"), normal(1, 4, 16, 16)
    assert phantoms.relative(loaded.predict(z_t, 900)[0], source.predict(z_t, 900)[0]) < 5e-3


def test_latents_far_from_unit_variance_are_told(narrow, one_slice, tmp_path):
    source = shutil.copytree(narrow, tmp_path / "source")
    path = source / "vqvae" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"scaling_factor": 1000.0}))
    notes = []
    import_prior(source, tmp_path / "out", one_slice, hu_range=RANGE, on_note=notes.append)
    assert any("standard deviation" in note and "scaling" in note for note in notes)


# ---------------------------------------------------------------- what is refused


def test_range_is_not_guessed(narrow, one_slice, tmp_path):
    done = cli("prior", "import", narrow, "-o", tmp_path / "out", "--validation", one_slice)
    assert done.exit_code == 2
    assert "add --hu-range LOW HIGH" in done.stderr
    with pytest.raises(UsageError, match="low < high"):
        import_prior(narrow, tmp_path / "out", one_slice, hu_range=(1.0, -1.0))
    assert not (tmp_path / "out").exists()


def test_nothing_is_replaced(narrow, one_slice, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        import_prior(narrow, tmp_path / "out", one_slice, hu_range=RANGE)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


@pytest.mark.parametrize("when", ["reading", "measuring", "writing"])
def test_nothing_is_left_of_a_failure(narrow, one_slice, tmp_path, monkeypatch, when):
    source = shutil.copytree(narrow, tmp_path / "source") if when == "reading" else narrow
    if when == "reading":
        (weights,) = (source / "unet").glob("*.safetensors")
        weights.write_bytes(weights.read_bytes()[:5000])
    module = "ctresample.pipelines.prior_import.importing"

    def fail(*_args, **_kwargs):
        raise PriorError("stopped")

    if when == "measuring":
        monkeypatch.setattr(f"{module}.denoising_error", fail)
    if when == "writing":
        monkeypatch.setattr(f"{module}.denoising_error", lambda *_args, **_kwargs: ())
        monkeypatch.setattr("ctresample.learned.prior_config.json.dumps", fail)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(PriorError):
        import_prior(source, tmp_path / "new" / "out", one_slice, hu_range=RANGE)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_weights_that_are_not_finite(narrow, one_slice, tmp_path):
    source = shutil.copytree(narrow, tmp_path / "source")
    unet = UNet2DModel.from_pretrained(source / "unet")
    with torch.no_grad():
        unet.conv_in.bias[0] = 1e6  # more than half precision holds
    unet.save_pretrained(source / "unet")
    with pytest.raises(PriorError, match="UNet are not finite in half precision"):
        import_prior(source, tmp_path / "out", one_slice, hu_range=RANGE)


def test_estimates_that_are_not_finite(narrow, one_slice, tmp_path, monkeypatch):
    nothing = LevelError(0.5, math.nan, math.nan)
    monkeypatch.setattr("ctresample.pipelines.prior_import.importing.denoising_error", lambda *_, **__: (nothing,))
    with pytest.raises(PriorError, match="not finite"):
        import_prior(narrow, tmp_path / "out", one_slice, hu_range=RANGE)
    assert not (tmp_path / "out").exists()


def test_unet_with_another_input_beside_the_latents(natural, one_slice, tmp_path, compvis):
    folder, _ = natural
    state = torch.load(folder / "model.ckpt", weights_only=True)["state_dict"]
    other = compvis.random(lambda: compvis.UNet(4, 32, (1, 2), 1, (1,), lambda _: 2))
    state |= {f"model.diffusion_model.{k}": v for k, v in other.state_dict().items()}
    torch.save(state, tmp_path / "m.ckpt")
    with pytest.raises(PriorError, match="takes 4 latent channels, the autoencoder makes 3"):
        import_prior(
            tmp_path / "m.ckpt",
            tmp_path / "out",
            one_slice,
            hu_range=RANGE,
            original_config=folder / "config.yaml",
        )


def test_latents_that_the_unet_cannot_halve(narrow, one_slice, tmp_path):
    source = shutil.copytree(narrow, tmp_path / "source")
    path = source / "unet" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"sample_size": 48}))
    with pytest.raises(PriorError, match="48 x 48, .* multiple of 32"):
        import_prior(source, tmp_path / "out", one_slice, hu_range=RANGE)


def test_options_of_checkpoints_with_a_folder(narrow, natural, one_slice, tmp_path):
    with pytest.raises(UsageError, match="--first-stage and --config"):
        import_prior(narrow, tmp_path / "out", one_slice, hu_range=RANGE, original_config=natural[0] / "config.yaml")


def test_raw_models_are_told_how_to_become_priors(narrow, natural):
    for path in (narrow, natural[0] / "model.ckpt"):
        done = cli("info", path)
        assert done.exit_code == 1
        assert "ctresample prior import" in done.stderr
        assert len(done.stderr.splitlines()) == 1
        with pytest.raises(PriorError, match="`ctresample prior import`"):
            find_prior(path)
