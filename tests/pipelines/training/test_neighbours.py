"""Training a denoiser of neighbours: it learns from them, and the prior is otherwise as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ctresample.data_tools.training_volumes import TrainingVolumes
from ctresample.errors import UsageError
from ctresample.learned.latent_prior import LatentPrior
from ctresample.pipelines.training.neighbour_settings import NeighbourSettings
from ctresample.pipelines.training.neighbours import neighbour_objective, train_neighbours
from ctresample.pipelines.training.settings import RunSettings
from ctresample.volume import Volume

SETTINGS = NeighbourSettings(
    run=RunSettings(
        steps=30, batch_size=2, validate_every=15, warmup_steps=5, ema_decay=0.8, learning_rate=2e-3, pictures_every=0
    ),
    channels=(16, 32),
    slices=5,
    crop=16,
    scans=1,
    n_views=(6, 8),
    pool=12,  # less than the steps, so that a second pool is made in mid-run
)


def volumes(n: int, seed: int) -> TrainingVolumes:
    """Disks that hardly change from slice to slice, with fine grain that does not change at all."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:64, :64]
    found = []
    for _ in range(n):
        grain = 60 * rng.standard_normal((64, 64))
        cx, cy, r = rng.uniform(24, 40, 2).tolist() + [rng.uniform(12, 22)]
        hu = [np.where((x - cx - k / 4) ** 2 + (y - cy) ** 2 < r * r, 40 + grain, -1000.0) for k in range(8)]
        found.append(Volume(np.stack(hu).astype(np.float32), np.diag([4.0, 4.0, 2.0, 1.0])))
    return TrainingVolumes(tuple(found), f"digest{seed}")


@pytest.fixture(scope="module")
def old(toy):
    return toy[0] / "diffusion" / "prior"


@pytest.fixture(scope="module")
def trained(old, tmp_path_factory):
    """Folder of the run, the prior that came of it, and what it told on the way."""
    folder, told, scanned = tmp_path_factory.mktemp("neighbours"), [], []
    made = train_neighbours(
        old,
        volumes(2, 0),
        volumes(1, 1),
        folder,
        SETTINGS,
        on_step=lambda *seen: told.append(seen),
        on_scan=scanned.append,
    )
    assert scanned == sorted(scanned)
    assert scanned[-1] == 1
    return folder, made, told


def test_neighbours_reduce_the_error(trained):
    """Of latents, over that of the prior alone: the toy autoencoder's own error would hide it in HU."""
    _, _, told = trained
    losses = [loss for _, loss, _ in told]
    assert losses[0] == pytest.approx(1)
    assert np.mean(losses[-10:]) < 0.9
    assert [step for step, _, figures in told if figures] == [15, 30]


def test_it_begins_by_correcting_nothing(old):
    objective = neighbour_objective(old, volumes(2, 0), volumes(1, 1), SETTINGS, None)
    assert objective.validate()["loss"] == 1


def test_the_rest_of_the_prior_stays(trained, old):
    folder, made, _ = trained
    loaded, before = LatentPrior.from_pretrained(folder / "prior"), LatentPrior.from_pretrained(old)
    assert loaded.config == made.config
    assert replace(loaded.config, neighbour_steps=None, provenance=before.config.provenance) == before.config
    assert made.config.provenance["neighbours"] == "trained on 2 volumes of 16 slices"
    assert made.config.provenance["neighbours_data_digest"] == "digest0"
    z_t = torch.randn(3, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    assert all(map(torch.equal, loaded.predict(z_t, 60), before.predict(z_t, 60)))


def test_it_goes_on_from_what_is_there(trained):
    folder, _, told = trained
    objective = neighbour_objective(folder / "prior", volumes(2, 0), volumes(1, 1), SETTINGS, folder / "scans")
    best = min(figures["loss"] for _, _, figures in told if figures)
    assert objective.validate()["loss"] == pytest.approx(best, abs=0.02)
    wider = replace(SETTINGS, channels=(24, 32))
    assert neighbour_objective(folder / "prior", volumes(2, 0), volumes(1, 1), wider, None).validate()["loss"] == 1


def test_batches_repeat(old):
    objective = neighbour_objective(old, volumes(2, 0), volumes(1, 1), SETTINGS, None)
    first = [next(objective.batches(20, 0)) for _ in range(2)]
    assert all(torch.equal(first[0][name], first[1][name]) for name in first[0])
    assert not torch.equal(first[0]["noise"], next(objective.batches(21, 0))["noise"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"slices": 1}, "2 slices"),
        ({"scanned_share": 1.5}, "expected a fraction"),
        ({"channels": ()}, "one width or more"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, said):
    with pytest.raises(UsageError, match=said):
        replace(SETTINGS, **changes)


def test_crops_that_do_not_fit_are_refused(old):
    with pytest.raises(UsageError, match="crop is 17; expected at most 16 latents, in a multiple of 2"):
        neighbour_objective(old, volumes(1, 0), volumes(1, 1), replace(SETTINGS, crop=17), None)
