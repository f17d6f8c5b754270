"""A whole toy training: autoencoder, then prior."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from ctresample.errors import PriorError, UsageError
from ctresample.learned.latent_prior import LatentPrior
from ctresample.pipelines.training.autoencoder import train_autoencoder
from ctresample.pipelines.training.curves import CURVES, PICTURES
from ctresample.pipelines.training.latent_pool import LatentPool
from ctresample.pipelines.training.prior import prior_objective, train_prior


def test_training_reduces_the_error(toy):
    folder, _ = toy
    curves = np.genfromtxt(folder / CURVES, delimiter=",", names=True)
    assert curves["rmse_hu"][-1] < 0.5 * 520  # the error of a constant image is about 520 HU here
    assert curves["rmse_hu"][-1] < curves["rmse_hu"][0]
    assert curves["step"].tolist() == [20, 40, 60, 80, 100, 120]


def test_saved_prior_is_the_trained_one(toy):
    folder, prior = toy
    loaded = LatentPrior.from_pretrained(folder / "diffusion" / "prior")
    assert loaded.config == prior.config
    hu = torch.full((1, 1, 64, 64), -500.0)
    torch.testing.assert_close(loaded.encode(hu), prior.encode(hu), rtol=0.02, atol=0.02)


def test_config_knows_its_own_error(toy):
    _, prior = toy
    spreads = [prior.spread_hu(t) for t in (20, 500, 980)]
    assert spreads[0] < spreads[1] < spreads[2]
    assert prior.config.provenance["data_digest"] == "digest0"


def test_pictures_are_made_on_the_way(toy):
    folder, _ = toy
    made = sorted(path.name for path in (folder / PICTURES).iterdir())
    assert made == ["reconstructions-000020.png", "reconstructions-000080.png"]
    with Image.open(folder / PICTURES / made[1]) as picture:
        assert (picture.mode, picture.size) == ("L", (3 * 64, 2 * 64))
    with Image.open(folder / "diffusion" / PICTURES / "samples-000040.png") as picture:
        assert picture.size == (2 * 64, 2 * 64)


def test_pictures_leave_the_pool_of_latents_alone(toy, disks, prior_settings, monkeypatch):
    objective = prior_objective(disks(6, 3, 0), disks(2, 2, 1), toy[0], prior_settings)
    next(objective.batches(prior_settings.pool, 0))  # the first that needs a second pool
    monkeypatch.setattr(LatentPool, "_encode", lambda pool, number: pytest.fail(f"pool {number} encoded again"))
    objective.pictures()
    next(objective.batches(prior_settings.pool, 0))


def test_missing_autoencoder(tmp_path, disks, prior_settings):
    with pytest.raises(PriorError, match="holds no autoencoder"):
        train_prior(disks(2, 2, 0), disks(1, 1, 1), tmp_path, tmp_path, prior_settings)


@pytest.mark.parametrize(("entry", "value"), [("hu_range", (-1000.0, 1500.0)), ("patch_size", 2)])
def test_autoencoder_of_another_input(toy, tmp_path, disks, prior_settings, entry, value):
    settings = replace(prior_settings, **{entry: value})
    with pytest.raises(PriorError, match=f"trained with {entry}"):
        train_prior(disks(2, 2, 0), disks(1, 1, 1), toy[0], tmp_path, settings)


def test_checkpoint_of_another_autoencoder(toy, tmp_path, disks, autoencoder_settings, prior_settings):
    run = replace(autoencoder_settings.run, steps=1, pictures_every=0)
    other = replace(autoencoder_settings, run=run)
    slices, held_out = disks(6, 3, 0), disks(2, 2, 1)
    train_autoencoder(slices, held_out, tmp_path, other)
    with pytest.raises(UsageError, match="was made with autoencoder_sha256"):
        train_prior(slices, held_out, tmp_path, toy[0] / "diffusion", prior_settings)
