"""CompVis networks, and folders of diffusers pipelines with random weights."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from diffusers import DDPMScheduler, UNet2DModel, VQModel

import ctresample


@pytest.fixture(scope="session")
def compvis() -> ModuleType:
    """The functions of compvis.py."""
    spec = importlib.util.spec_from_file_location("compvis", Path(__file__).with_name("compvis.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules["compvis"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def validation() -> Path:
    """Folder of CT slices."""
    return Path(ctresample.__file__).parent / "demo_data"


@pytest.fixture(autouse=True)
def one_thread(in_one_thread):
    """Networks this small only make threads wait for each other."""
    with in_one_thread():
        yield


def _write_dm4ct(folder: Path, width: int = 32, sample_size: int = 8, codes: int = 512) -> Path:
    """A folder as DM4CT saves it: its own, of random weights, at width 128 and sample size 128; else smaller."""
    groups = min(32, width // 4)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        vae = VQModel(
            sample_size=4 * sample_size,
            in_channels=1,
            out_channels=1,
            scaling_factor=1,
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            block_out_channels=[width, 2 * width, 4 * width],
            layers_per_block=2,
            latent_channels=1,
            num_vq_embeddings=codes,
            norm_num_groups=groups,
        )
        unet = UNet2DModel(
            sample_size=sample_size,
            in_channels=1,
            out_channels=1,
            layers_per_block=2,
            block_out_channels=(width, width, 2 * width, 2 * width, 4 * width, 4 * width),
            down_block_types=("DownBlock2D",) * 4 + ("AttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "AttnUpBlock2D") + ("UpBlock2D",) * 4,
            norm_num_groups=groups,
        )
    vae.save_pretrained(folder / "vqvae")
    unet.save_pretrained(folder / "unet")
    DDPMScheduler(num_train_timesteps=1000).save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text('{"_class_name": "LatentDiffusionPipeline", "vqvae": ["a", "b"]}')
    return folder


@pytest.fixture(scope="session")
def write_dm4ct():
    return _write_dm4ct


@pytest.fixture(scope="session")
def narrow(tmp_path_factory) -> Path:
    """DM4CT's layout at a quarter of its width, for images of 128 x 128; read only."""
    return _write_dm4ct(tmp_path_factory.mktemp("dm4ct") / "narrow", sample_size=32)
