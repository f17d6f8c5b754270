"""Scan known slices, reconstruct them by each method, score the images."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ctresample.choices import SLICE_BEAMS
from ctresample.errors import UsageError
from ctresample.operators import make_projector
from ctresample.pipelines.benchmark.conditions import Condition
from ctresample.pipelines.benchmark.runs import Run
from ctresample.pipelines.benchmark.trial import Trial
from ctresample.pipelines.benchmark.unlike_pixels import as_one, in_pixels
from ctresample.pipelines.reconstruction.methods import METHODS
from ctresample.pipelines.scan.geometry import reconstruction_grid
from ctresample.pipelines.scan.measure import scanned
from ctresample.pipelines.work import Progress, Work
from ctresample.result import ResultRow
from ctresample.volume import Volume

GROUP = 64
"""Slices scanned as one sinogram at most. It bounds the memory, and as it does not follow the batch size, neither do
the random numbers of a slice."""

PATIENT_ID = "00100020"

_SCAN_COST = 10  # of a slice, in the unit of Run.cost


@dataclass(frozen=True)
class Cell:
    """One slice under one method on one scan: what one row of the results is about."""

    condition: str
    seed: int
    index: int
    label: str


@dataclass(frozen=True)
class Outcome:
    """What came of a cell.

    Attributes:
        cell: which it is; its ``index`` is that of the slice among those given, from 0.
        truth_hu: ``[y, x]`` in HU.
        image: the reconstruction, one slice, with the place and header of its source; None where the method failed.
        run: what made it.
        row: its line of the results table.
    """

    cell: Cell
    truth_hu: NDArray[np.float32]
    image: Volume | None
    run: Run
    row: ResultRow


def compare(
    volumes: Sequence[Volume],
    *,
    runs: Sequence[Run],
    conditions: Sequence[Condition],
    seeds: Sequence[int] = (0,),
    size: int = 256,
    models: Mapping[str, Any] | None = None,
    device: torch.device | str = "cpu",
    batch_size: int = 8,
    by_volume: bool = False,
    done: Collection[Cell] = frozenset(),
    progress: Progress | None = None,
) -> Iterator[Outcome]:
    """Scan and reconstruct each slice, and compare with the truth.

    The truth is what was scanned: the slice on the reconstruction's grid, with values below -1000 HU made air.
    Slices with equal matrix and pixel size are scanned together, the same scans for every method, and worked on in
    batches; with them those whose scans differ in the size of pixels alone. Each slice has random numbers of its own.
    Results depend neither on the batch size, but for rounding, nor on slices that come later, but where bins are
    faulty: their errors go by all that is scanned together. Seconds are those of a batch over its slices, without the
    making of the system matrix, which all methods share.

    Volumes are scanned and reconstructed each as a whole, as their runs couple the slices; slices are numbered through
    all of them. Where slices are seen from different angles, seconds are with the making of the matrices.

    A method that fails on a slice, or a volume, has rows that say why, and the rest goes on.

    Args:
        volumes: one slice each, unless ``by_volume``.
        runs: the competitors.
        conditions: the scans.
        seeds: of noise and sampling: as many noise draws.
        size: rows and columns of the reconstruction.
        models: learned models by kind, as methods need them; on ``device``.
        device: where to reconstruct.
        batch_size: slices reconstructed together.
        by_volume: slices of one volume are neighbours.
        done: cells that are not wanted again. A batch none of which is missing is left out; of one that lacks some,
            all are computed, so that they come out as if nothing had been done before, and the missing are yielded.
        progress: told how far the whole is.

    Yields:
        Scan by scan, of a scan all slices of one run, then all of the next.

    Raises:
        UsageError: a volume of several slices, a scan of volumes where there are none, or a method without the model
            that it needs.
        PriorError: a model that takes no images of this size.
    """
    models = models or {}
    check_contest(volumes, runs, models, size, conditions=conditions, by_volume=by_volume)
    patients = patient_numbers(volumes)
    groups = _volume_groups(volumes) if by_volume else _groups(volumes)
    n_slices = slice_count(volumes)
    n_digits = max(3, len(str(n_slices)))
    whole = sum(len(run.slices(n_slices)) * run.cost for run in runs) + n_slices * _SCAN_COST
    work = Work(len(conditions) * len(seeds) * whole, progress)
    alike = ((c, s, some) for c in conditions for s in seeds for some in _alike(c, groups, volumes, size, by_volume))
    for condition, seed, members in alike:
        group = [index for one in members for index in one]
        cells = {run.label: [Cell(condition.name, seed, index, run.label) for index in group] for run in runs}
        together = len(group) if by_volume else batch_size
        batches = [(run, batch) for run in runs for batch in _batches(run, group, n_slices, together)]
        missing = [(run, b) for run, b in batches if not all(cells[run.label][k] in done for k in b)]
        what = f"{len(group)} slice{'s'[: len(group) > 1]}, {condition.name}"
        work.start(f"scan, {what}", _SCAN_COST * len(group))
        if missing:
            sinograms, truths = [], []
            for one in members:
                owned = [volumes[number] for number in dict.fromkeys(_owners(volumes)[index] for index in one)]
                stack = owned[0] if by_volume else Volume(np.concatenate([v.hu for v in owned]), owned[0].affine)
                sinograms.append(replace(condition, size=size).scan(stack, seed=_seed_of(seed, one)))
                truths += [truth for volume in owned for truth in _slices_of(scanned(volume, size))]
            sinogram = as_one(sinograms)
            shared = sinogram.angle_shifts_rad is None
            projector = make_projector(sinogram.geometry, sinogram.grid, device=device) if shared else None
        for run, batch in batches:
            work.start(f"{run.label}, {what}", run.cost * len(batch))
            if (run, batch) not in missing:
                continue
            model = models.get(METHODS[run.method].needs)
            trial = Trial(sinogram, projector, truths, group, run, seed, model, device, by_volume, batch_size)
            for k, (image, figures) in zip(batch, trial.batch(batch, work.share), strict=True):
                cell = cells[run.label][k]
                if cell in done:
                    continue
                row = ResultRow(
                    condition=condition.name,
                    views=condition.n_views,
                    seed=seed,
                    slice=f"slice-{cell.index + 1:0{n_digits}d}",
                    patient=patients[cell.index],
                    method=run.method,
                    preset=run.preset,
                    **figures,
                )
                truth = truths[k]
                yield Outcome(cell, truth.hu[0], None if image is None else truth.with_hu(image[None]), run, row)


def slice_count(volumes: Sequence[Volume]) -> int:
    """Slices of all."""
    return sum(len(volume.hu) for volume in volumes)


def patient_numbers(volumes: Sequence[Volume]) -> list[int]:
    """A number a slice by its PatientID, which is not kept; slices without a header are of one patient."""
    names = [json.dumps(v.headers[0].get(PATIENT_ID)) if v.headers else "" for v in volumes for _ in v.hu]
    order = list(dict.fromkeys(names))
    return [order.index(name) for name in names]


def check_contest(
    volumes: Sequence[Volume],
    runs: Sequence[Run],
    models: Mapping[str, Any],
    size: int,
    *,
    conditions: Sequence[Condition] = (),
    by_volume: bool = False,
) -> None:
    """Refuse what could not be compared at all.

    Raises:
        UsageError: a volume of several slices or a scan of volumes, unless ``by_volume``; no volume, or a run of some
            slices, where it is; a method without the model that it needs.
        PriorError: a model that takes no images of ``size`` x ``size`` pixels.
    """
    if by_volume:
        _check_volumes(volumes, runs, conditions)
    else:
        for index, volume in enumerate(volumes):
            if len(volume.hu) != 1:
                raise UsageError(f"volume {index} has {len(volume.hu)} slices; a benchmark takes them one by one")
        for one in conditions:
            if one.beam not in SLICE_BEAMS:
                raise UsageError(f"geometry is {one.beam!r}; slices are compared one by one: {', '.join(SLICE_BEAMS)}")
            if one.stagger > 1:
                raise UsageError(f"stagger is {one.stagger}, but slices are compared one by one; leave it out")
    for run in runs:
        needs = METHODS[run.method].needs
        if needs and needs not in models:
            raise UsageError(f"method {run.method} needs a {needs}; give the name or folder of one")
        if needs:
            models[needs].check_shape((size, size))


def _check_volumes(volumes: Sequence[Volume], runs: Sequence[Run], conditions: Sequence[Condition]) -> None:
    if max(len(volume.hu) for volume in volumes) == 1:
        raise UsageError(f"{len(volumes)} volumes have one slice each, so that there are no neighbours; take slices")
    for run in runs:
        if run.max_slices is not None:
            raise UsageError(f"{run.label} is limited to {run.max_slices} slices, but volumes are taken whole")
    for one in conditions:
        if one.stagger > 1 and one.beam not in SLICE_BEAMS:
            raise UsageError(f"stagger is {one.stagger}, but a {one.beam} beam sees all slices from the same angles")


def _owners(volumes: Sequence[Volume]) -> list[int]:
    """For each slice the number of its volume."""
    return [number for number, volume in enumerate(volumes) for _ in volume.hu]


def _slices_of(volume: Volume) -> list[Volume]:
    return [volume.part([k]) for k in range(len(volume.hu))] if len(volume.hu) > 1 else [volume]


def _volume_groups(volumes: Sequence[Volume]) -> list[list[int]]:
    """Numbers of the slices of each volume."""
    ends = np.cumsum([len(volume.hu) for volume in volumes]).tolist()
    return [list(range(first, end)) for first, end in zip([0, *ends], ends, strict=False)]


def _groups(volumes: Sequence[Volume]) -> list[list[int]]:
    """Indices of slices with equal matrix and pixel size, at most `GROUP` together, in the order given."""
    alike: dict[tuple[object, ...], list[int]] = {}
    for index, volume in enumerate(volumes):
        spacing = tuple(round(mm, 6) for mm in volume.spacing_mm[:2])
        alike.setdefault((volume.hu.shape, spacing), []).append(index)
    return [indices[first : first + GROUP] for indices in alike.values() for first in range(0, len(indices), GROUP)]


def _alike(
    condition: Condition, groups: Sequence[list[int]], volumes: Sequence[Volume], size: int, by_volume: bool
) -> list[list[list[int]]]:
    """Groups whose scans differ in the size of pixels alone, at most `GROUP` slices together; a volume is by itself."""
    if by_volume:
        return [[group] for group in groups]
    sets: dict[tuple[object, ...], list[list[list[int]]]] = {}
    for group in groups:
        grid, _ = reconstruction_grid(volumes[group[0]], size, condition.beam)
        found = sets.setdefault(in_pixels(condition.geometry(grid), grid), [[]])
        if sum(map(len, found[-1])) + len(group) > GROUP:
            found.append([])
        found[-1].append(group)
    return [some for found in sets.values() for some in found if some]


def _batches(run: Run, group: Sequence[int], n_slices: int, batch_size: int) -> list[tuple[int, ...]]:
    """Places in the group of the slices that a run gets, in batches."""
    wanted = set(run.slices(n_slices))
    places = [place for place, index in enumerate(group) if index in wanted]
    return [tuple(places[first : first + batch_size]) for first in range(0, len(places), batch_size)]


def _seed_of(seed: int, group: Sequence[int]) -> int:
    """Each group has its own, or the first slices of all would share their noise."""
    return seed if group[0] == 0 else int(np.random.SeedSequence([seed, group[0]]).generate_state(1)[0])
