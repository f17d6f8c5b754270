"""Autoencoders of every class, and the start as principal components."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ctresample.learned.networks import load_autoencoder
from ctresample.pipelines.training.autoencoder import autoencoder_objective, train_autoencoder
from ctresample.pipelines.training.autoencoder_network import new_autoencoder
from ctresample.pipelines.training.autoencoder_objective import AutoencoderObjective, last_weight
from ctresample.pipelines.training.principal_components import start_as_principal_components

OPTIONS = {
    "AutoencoderTiny": {"latent_noise": 0.01},
    "AutoencoderKL": {"channels": (16, 16), "patch_size": 1, "kl_weight": 1e-3},
    "VQModel": {"channels": (16, 16), "patch_size": 2, "codebook_size": 32},
}


@pytest.mark.parametrize("network", OPTIONS)
def test_every_class_learns_and_comes_back(tmp_path, disks, autoencoder_settings, network):
    run = replace(autoencoder_settings.run, steps=12, batch_size=2, validate_every=4, warmup_steps=2)
    settings = replace(autoencoder_settings, run=run, network=network, ssim_weight=0.5, **OPTIONS[network])
    slices = disks(2, 2, 0)
    start = autoencoder_objective(slices, slices, settings)
    vae = train_autoencoder(slices, slices, tmp_path, settings)
    end = AutoencoderObjective(vae, slices, slices, settings)
    batch = next(start.batches(100, 0))
    with torch.no_grad():
        assert end(batch) < start(batch)
    loaded = load_autoencoder(tmp_path / "vae")
    assert type(loaded) is type(vae)
    assert loaded.config["in_channels"] == settings.patch_size**2


def test_kl_and_codebook_weights_count(disks, autoencoder_settings):
    slices = disks(2, 2, 0)
    for network, weight in (("AutoencoderKL", "kl_weight"), ("VQModel", "codebook_weight")):
        losses = []
        for value in (0.0, 10.0, 20.0):
            settings = replace(autoencoder_settings, network=network, **(OPTIONS[network] | {weight: value}))
            objective = autoencoder_objective(slices, slices, settings)
            losses.append(float(objective(next(objective.batches(0, 0))).detach()))
        assert losses[1] > losses[0]
        assert losses[2] - losses[1] == pytest.approx(losses[1] - losses[0], rel=1e-3)


def test_adversary_enters_at_its_step(disks, autoencoder_settings):
    slices = disks(2, 2, 0)
    with_it = autoencoder_objective(
        slices, slices, replace(autoencoder_settings, adversarial_weight=0.5, adversarial_start=1)
    )
    without = autoencoder_objective(slices, slices, autoencoder_settings)
    ours, theirs = with_it.batches(0, 0), without.batches(0, 0)
    first, second = (float(with_it(next(ours)).detach()) - float(without(next(theirs)).detach()) for _ in range(2))
    assert first == 0
    assert second != 0


def test_batches_differ_between_processes_and_go_on_where_asked(disks, autoencoder_settings):
    slices = disks(2, 2, 0)
    objective = autoencoder_objective(slices, slices, autoencoder_settings)
    stream = objective.batches(0, 0)
    next(stream)
    second = next(stream)
    assert torch.equal(second["x"], next(objective.batches(1, 0))["x"])
    assert not torch.equal(second["x"], next(objective.batches(1, 1))["x"])


@pytest.fixture
def patches():
    """Correlated patches of 16 values, and the error of projecting them, from a singular value decomposition."""
    generator = np.random.default_rng(0)
    values = 0.3 * generator.standard_normal((4096, 16)) @ generator.standard_normal((16, 16)) / 4 - 0.4
    centred = values - values.mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)

    def error(n):
        return centred - centred @ axes[:n].T @ axes[:n]

    return torch.from_numpy(values).float(), error


@pytest.mark.parametrize("n_latent", [1, 4, 8])
def test_start_reproduces_the_linear_projection(autoencoder_settings, patches, n_latent):
    values, error = patches
    vae = new_autoencoder(replace(autoencoder_settings, latent_channels=n_latent, blocks=2))
    start_as_principal_components(vae, values)
    x = values.T.reshape(1, 16, 64, 64)
    with torch.no_grad():
        y = vae.decode(vae.encode(x).latents).sample
    found = (y - x).reshape(16, -1).T.numpy()
    assert np.sqrt((found**2).mean()) == pytest.approx(np.sqrt((error(n_latent) ** 2).mean()), rel=2e-3)


def test_start_can_learn_everywhere(autoencoder_settings, patches):
    """No layer is cut off from the loss."""
    vae = new_autoencoder(replace(autoencoder_settings, channels=(24,)))
    start_as_principal_components(vae, patches[0])
    optimiser = torch.optim.SGD(vae.parameters(), 0.1)
    x = patches[0].T.reshape(1, 16, 64, 64)
    for _ in range(4):  # a block's first layers wait for its last, which starts at zero
        optimiser.step()
        optimiser.zero_grad()
        F.mse_loss(vae.decode(vae.encode(x).latents).sample, x).backward()
    assert [name for name, p in vae.named_parameters() if not p.grad.any()] == []


def test_pca_start_of_a_training(disks, autoencoder_settings):
    slices = disks(4, 2, 0)
    start, random = (
        autoencoder_objective(slices, slices, replace(autoencoder_settings, start=start, latent_channels=8)).validate()
        for start in ("pca", "random")
    )
    assert start["rmse_hu"] < 60 < random["rmse_hu"]


@pytest.mark.parametrize("network", OPTIONS)
def test_last_weight_makes_the_image(autoencoder_settings, network):
    vae = new_autoencoder(replace(autoencoder_settings, network=network, **OPTIONS[network]))
    weight = last_weight(vae)
    assert weight.shape[0] == vae.config["out_channels"]
