"""Scan slices with and without lesions, reconstruct both, and say what came back."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import ctresample
from ctresample.consistency import residual_ratio
from ctresample.errors import UsageError
from ctresample.observers import ideal_detectability, misfit_score
from ctresample.operators import Projector, Weighted, make_projector
from ctresample.paths import StrPath
from ctresample.pipelines.benchmark.compare import check_contest, patient_numbers
from ctresample.pipelines.benchmark.conditions import Condition
from ctresample.pipelines.benchmark.runs import FAILURES, Run, reason_of
from ctresample.pipelines.calibration.judge import Judge
from ctresample.pipelines.lesions.judge import COVERAGE, ERASED, FLAGGED, false_lesions, recovered
from ctresample.pipelines.lesions.places import check_lesions
from ctresample.pipelines.lesions.plant import Planted, plant
from ctresample.pipelines.lesions.rows import LesionRow, SliceRow
from ctresample.pipelines.reconstruction.methods import METHODS
from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.pipelines.scan.lesion import Shape
from ctresample.pipelines.work import Progress, Work
from ctresample.result import Reconstruction
from ctresample.units import hu_to_mu
from ctresample.volume import Volume


def study_lesions(
    volumes: Sequence[Volume],
    *,
    runs: Sequence[Run],
    conditions: Sequence[Condition],
    diameters_mm: Sequence[float] = (4, 6, 8, 12),
    contrasts_hu: Sequence[float] = (-30, 20, 40, 60),
    shape: Shape = "disc",
    seed: int = 0,
    size: int = 256,
    models: Mapping[str, Any] | None = None,
    prior: StrPath | None = None,
    device: torch.device | str = "cpu",
    batch_size: int = 8,
    progress: Progress | None = None,
) -> Iterator[LesionRow | SliceRow]:
    """Every combination of diameter and contrast in every slice, by every method.

    Lesions are put at random places of soft tissue, several in one scan, far apart, on pixels finer than those of the
    reconstruction. What they add to the noise-free measurement is added to the noisy one, so that the noise is the
    same with and without. A method that fails on a slice has a row that says why, and the rest goes on; so has a slice
    without room for lesions.

    Args:
        volumes: one slice each.
        runs: the methods.
        conditions: the scans.
        diameters_mm: of lesions.
        contrasts_hu: of lesions.
        shape: a disc, or a sphere in the middle of the slice.
        seed: of places, noise and sampling.
        size: rows and columns of the reconstruction.
        models: learned models by kind.
        prior: name or folder of the latent prior, where its calibrations are: they say what a lesion's interval is.
        device: where to reconstruct.
        batch_size: images reconstructed together.
        progress: told how far the whole is.

    Raises:
        UsageError: a volume of several slices or a scan of volumes, lesions that cannot be, a method without model.
        PriorError: a model that takes no images of this size.
    """
    check_lesions(diameters_mm, contrasts_hu, shape)
    models = models or {}
    check_contest(volumes, runs, models, size, conditions=conditions)
    patients, digits = patient_numbers(volumes), max(3, len(str(len(volumes))))
    work = Work(len(conditions) * len(volumes) * (sum(run.cost for run in runs) + 100), progress)
    kinds = list(product(diameters_mm, contrasts_hu))
    for condition in conditions:
        for index, volume in enumerate(volumes):
            name = f"slice-{index + 1:0{digits}d}"
            work.start(f"scan {name}, {condition.name}", 100)
            common: dict[str, Any] = {
                "condition": condition.name,
                "views": condition.n_views,
                "slice": name,
                "patient": patients[index],
            }
            planted = plant(volume, condition, kinds, shape=shape, seed=seed, number=index, size=size)
            A = make_projector(planted.sinogram.geometry, planted.sinogram.grid, device=device)
            for run in runs:
                work.start(f"{run.label}, {name}, {condition.name}", run.cost)
                of_run = common | {"method": run.method, "preset": run.preset}
                try:
                    if not planted.lesions:
                        raise UsageError("no room for lesions: too little soft tissue in one piece")
                    model = models.get(METHODS[run.method].needs)
                    result = _reconstructed(planted, run, A, model, seed, index, batch_size, work)
                    half_width_hu = _half_width_hu(result, run, model, prior, batch_size)
                    yield from _judged(planted, result.image_hu, half_width_hu, A, of_run)
                except FAILURES as error:
                    yield SliceRow(**of_run, failure=reason_of(error))


def study_facts(
    rows: Sequence[LesionRow | SliceRow],
    conditions: Sequence[Condition],
    models: Mapping[str, Any],
    *,
    shape: str,
    seed: int,
    size: int,
) -> dict[str, str]:
    """What a reader needs to repeat or doubt a study."""
    lesions = {(row.slice, row.diameter_mm, row.contrast_hu) for row in rows if isinstance(row, LesionRow)}
    facts = {
        "Lesions": f"{len(lesions)} {shape}s in {len({one[0] for one in lesions})} slices of "
        f"{len({row.patient for row in rows})} patients",
        **{one.name if len(conditions) > 1 else "Scan": one.words for one in conditions},
        "Image": f"{size} × {size} pixels",
        "Seed": str(seed),
        "ctresample": ctresample.__version__,
    }
    for kind, model in models.items():
        facts[kind.capitalize()] = f"{model.name}, weights SHA-256 {model.sha256}"
    return facts


def _reconstructed(
    planted: Planted, run: Run, A: Projector, model: Any, seed: int, number: int, batch_size: int, work: Work
) -> Reconstruction:
    return reconstruct(
        planted.sinogram,
        method=run.method,
        settings=run.load_settings(),
        prior=model,
        seed=seed,
        z_coupling="none",
        device=A.device,
        batch_size=batch_size,
        progress=work.share,
        projector=A,
        slice_numbers=[number] * planted.sinogram.n_slices,  # the same random numbers with and without
    )


def _half_width_hu(
    result: Reconstruction, run: Run, model: Any, prior: StrPath | None, batch_size: int
) -> NDArray[np.float32] | None:
    """Of intervals, where a calibration fits."""
    if model is None or METHODS[run.method].needs != "latent prior":
        return None
    judge = Judge.of(result.sinogram, method=run.method, preset=run.preset, model=model, prior=prior)
    device = result.device
    interval = judge.trust(result, coverage=COVERAGE, device=device, batch_size=batch_size).interval
    return None if interval is None else interval.half_width_hu


def _judged(
    planted: Planted,
    images: NDArray[np.float32],
    half_width_hu: NDArray[np.float32] | None,
    A: Projector,
    of_run: Mapping[str, Any],
) -> Iterator[LesionRow | SliceRow]:
    sinogram = planted.sinogram
    water, pixel_mm = sinogram.mu_water_per_mm, sinogram.grid.pixel_size_mm
    false = false_lesions(images[0], planted.truth_hu, pixel_mm)
    yield SliceRow(**of_run, false_lesions=false)
    for k, group in enumerate(planted.lesions, start=1):
        sigma = torch.from_numpy(sinogram.sigma()[k][None, None]).to(A.device)
        whitened, y = Weighted(A, 1 / sigma), torch.from_numpy(sinogram.values[k][None, None]).to(A.device) / sigma
        image = torch.from_numpy(hu_to_mu(images[k], water)[None, None]).to(A.device)
        # an image that does not fit the data at all, as by FBP, has misfits everywhere: they speak for no lesion
        level = max(1.0, float(residual_ratio(y - whitened(image))))
        for lesion, added_hu in group:
            signal = torch.from_numpy(added_hu[None, None]).to(A.device) * (water / 1000)
            share = recovered(images[k], images[0], added_hu)
            score = float(misfit_score(image, y, signal, whitened)) / level
            row, column = np.unravel_index(np.abs(added_hu).argmax(), added_hu.shape)
            yield LesionRow(
                **of_run,
                diameter_mm=lesion.diameter_mm,
                contrast_hu=lesion.contrast_hu,
                row=int(row),
                column=int(column),
                recovered=share,
                erased=share < ERASED,
                misfit_sd=score,
                flagged=score >= FLAGGED,
                detectability=float(ideal_detectability(signal, whitened)),
                half_width_hu=math.nan if half_width_hu is None else float(half_width_hu[k][added_hu != 0].mean()),
            )
