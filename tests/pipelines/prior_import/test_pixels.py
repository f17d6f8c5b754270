"""DM4CT's layout of a model of pixels: imported through the command line, and used."""

from __future__ import annotations

import shutil

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, UNet2DModel
from typer.testing import CliRunner

from ctresample.cli import app
from ctresample.errors import PriorError
from ctresample.learned.pixel_prior import PixelPrior


def cli(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def one_slice(validation, tmp_path_factory):
    folder = tmp_path_factory.mktemp("slice")
    shutil.copy(validation / "slice-01.dcm", folder)
    return folder


def write_pixels(folder, channels=1, scheduler=None):
    """As DM4CT saves it, narrower and for 32 x 32 pixels, with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        unet = UNet2DModel(
            sample_size=32,
            in_channels=channels,
            out_channels=channels,
            layers_per_block=2,
            block_out_channels=(8, 8, 16, 16, 32, 32),
            down_block_types=("DownBlock2D",) * 4 + ("AttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "AttnUpBlock2D") + ("UpBlock2D",) * 4,
            norm_num_groups=4,
        )
    unet.save_pretrained(folder / "unet")
    (scheduler or DDPMScheduler(num_train_timesteps=1000)).save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text('{"_class_name": "DDPMPipeline"}')
    return folder


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction", "sample"])
def test_imported_model_is_the_source(channels, prediction_type, one_slice, tmp_path, phantoms):
    """To half precision, in which priors are kept."""
    scheduler = DDIMScheduler(num_train_timesteps=1000, prediction_type=prediction_type)
    source = write_pixels(tmp_path / "pixels", channels, scheduler)
    out = tmp_path / "prior"
    words = ("--hu-range", -1024, 3071, "--validation", one_slice, "--device", "cpu")
    done = cli("prior", "import", source, "-o", out, *words)
    assert done.exit_code == 0, done.output
    prior = PixelPrior.from_pretrained(out)
    assert (prior.config.hu_range, prior.config.image_size, prior.config.patch_size) == ((-1024.0, 3071.0), 32, 1)
    assert prior.size_multiple == 32
    assert torch.equal(prior.alpha_bar, scheduler.alphas_cumprod.double())
    assert len(prior.config.denoising_rmse_hu) > 1
    unet = UNet2DModel.from_pretrained(source / "unet").eval()
    z = torch.randn(1, channels, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        out, a = unet(z, 300).sample, float(scheduler.alphas_cumprod[300])
        expected = {
            "epsilon": (z - (1 - a) ** 0.5 * out) / a**0.5,
            "v_prediction": a**0.5 * z - (1 - a) ** 0.5 * out,
            "sample": out,
        }[prediction_type]
        assert phantoms.relative(prior.predict(z, 300)[0], expected) < 5e-3


def test_a_folder_with_a_config_is_used_directly(tmp_path, toy_prior):
    source = write_pixels(tmp_path / "pixels")
    toy_prior.random_pixel_prior().save_pretrained(tmp_path / "other")
    with pytest.raises(PriorError, match="ctresample prior import"):
        PixelPrior.from_pretrained(source)
    shutil.copy(tmp_path / "other" / "prior.json", source)
    prior = PixelPrior.from_pretrained(source)
    expected = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)
    assert torch.allclose(prior.alpha_bar, expected, rtol=1e-4)


@pytest.mark.parametrize("channels", [2, 4])
def test_channels_that_no_image_has(channels, one_slice, tmp_path):
    source = write_pixels(tmp_path / "pixels", channels)
    done = cli("prior", "import", source, "-o", tmp_path / "prior", "--hu-range", 0, 1, "--validation", one_slice)
    assert done.exit_code == 1
    assert f"takes {channels} channels" in done.output.replace("\n", " ")
    assert not (tmp_path / "prior").exists()
