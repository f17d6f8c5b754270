"""FBP images of simulated scans beside the truth, to train a network on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from ctresample.data_tools.training_data import TrainingSlices
from ctresample.geometry import Geometry
from ctresample.pipelines.scan.measure import scanned
from ctresample.pipelines.scan.room import REFINEMENT
from ctresample.pipelines.training.fbp_unet_settings import FBPUNetSettings
from ctresample.solvers.fbp import fbp
from ctresample.units import mu_to_hu
from ctresample.volume import Volume

SCANNED_TOGETHER = 8
"""Slices with one field of view and one number of photons."""


@dataclass(frozen=True)
class ScannedPairs:
    """Images in HU, ``(n, 1, rows, columns)`` in half precision: what FBP shows, and what is there.

    Attributes:
        fbp_hu: of simulated sinograms.
        truth_hu: of the same slices.
        geometry: the last scan's; all have the same views.
    """

    fbp_hu: torch.Tensor
    truth_hu: torch.Tensor
    geometry: Geometry


def drawn_pairs(
    slices: TrainingSlices, settings: FBPUNetSettings, on_progress: Callable[[float], None] | None = None
) -> ScannedPairs:
    """``settings.pool`` augmented slices, scanned; the same for the same settings.

    Args:
        slices: to draw from.
        settings: the scans.
        on_progress: told the fraction done, from 0 to 1.
    """
    s = settings
    fine = s.image_size * REFINEMENT
    batches = slices.batches((s.run.seed,), SCANNED_TOGETHER, fine, 1.0, workers=s.run.workers)
    n_batches = -(-s.pool // SCANNED_TOGETHER)
    parts = []
    for number, hu in enumerate(islice(batches, n_batches)):
        parts.append(_scan(hu, s, np.random.default_rng([s.run.seed, number])))
        if on_progress:
            on_progress((number + 1) / n_batches)
    return _joined(parts, s.pool)


def held_out_pairs(slices: TrainingSlices, settings: FBPUNetSettings) -> ScannedPairs:
    """Every slice as it is, scanned; the same for the same settings."""
    hu = slices.whole(settings.image_size * REFINEMENT)
    parts = [
        _scan(batch, settings, np.random.default_rng(number)) for number, batch in enumerate(hu.split(SCANNED_TOGETHER))
    ]
    return _joined(parts, len(hu))


def _scan(hu: torch.Tensor, s: FBPUNetSettings, rng: np.random.Generator) -> ScannedPairs:
    """Images ``(n, 1, fine, fine)`` in HU scanned with one field of view and one dose."""
    pixel_mm = rng.uniform(*s.field_of_view_mm) / hu.shape[-1]
    photons = None if s.photons is None else float(np.exp(rng.uniform(*np.log(s.photons))))
    volume = Volume(hu[:, 0].numpy(), np.diag([pixel_mm, pixel_mm, pixel_mm, 1.0]))
    scan = s.scan(photons).scan(volume, seed=int(rng.integers(2**31)))
    y = torch.from_numpy(scan.values)[:, None]
    seen = mu_to_hu(fbp(y, scan.geometry, scan.grid, window=s.window), scan.mu_water_per_mm)
    truth = torch.from_numpy(scanned(volume, s.image_size).hu)[:, None]
    return ScannedPairs(seen.half(), truth.half(), scan.geometry)


def _joined(parts: list[ScannedPairs], n: int) -> ScannedPairs:
    seen, truth = (torch.cat([getattr(part, name) for part in parts])[:n] for name in ("fbp_hu", "truth_hu"))
    return ScannedPairs(seen, truth, parts[-1].geometry)
