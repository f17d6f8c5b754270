"""The training of a prior of pixels: the loop is that of latent priors."""

from __future__ import annotations

import torch

from ctresample.learned.pixel_prior import PixelPrior
from ctresample.pipelines.training.pixel_prior import train_pixel_prior
from ctresample.pipelines.training.prior_settings import DenoiserSettings
from ctresample.pipelines.training.settings import RunSettings


def test_whole_training(disks, tmp_path):
    settings = DenoiserSettings(
        run=RunSettings(steps=60, batch_size=4, validate_every=30, warmup_steps=5, ema_decay=0.9),
        name="pixels",
        image_size=32,
        patch_size=2,
        channels=(16, 32),
        layers_per_block=1,
        pool=16,
    )
    told = []
    made = train_pixel_prior(
        disks(6, 3, 0), disks(2, 2, 1), tmp_path, settings, on_step=lambda *seen: told.append(seen[2])
    )
    figures = [seen for seen in told if seen]
    assert figures[-1]["loss"] < figures[0]["loss"]
    loaded = PixelPrior.from_pretrained(tmp_path / "prior")
    assert loaded.config == made.config
    assert loaded.config.provenance["patients"] == 3
    errors = dict(loaded.config.denoising_rmse_hu)
    assert errors[max(errors)] < errors[min(errors)]
    z = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(loaded.predict(z, 500)[0], made.predict(z, 500)[0], atol=1e-2)
