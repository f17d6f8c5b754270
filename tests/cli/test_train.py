"""``ctresample train`` and ``ctresample finetune``: from DICOM folders to a prior; what is wrong in one line."""

import pytest

from ctresample.learned.latent_prior import LatentPrior

RECIPE = """
autoencoder:
  run: {steps: 4, batch_size: 2, validate_every: 2}
  image_size: 32
  crop_size: 16
  patch_size: 2
  channels: [8]
  blocks: 1
  latent_channels: 4
  start: pca
prior:
  run: {steps: 4, batch_size: 2, validate_every: 2}
  name: mine
  image_size: 32
  patch_size: 2
  channels: [8, 16]
  layers_per_block: 1
  pool: 4
coarse:
  run: {steps: 2, batch_size: 2, validate_every: 2}
  blocks: 4
  channels: [8, 16]
  from_step: 500
  pool: 4
finetune:
  run: {steps: 2, batch_size: 2, validate_every: 2}
  pool: 4
pixel-prior:
  run: {steps: 2, batch_size: 2, validate_every: 2}
  name: pixels
  image_size: 32
  patch_size: 2
  channels: [8, 16]
  layers_per_block: 1
  pool: 4
fbp-unet:
  run: {steps: 2, batch_size: 2, validate_every: 2}
  image_size: 32
  channels: [4, 8]
  pool: 4
"""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, make_series):
    """Slices to train on, slices of another patient, and a recipe."""
    from pydicom import dcmread

    folder = tmp_path_factory.mktemp("inputs")
    for name in ("train", "val"):
        for path in make_series(folder / name, 2, series="1" if name == "train" else "2").iterdir():
            ds = dcmread(path)
            ds.PatientID = name
            ds.save_as(path)
    (folder / "recipe.yaml").write_text(RECIPE)
    return folder


@pytest.fixture(scope="module")
def slices(inputs):
    return (inputs / "train", "--validation", inputs / "val", "--recipe", inputs / "recipe.yaml")


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory, cli, slices):
    out = tmp_path_factory.mktemp("runs") / "run"
    done = cli("train", "autoencoder", *slices, "-o", out)
    assert done.exit_code == 0, done.output
    assert "training on 2 slices of 1 patients; validating on 2 slices of 1 patients" in done.stdout
    assert "step 4/4" in done.stdout
    assert f"next, ctresample train prior ... --autoencoder {out}" in done.stdout
    return out


@pytest.fixture(scope="module")
def trained(autoencoder, cli, slices):
    out = autoencoder / "diffusion"
    done = cli("train", "prior", *slices, "--autoencoder", autoencoder, "-o", out)
    assert done.exit_code == 0, done.output
    return out / "prior"


def test_trained_prior_can_be_used_and_tuned(cli, slices, trained, tmp_path):
    assert LatentPrior.from_pretrained(trained).config.name == "mine"
    done = cli("finetune", trained, *slices, "-o", tmp_path / "tuned", "--lora", 1)
    assert done.exit_code == 0, done.output
    assert f"use it with --prior {tmp_path / 'tuned' / 'prior'}" in done.stdout
    assert LatentPrior.from_pretrained(tmp_path / "tuned" / "prior").config.name == "mine-finetuned"


def test_coarse_denoiser_is_added(cli, slices, trained, tmp_path):
    done = cli("train", "coarse", trained, *slices, "-o", tmp_path / "run")
    assert done.exit_code == 0, done.output
    assert f"use it with --prior {tmp_path / 'run' / 'prior'}" in done.stdout
    assert LatentPrior.from_pretrained(tmp_path / "run" / "prior").config.coarse_from_step == 500


@pytest.mark.parametrize("verb", ["autoencoder", "prior", "coarse", "finetune"])
def test_dry_run_writes_nothing(cli, slices, autoencoder, trained, tmp_path, verb):
    words = {
        "autoencoder": ["train", "autoencoder"],
        "prior": ["train", "prior", "--autoencoder", autoencoder],
        "coarse": ["train", "coarse", trained],
        "finetune": ["finetune", trained],
    }[verb]
    done = cli(*words, *slices, "-o", tmp_path / "run", "--dry-run")
    assert done.exit_code == 0, done.output
    for start in ("parameters: ", "memory: ", "time per step: ", "whole run: "):
        assert any(line.startswith(start) for line in done.stdout.splitlines())
    assert "(measured" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["train", "autoencoder", "{train}", "--validation", "{train}"], "1 patients are in both"),
        (["train", "autoencoder", "{train}", "--validation", "{val}", "--recipe", "none"], "no recipe 'none'"),
        (["train", "prior", "{train}", "--validation", "{val}", "--autoencoder", "{val}"], "has no vae folder"),
        (["finetune", "{val}", "{train}", "--validation", "{val}"], "is not a prior"),
        (["train", "coarse", "{val}", "{train}", "--validation", "{val}"], "is not a prior"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(cli, inputs, tmp_path, words, expected):
    named = [word.format(train=inputs / "train", val=inputs / "val") for word in words]
    done = cli(*named, "-o", tmp_path / "run")
    assert done.exit_code != 0
    assert expected in done.stderr.splitlines()[-1]
    assert done.stderr.count("error:") == 1
    assert not (tmp_path / "run").exists()


def test_checkpoint_of_another_recipe(cli, inputs, autoencoder, tmp_path):
    (tmp_path / "other.yaml").write_text(RECIPE.replace("channels: [8]", "channels: [16]"))
    before = (autoencoder / "checkpoint.pt").read_bytes()
    words = ("train", "autoencoder", inputs / "train", "--validation", inputs / "val", "-o", autoencoder)
    done = cli(*words, "--recipe", tmp_path / "other.yaml")
    assert done.exit_code == 2
    assert "was made with channels = (8,), this run has channels = (16,)" in done.stderr
    assert (autoencoder / "checkpoint.pt").read_bytes() == before


def test_pixel_prior_and_fbp_unet(cli, slices, inputs, tmp_path):
    from ctresample.learned.image_unet import ImageUNet
    from ctresample.learned.pixel_prior import PixelPrior

    done = cli("train", "pixel-prior", *slices, "-o", tmp_path / "pixels")
    assert done.exit_code == 0, done.output
    assert PixelPrior.from_pretrained(tmp_path / "pixels" / "prior").config.name == "pixels"
    words = ("--views", 7, "--photons", "1e4,1e3", "--geometry", "fan", "-o", tmp_path / "unet")
    done = cli("train", "fbp-unet", *slices, *words)
    assert done.exit_code == 0, done.output
    config = ImageUNet.from_pretrained(tmp_path / "unet" / "fbp-unet").config
    assert (config.n_views, config.beam, config.photons) == (7, "fan", (1e3, 1e4))
    done = cli("train", "fbp-unet", *slices, "--photons", "1e4,none", "-o", tmp_path / "other")
    assert done.exit_code == 2
    assert "expected one or two numbers, or none" in done.output.replace("\n", " ")
    done = cli("train", "fbp-unet", *slices, "--dry-run", "-o", tmp_path / "other")
    assert "time per step" in done.output
    assert not (tmp_path / "other").exists()
