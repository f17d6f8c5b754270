"""Measure methods against the truth: scan known slices, reconstruct them by each method, score the images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ctresample.errors import UsageError
from ctresample.metrics import DATA_RANGE_HU, psnr_db, rmse_hu, ssim
from ctresample.operators import make_projector
from ctresample.pipelines.benchmark_runs import Run, Scan
from ctresample.pipelines.reconstruct import reconstruct
from ctresample.pipelines.simulate import scanned, simulate
from ctresample.pipelines.work import Progress, Work
from ctresample.prior import LatentPrior
from ctresample.result import Reconstruction, ResultRow
from ctresample.sinogram import Sinogram
from ctresample.volume import Volume

GROUP = 64
"""Slices scanned and reconstructed as one sinogram at most. It bounds the memory, and as it does not follow the batch
size, neither do the random numbers of a slice."""

_SCAN_COST = 10  # of a slice, in the unit of Run.cost


@dataclass(frozen=True)
class Outcome:
    """One slice under one method and number of views.

    Attributes:
        index: of the slice among those given, from 0.
        truth_hu: ``[y, x]`` in HU.
        image: the reconstruction, one slice, with the place and header of its source.
        run: what made it.
        row: its line of the results table.
    """

    index: int
    truth_hu: NDArray[np.float32]
    image: Volume
    run: Run
    row: ResultRow


def benchmark(
    volumes: Sequence[Volume],
    *,
    runs: Sequence[Run],
    views: Sequence[int],
    scan: Scan,
    prior: LatentPrior | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    batch_size: int = 8,
    progress: Progress | None = None,
) -> Iterator[Outcome]:
    """Scan and reconstruct each slice, and compare with the truth.

    The truth is what was scanned: the slice on the reconstruction's grid, with values below -1000 HU made air.
    Slices with equal matrix and pixel size are worked on together. Results depend neither on the batch size nor on
    slices that come later. Seconds are those of a group over its slices, without the making of the system matrix,
    which all methods share.

    Args:
        volumes: one slice each.
        runs: the competitors.
        views: numbers of views.
        scan: how to scan.
        prior: for ReSample; on ``device``.
        seed: of noise and ReSample.
        device: where to reconstruct.
        batch_size: slices reconstructed together.
        progress: told how far the whole is.

    Yields:
        Group by group of equal geometry; of a group all slices of one run, then all of the next.
    """
    groups = _groups(volumes)
    n_digits = max(3, len(str(len(volumes))))
    work = Work(len(volumes) * len(views) * (_SCAN_COST + sum(run.cost for run in runs)), progress)
    for n_views, group in ((n_views, group) for n_views in views for group in groups):
        members = [volumes[index] for index in group]
        group_seed = _seed_of(seed, group)
        what = f"{len(group)} slice{'s'[: len(group) > 1]}, {n_views} views"
        work.start(f"scan, {what}", _SCAN_COST * len(group))
        sinogram = _scan(members, n_views, scan, group_seed)
        truths = [scanned(volume, scan.size) for volume in members]
        make_projector(sinogram.geometry, sinogram.grid)  # it keeps its matrix for the runs
        for run in runs:
            work.start(f"{run.label}, {what}", run.cost * len(group))
            result = reconstruct(
                sinogram,
                method=run.method,
                preset=run.preset,
                prior=prior,
                seed=group_seed,
                device=device,
                batch_size=batch_size,
                progress=work.share,
            )
            for k, (index, truth) in enumerate(zip(group, truths, strict=True)):
                row = _row(f"slice-{index + 1:0{n_digits}d}", run, n_views, result, k, truth.hu[0])
                yield Outcome(index, truth.hu[0], truth.with_hu(result.image_hu[k : k + 1]), run, row)


def _groups(volumes: Sequence[Volume]) -> list[list[int]]:
    """Indices of slices with equal matrix and pixel size, at most `GROUP` together, in the order given."""
    alike: dict[tuple[object, ...], list[int]] = {}
    for index, volume in enumerate(volumes):
        if len(volume.hu) != 1:
            raise UsageError(f"volume {index} has {len(volume.hu)} slices; a benchmark takes them one by one")
        spacing = tuple(round(mm, 6) for mm in volume.spacing_mm[:2])
        alike.setdefault((volume.hu.shape, spacing), []).append(index)
    return [indices[first : first + GROUP] for indices in alike.values() for first in range(0, len(indices), GROUP)]


def _seed_of(seed: int, group: Sequence[int]) -> int:
    """Each group has its own, or the first slices of all would share their noise."""
    return seed if group[0] == 0 else int(np.random.SeedSequence([seed, group[0]]).generate_state(1)[0])


def _scan(members: Sequence[Volume], n_views: int, scan: Scan, seed: int) -> Sinogram:
    stack = Volume(np.concatenate([volume.hu for volume in members]), members[0].affine)
    return simulate(
        stack,
        n_views=n_views,
        beam=scan.beam,
        size=scan.size,
        photons=scan.photons,
        electronic_noise=scan.electronic_noise,
        seed=seed,
    )


def _row(name: str, run: Run, n_views: int, result: Reconstruction, k: int, truth: NDArray[np.float32]) -> ResultRow:
    image = result.image_hu[k]
    return ResultRow(
        slice=name,
        method=run.method,
        preset=run.preset,
        views=n_views,
        psnr_db=psnr_db(image, truth, data_range_hu=DATA_RANGE_HU),
        data_range_hu=DATA_RANGE_HU,
        ssim=ssim(image, truth, data_range_hu=DATA_RANGE_HU),
        rmse_hu=rmse_hu(image, truth),
        residual_ratio=result.residual_ratio[k],
        seconds=result.seconds / len(result.image_hu),
    )
