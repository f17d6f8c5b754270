"""Configs that describe what nobody could build are refused before it is tried."""

import json

import pytest

from ctresample.errors import PriorError
from ctresample.learned.latent_prior import LatentPrior


@pytest.fixture
def altered(toy_prior, tmp_path):
    """Load a prior with entries of one of its config files changed."""
    folder = tmp_path / "prior"
    toy_prior.random_prior().save_pretrained(folder)

    def load(name, **entries):
        path = folder / name
        before = path.read_text()
        path.write_text(json.dumps(json.loads(before) | entries))
        try:
            return LatentPrior.from_pretrained(folder)
        finally:
            path.write_text(before)

    return load


@pytest.mark.parametrize(
    ("name", "entries", "message"),
    [
        ("unet/config.json", {"layers_per_block": 10_000_000}, "layers_per_block is too large"),
        ("unet/config.json", {"block_out_channels": [10**9, 10**9]}, "block_out_channels is too large"),
        ("unet/config.json", {"block_out_channels": [8192, 8192]}, "describes a network of|describes no UNet2DModel"),
        ("unet/config.json", {"down_block_types": 3}, "describes no UNet2DModel"),
        ("vae/config.json", {"layers_per_block": 900}, "describes a network of|describes no AutoencoderKL"),
        ("scheduler/scheduler_config.json", {"num_train_timesteps": 10**10}, "num_train_timesteps is 10000000000"),
        ("scheduler/scheduler_config.json", {"num_train_timesteps": "many"}, "num_train_timesteps is many"),
        ("scheduler/scheduler_config.json", {"trained_betas": "many"}, "scheduler_config.json describes no schedule"),
        ("scheduler/scheduler_config.json", {"trained_betas": 0.5}, "scheduler_config.json describes no schedule"),
        ("prior.json", {"image_size": 1e400}, "cannot be used"),
    ],
)
def test_networks_too_large_to_build(altered, name, entries, message):
    with pytest.raises(PriorError, match=message):
        altered(name, **entries)


def test_deeply_nested_configs(altered, tmp_path):
    for name in ("unet/config.json", "scheduler/scheduler_config.json", "prior.json"):
        path = tmp_path / "prior" / name
        before = path.read_text()
        path.write_text('{"a": ' * 100_000)
        with pytest.raises(PriorError, match="nested too deeply"):
            LatentPrior.from_pretrained(tmp_path / "prior")
        path.write_text(before)
