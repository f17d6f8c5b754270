"""A prior of pixels: kept, read back, told from a latent one, and its values those of the image."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from ctresample.errors import PriorError
from ctresample.learned.latent_prior import LatentPrior
from ctresample.learned.pixel_prior import PixelPrior
from ctresample.units import hu_to_model


def test_latent_and_pixel_priors_are_told_apart(tmp_path, toy_prior):
    toy_prior.random_pixel_prior().save_pretrained(tmp_path / "pixel")
    toy_prior.random_prior().save_pretrained(tmp_path / "latent")
    with pytest.raises(PriorError, match="is a prior of pixels; expected a latent one"):
        LatentPrior.from_pretrained(tmp_path / "pixel")
    with pytest.raises(PriorError, match="is a latent one, of 4 channels; expected one of pixels"):
        PixelPrior.from_pretrained(tmp_path / "latent")


@pytest.mark.parametrize("channels, patch_size", [(1, 1), (4, 2), (3, 1)])
def test_saved_and_loaded_prior(channels, patch_size, tmp_path, toy_prior):
    prior = toy_prior.random_pixel_prior("v_prediction", channels, patch_size)
    prior.unet.half().float()  # as it will be kept
    prior.save_pretrained(tmp_path / "prior")
    loaded = PixelPrior.from_pretrained(tmp_path / "prior")
    assert loaded.config == prior.config
    z = torch.randn(2, channels, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(loaded.predict(z, 500), prior.predict(z, 500), strict=True))


@pytest.mark.parametrize("part", ["unet", "scheduler"])
def test_a_folder_that_lacks_a_part(part, tmp_path, toy_prior):
    toy_prior.random_pixel_prior().save_pretrained(tmp_path / "prior")
    shutil.rmtree(tmp_path / "prior" / part)
    with pytest.raises(PriorError, match="cannot be loaded as a prior of pixels") as error:
        PixelPrior.from_pretrained(tmp_path / "prior")
    assert "\n" not in str(error.value)


def test_patches_keep_every_value_and_white_noise_white(toy_prior):
    """Space to depth: by the indices, not by torch's own function."""
    prior = toy_prior.random_pixel_prior(channels=4, patch_size=2)
    hu = 300 * torch.randn(2, 1, 8, 12, generator=torch.Generator().manual_seed(0))
    z = prior.encode(hu)
    assert z.shape == (2, 4, 4, 6)
    model = hu_to_model(hu, prior.config.hu_range)
    for k, (i, j) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        assert torch.equal(z[:, k], model[:, 0, i::2, j::2])
    assert torch.allclose(prior.decode(z), hu, atol=1e-2)


def test_config_is_checked(tmp_path, toy_prior):
    toy_prior.random_pixel_prior().save_pretrained(tmp_path / "prior")
    path = tmp_path / "prior" / "prior.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"patch_size": 2}))
    with pytest.raises(PriorError, match=r"takes 1 channels and gives 1, but patches of 2 x 2 pixels have 4"):
        PixelPrior.from_pretrained(tmp_path / "prior")
