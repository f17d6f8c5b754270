"""The maps that are asked for beside a reconstruction."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

import torch

from ctresample.pipelines import maps
from ctresample.pipelines.physics import Physics
from ctresample.pipelines.result_images import ResultMap
from ctresample.result import Reconstruction
from ctresample.sinogram import Sinogram


def result_maps(
    sinogram: Sinogram,
    result: Reconstruction,
    again: Callable[[int], Reconstruction],
    *,
    seed: int,
    residual: bool,
    uncertainty: int | None,
    physics: Physics,
    device: torch.device | str,
    batch_size: int,
) -> list[ResultMap]:
    """Make the maps of a reconstruction, those of `ctresample.pipelines.maps`.

    Args:
        sinogram: what was measured.
        result: its reconstruction.
        again: reconstructs with the seed and the number given added to it, from 1.
        seed: of the reconstruction.
        residual: whether the residual map is wanted.
        uncertainty: how many reconstructions make the uncertainty map; None for no such map.
        physics: what the measurement was taken to be.
        device: where to compute.
        batch_size: slices computed together.
    """
    made = []
    if residual:
        misfit = maps.residual_map(sinogram, result.image_hu, physics=physics, device=device, batch_size=batch_size)
        made.append(ResultMap("residual", misfit, {"window": maps.WINDOW, "cutoff": maps.CUTOFF}))
    if uncertainty:
        others = (again(number).image_hu for number in range(1, uncertainty))
        spread = maps.uncertainty_map(chain([result.image_hu], others))
        made.append(ResultMap("uncertainty", spread, {"seeds": [seed + number for number in range(uncertainty)]}))
    return made
