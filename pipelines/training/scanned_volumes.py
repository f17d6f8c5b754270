"""Volumes and what total variation makes of scans of them: slices with the errors that neighbours are to tell of."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.pipelines.scan.measure import scanned
from ctresample.pipelines.scan.simulate import simulate
from ctresample.pipelines.training.neighbour_settings import NeighbourSettings
from ctresample.volume import Volume


@dataclass(frozen=True)
class ScannedVolume:
    """A volume on the pixels of a prior.

    Attributes:
        truth_hu: ``(slices, 1, rows, columns)``.
        tv_hu: the images of each of its scans, of the same shape.
    """

    truth_hu: torch.Tensor
    tv_hu: tuple[torch.Tensor, ...]


def scanned_volumes(
    volumes: Sequence[Volume],
    size: int,
    settings: NeighbourSettings,
    folder: Path | None,
    on_progress: Callable[[float], None] | None = None,
) -> list[ScannedVolume]:
    """Each volume with its scans; the same for the same settings.

    Args:
        volumes: in HU.
        size: rows and columns wanted.
        settings: the scans.
        folder: keeps the images, which take seconds a slice, for the next call; None for no scans at all.
        on_progress: told the fraction done, from 0 to 1.
    """
    n_scans = settings.scans if folder else 0
    found = []
    for number, volume in enumerate(volumes):
        images = []
        for k in range(n_scans):
            assert folder is not None  # noqa: S101 - for mypy
            images.append(_tv_of(volume, size, settings, (number, k), folder / f"{number}-{k}"))
            if on_progress:
                on_progress((number + (k + 1) / n_scans) / len(volumes))
        found.append(ScannedVolume(_image(scanned(volume, size).hu), tuple(images)))
    return found


def _tv_of(volume: Volume, size: int, s: NeighbourSettings, key: tuple[int, int], parts: Path) -> torch.Tensor:
    rng = np.random.default_rng([s.run.seed, *key])
    scan = simulate(
        volume,
        n_views=int(rng.integers(s.n_views[0], s.n_views[1] + 1)),
        size=size,
        photons=math.exp(rng.uniform(*np.log(s.photons))),
        stagger=s.stagger,
        seed=int(rng.integers(2**31)),
    )
    return _image(reconstruct(scan, method="tv", parts_folder=parts).image_hu)


def _image(hu: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(hu, np.float32))[:, None].half()
