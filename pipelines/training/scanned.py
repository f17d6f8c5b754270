"""Simulated scans of training slices, as a solver meets them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from ctresample.choices import SliceBeam
from ctresample.data_tools.training_data import TrainingSlices
from ctresample.operators import Projector, make_projector
from ctresample.pipelines.scan.measure import scanned
from ctresample.pipelines.scan.room import REFINEMENT
from ctresample.pipelines.scan.simulate import simulate
from ctresample.pipelines.training.condition_settings import ConditionSettings
from ctresample.solvers.coarse_tv import coarse_tv
from ctresample.volume import Volume

SCANNED_TOGETHER = 8
"""Slices that share one scan, and so one matrix."""

SHORTEST_ARC = 0.5
"""Of a limited scan, as a share of the whole arc."""


@dataclass(frozen=True)
class Scanned:
    """Slices scanned together.

    Attributes:
        truth_hu: ``(B, 1, rows, columns)``.
        y: line integrals ``(B, 1, views, detectors)``.
        sigma: their standard deviations.
        A: the projector.
        start: the image to begin with, in 1/mm.
        mu_water_per_mm: attenuation of water that HU refer to.
    """

    truth_hu: torch.Tensor
    y: torch.Tensor
    sigma: torch.Tensor
    A: Projector
    start: torch.Tensor
    mu_water_per_mm: float


def drawn_scan(
    slices: TrainingSlices, settings: ConditionSettings, size: int, whole_share: float, seed: tuple[int, ...]
) -> Scanned:
    """Augmented slices of ``size`` x ``size`` pixels, seen by one random scan; the same for the same ``seed``."""
    s, rng = settings, np.random.default_rng(seed)
    whole = rng.random() < whole_share
    if whole:
        hu = slices.batch((*seed, 0), SCANNED_TOGETHER, size * REFINEMENT, 1.0)
    else:  # at the scanner's own pixel size, which is not halved by what lies between
        crops = slices.batch((*seed, 0), SCANNED_TOGETHER, size, 0.0)
        hu = F.interpolate(crops, scale_factor=REFINEMENT, mode="bicubic")
    n_views = round(math.exp(rng.uniform(*np.log(s.n_views))))
    photons = None if rng.random() < s.noiseless_share else float(math.exp(rng.uniform(*np.log(s.photons))))
    beam = s.beams[rng.integers(len(s.beams))]
    arc_rad = None
    if rng.random() < s.limited_share:
        arc_rad = (math.pi if beam == "parallel" else 2 * math.pi) * rng.uniform(SHORTEST_ARC, 1)
    side_mm = rng.uniform(*s.field_of_view_mm) * (1.0 if whole else 0.5)
    return scan_slices(hu, n_views, photons, beam, side_mm, arc_rad=arc_rad, seed=int(rng.integers(2**31)))


def scan_slices(
    hu: torch.Tensor,
    n_views: int,
    photons: float | None,
    beam: SliceBeam,
    side_mm: float,
    *,
    arc_rad: float | None = None,
    seed: int = 0,
) -> Scanned:
    """Images ``(B, 1, fine, fine)`` in HU, `REFINEMENT` times finer than they are reconstructed, scanned."""
    fine = hu.shape[-1]
    pixel_mm = side_mm / fine
    volume = Volume(hu[:, 0].numpy(), np.diag([pixel_mm, pixel_mm, pixel_mm, 1.0]))
    size = fine // REFINEMENT
    scan = simulate(volume, n_views=n_views, beam=beam, arc_rad=arc_rad, size=size, photons=photons, seed=seed)
    y, sigma = (torch.from_numpy(array)[:, None] for array in (scan.values, scan.sigma()))
    A = make_projector(scan.geometry, scan.grid)
    truth = torch.from_numpy(scanned(volume, size).hu)[:, None]
    return Scanned(truth, y, sigma, A, coarse_tv(y, A, sigma=sigma), scan.mu_water_per_mm)
