"""One series from its files to its result folder."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ctresample.data_tools.deidentify import Deidentifier, read_key
from ctresample.errors import CTResampleError, DicomError, OutputError
from ctresample.files import EVERYTHING, whole_folder
from ctresample.pipelines.batch.fingerprint import contents_of, stamp_of
from ctresample.pipelines.batch.job import Job, Outcome
from ctresample.pipelines.batch.no_places import without_places
from ctresample.pipelines.batch.preview import PREVIEW_NAME, write_preview
from ctresample.pipelines.batch.result_folder import content_of
from ctresample.pipelines.batch.work_on import Share, learned_model, measured
from ctresample.pipelines.results.memory import OutOfMemoryError
from ctresample.pipelines.results.run import make_result, make_share
from ctresample.planes import last_is_up, voxel_size_mm

SCAN_SHARE = 0.2
"""Of the time of a series, for progress only."""


def run_one(job: Job, progress: Share | None = None) -> Outcome:
    """Reconstruct one series and write its folder, whole or not at all.

    A pure function of the job: the same one writes the same bits, wherever and whenever it runs. Whatever is wrong
    with the series becomes a failed outcome; only what would stop every other series, too, is raised.

    Args:
        job: what to do.
        progress: told the fraction done, from 0 to 1.

    Raises:
        OutputError: the place of results cannot be written: no space, no access.
    """
    began = time.perf_counter()
    torch.set_num_threads(job.threads)
    try:
        with whole_folder(job.folder, replaces=EVERYTHING) as folder:
            fingerprint = job.settings.short_hash(contents_of(job.source), may_make_key=False)
            facts = _fill(folder, job, progress or (lambda share: None))
            content = content_of(folder)
    except OutputError as error:
        cause = error.__cause__
        if isinstance(cause, OSError):  # of the file system, so no fault of this series
            reason = cause.strerror or str(cause) or type(cause).__name__
            raise OutputError(
                f"{job.folder.parent}: results cannot be written ({reason}); what is finished is "
                "kept: make space or give access, then repeat the command"
            ) from cause
        return _failed(job, error, began)
    except Exception as error:  # a series may be broken in more ways than anyone has thought of
        return _failed(job, error, began)
    return Outcome(
        key=job.key,
        status="done",
        stamp=job.stamp,
        fingerprint=fingerprint,
        seconds=time.perf_counter() - began,
        files=content.files,
        n_bytes=content.n_bytes,
        sha256=content.sha256,
        **facts,
    )


def _fill(folder: Path, job: Job, progress: Share) -> Mapping[str, Any]:
    """Write the result into the folder; returns the figures of the outcome."""
    settings = job.settings
    notes: list[str] = []
    try:
        sinogram, truth = measured(job.source, settings, lambda share: progress(SCAN_SHARE * share), notes.append)
    except MemoryError:
        raise OutOfMemoryError("memory ran out while the series was loaded and scanned") from None
    if settings.short_hash(stamp_of(job.source), may_make_key=False) != job.stamp:
        raise DicomError("the files have changed since they were found; repeat the command when nobody writes to them")
    key = settings.deidentification_key
    told = [without_places(note, job.source) for note in notes]
    result = make_result(
        sinogram,
        settings,
        folder,
        truth_hu=truth,
        deidentifier=Deidentifier(read_key(key), retain_device=settings.retain_device) if key else None,
        keep_origin=truth is not None,  # of our own simulation
        model=learned_model(settings),
        batch_size=min(job.batch_size, sinogram.n_slices),
        created=job.created,
        notes=told,
        parts_folder=job.parts_folder if job.parts_folder.is_dir() else None,
        progress=lambda share, step: progress(SCAN_SHARE + (1 - SCAN_SHARE) * share),
    )
    image, metrics = result.reconstruction, result.metrics
    write_preview(
        folder / PREVIEW_NAME,
        [image.image_hu] if truth is None else [truth, image.image_hu],
        voxel_size_mm(sinogram.affine, sinogram.slice_offsets_mm),
        last_up=last_is_up(sinogram.affine),
    )
    return {
        "slices": sinogram.n_slices,
        "batch_size": result.batch_size,
        "doubts": image.doubts,
        "notes": (*told, *result.notes, *([f"no interval: {unfit}"] if (unfit := result.trust.no_interval) else [])),
        "residual_ratio": sum(image.residual_ratio) / len(image.residual_ratio),
        **({} if metrics is None else metrics["mean"]),
    }


def solve_share(job: Job) -> None:
    """Solve a job's share of a series, for `run_one` to find.

    Raises:
        CTResampleError: whatever is wrong with the series, or with its share.
    """
    torch.set_num_threads(job.threads)
    sinogram, _ = measured(job.source, job.settings)
    make_share(
        sinogram,
        job.settings,
        job.share or (0, 1),
        job.parts_folder,
        model=learned_model(job.settings),
        batch_size=min(job.batch_size, sinogram.n_slices),
    )


def _failed(job: Job, error: Exception, began: float) -> Outcome:
    reason = without_places(str(error), job.source)
    if not isinstance(error, CTResampleError):
        reason = f"{type(error).__name__}: {reason} (unexpected)"
    return Outcome(
        key=job.key,
        status="failed",
        stamp=job.stamp,
        reason=reason,
        seconds=time.perf_counter() - began,
    )


def on_gpu(job: Job, number: int) -> Job:
    """The same job for one of the GPUs of this machine, where it is for one at all."""
    if job.settings.device != "cuda" or torch.cuda.device_count() < 2:
        return job
    return replace(job, settings=replace(job.settings, device=f"cuda:{number % torch.cuda.device_count()}"))
