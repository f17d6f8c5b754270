"""Slices and settings small enough for tests of training."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from ctresample.data_tools.training_data import TrainingSlices
from ctresample.pipelines.training.autoencoder_settings import AutoencoderSettings
from ctresample.pipelines.training.prior_settings import PriorSettings
from ctresample.pipelines.training.settings import RunSettings


def make_disks(n_slices, n_patients, seed):
    """Slices with a soft-tissue disk of random place and size in air."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:512, :512]
    hu = np.full((n_slices, 512, 512), -1000, np.int16)
    for image in hu:
        cx, cy, r = generator.uniform(200, 312, 2).tolist() + [generator.uniform(80, 180)]
        image[(x - cx) ** 2 + (y - cy) ** 2 < r * r] = 40
    hashes = tuple(f"{seed}-{p}" for p in range(n_patients))
    return TrainingSlices(hu, np.arange(n_slices) % n_patients, hashes, f"digest{seed}")


@pytest.fixture(scope="session")
def disks():
    return make_disks


@pytest.fixture(scope="session")
def autoencoder_settings():
    return AutoencoderSettings(
        run=RunSettings(steps=120, validate_every=20, warmup_steps=10, ema_decay=0.9, pictures_every=3),
        image_size=64,
        crop_size=32,
        channels=(16,),
        blocks=1,
        latent_channels=4,
    )


@pytest.fixture(scope="session")
def prior_settings():
    return PriorSettings(
        run=RunSettings(steps=40, batch_size=4, validate_every=20, warmup_steps=10, ema_decay=0.9),
        name="toy",
        image_size=64,
        channels=(16, 32),
        layers_per_block=1,
        pool=16,  # less than the steps, so that a second pool is made in mid-run
    )


@pytest.fixture(scope="session")
def toy(tmp_path_factory, autoencoder_settings, prior_settings):
    """Folder of a toy training, and the prior that came of it."""
    from ctresample.pipelines.training.autoencoder import train_autoencoder
    from ctresample.pipelines.training.prior import train_prior

    folder = tmp_path_factory.mktemp("toy")
    slices, held_out = make_disks(6, 3, 0), make_disks(2, 2, 1)
    train_autoencoder(slices, held_out, folder, autoencoder_settings)
    return folder, train_prior(slices, held_out, folder, folder / "diffusion", prior_settings)


@pytest.fixture(scope="session")
def toy_run():
    """The module toy_run.py: a run of the loop that takes a moment."""
    spec = importlib.util.spec_from_file_location("toy_run", Path(__file__).with_name("toy_run.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules["toy_run"] = module  # where dataclasses look for the types of their fields
    spec.loader.exec_module(module)
    return module
