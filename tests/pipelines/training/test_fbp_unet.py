"""The training of a U-Net on FBP images: its scans, its mirrors, and that it learns and resumes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ctresample.errors import UsageError
from ctresample.geometry import ImageGrid
from ctresample.learned.image_unet import ImageUNet
from ctresample.operators import SparseProjector
from ctresample.pipelines.scan.geometry import scan_geometry
from ctresample.pipelines.training.fbp_unet import FBPUNetObjective, mirrors, train_fbp_unet
from ctresample.pipelines.training.fbp_unet_settings import FBPUNetSettings
from ctresample.pipelines.training.scanned_pairs import drawn_pairs, held_out_pairs
from ctresample.pipelines.training.settings import RunSettings
from ctresample.solvers.fbp import fbp
from ctresample.units import mu_to_hu

SETTINGS = FBPUNetSettings(
    run=RunSettings(steps=60, batch_size=4, validate_every=20, warmup_steps=5, ema_decay=0.8, learning_rate=1e-2),
    name="toy",
    n_views=9,
    image_size=32,
    channels=(8, 16),
    pool=12,
)


@pytest.fixture(scope="module")
def sets(disks):
    return disks(6, 3, 0), disks(2, 2, 1)


def test_it_learns_and_a_resumed_run_is_the_same(sets, tmp_path):
    told = []

    def stop_early(step, loss, figures):
        if step == 50:
            raise KeyboardInterrupt

    whole = train_fbp_unet(*sets, tmp_path / "a", SETTINGS, on_step=lambda *seen: told.append(seen))
    figures = told[-1][2]
    assert figures["rmse_hu"] < 0.99 * figures["fbp_rmse_hu"]  # at its start it leaves the image as it is
    with pytest.raises(KeyboardInterrupt):
        train_fbp_unet(*sets, tmp_path / "b", SETTINGS, on_step=stop_early)
    assert not (tmp_path / "b" / "fbp-unet").exists()
    resumed = train_fbp_unet(*sets, tmp_path / "b", SETTINGS)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))
    saved = ImageUNet.from_pretrained(tmp_path / "b" / "fbp-unet")
    assert (saved.config.n_views, saved.config.beam, saved.config.image_size) == (9, "parallel", 32)
    assert saved.config.provenance == {"data_digest": "digest0", "patients": 3}


def test_pairs_are_the_same_for_the_same_seed_and_of_one_truth(sets):
    once, again = drawn_pairs(sets[0], SETTINGS), drawn_pairs(sets[0], SETTINGS)
    assert torch.equal(once.fbp_hu, again.fbp_hu)
    assert once.fbp_hu.shape == once.truth_hu.shape == (12, 1, 32, 32)
    other = drawn_pairs(sets[0], replace(SETTINGS, run=replace(SETTINGS.run, seed=1)))
    assert not torch.equal(once.truth_hu, other.truth_hu)
    clean = held_out_pairs(sets[1], replace(SETTINGS, photons=None, n_views=90))
    error = (clean.fbp_hu.float() - clean.truth_hu.float()).flatten(1).square().mean(1).sqrt()
    assert (error < 100).all()  # of 1040 HU between the disk and the air


@pytest.mark.parametrize("n_views", [8, 9])
@pytest.mark.parametrize("beam", ["parallel", "fan", "fan-curved"])
def test_a_mirrored_image_is_that_of_a_mirrored_scan(beam, n_views, phantoms):
    """What the training relies on: the same views see the mirrored object, so FBP commutes with the mirror."""
    grid = ImageGrid((32, 32), 10.0)
    scan = scan_geometry(grid, beam=beam, n_views=n_views)
    A = SparseProjector(scan, grid)
    x = phantoms.as_batch(phantoms.image(grid, phantoms.head(grid)))
    for axes in mirrors(replace(SETTINGS, beam=beam, n_views=n_views)):
        seen, mirrored = (mu_to_hu(fbp(A(image), scan, grid)) for image in (x, x.flip(axes)))
        assert phantoms.relative(mirrored, seen.flip(axes)) < 1e-3


def test_batches_are_mirrored_together(sets):
    objective = FBPUNetObjective(*sets, SETTINGS)
    batches = objective.batches(0, 0)
    pool = objective._pairs
    for _ in range(4):
        batch = next(batches)
        for seen, truth in zip(batch["fbp_hu"], batch["truth_hu"], strict=True):
            matches = [
                (k, axes)
                for k in range(12)
                for axes in ([], [-1], [-2], [-2, -1])
                if torch.equal(pool.fbp_hu[k].float().flip(axes), seen)
            ]
            assert any(torch.equal(pool.truth_hu[k].float().flip(axes), truth) for k, axes in matches)


@pytest.mark.parametrize(
    "changes",
    [{"photons": (1e5, 1e4)}, {"field_of_view_mm": (0, 1)}, {"image_size": 30}, {"pool": 0}, {"channels": ()}],
)
def test_settings(changes):
    with pytest.raises(UsageError, match="training:"):
        replace(SETTINGS, **changes)
