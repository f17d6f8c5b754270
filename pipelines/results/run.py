"""The main path: a sinogram, options and a folder to a finished result."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctresample.cleaning import cleaned
from ctresample.data_tools.deidentify import UNDATED, Deidentifier
from ctresample.device import pick_device
from ctresample.errors import UsageError
from ctresample.files import as_output_error, whole_folder
from ctresample.learned import LearnedModel
from ctresample.paths import StrPath, as_path
from ctresample.pipelines.calibration.judge import Judge
from ctresample.pipelines.calibration.lights import lights_of, record_of
from ctresample.pipelines.calibration.trust import Trust
from ctresample.pipelines.reconstruction.kept_parts import KeptParts, remove_parts
from ctresample.pipelines.reconstruction.learned_models import learned_model
from ctresample.pipelines.reconstruction.methods import method_named
from ctresample.pipelines.reconstruction.parts import largest_slab
from ctresample.pipelines.reconstruction.plan import planned
from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.pipelines.reconstruction.room import slab_bytes
from ctresample.pipelines.reconstruction.solve_parts import solve_parts
from ctresample.pipelines.reconstruction.z_coupling import coupling_of
from ctresample.pipelines.results.against import compare
from ctresample.pipelines.results.deidentification_report import REPORT_NAME, write_report
from ctresample.pipelines.results.images import ResultMap, check_export, write_images
from ctresample.pipelines.results.memory import with_smaller_batches
from ctresample.pipelines.results.options import ResultOptions
from ctresample.pipelines.results.record import write_record
from ctresample.pipelines.results.report import write_page
from ctresample.pipelines.results.result_maps import check_maps, interval_maps, result_maps
from ctresample.pipelines.work import Progress
from ctresample.result import Reconstruction
from ctresample.sinogram import Sinogram


@dataclass(frozen=True, kw_only=True, eq=False)
class Result:
    """What stands in a result folder.

    Attributes:
        reconstruction: the images.
        maps: that were asked for.
        metrics: against the truth, where there was one.
        batch_size: slices reconstructed together: those that memory was enough for.
        trust: what is known of the images without a truth.
        notes: what was found in the sinogram while it was cleaned.
        note: what was de-identified, in a line; empty where nothing was.
    """

    reconstruction: Reconstruction
    maps: tuple[ResultMap, ...]
    metrics: Mapping[str, Any] | None
    batch_size: int
    trust: Trust
    notes: tuple[str, ...]
    note: str


def make_result(
    sinogram: Sinogram,
    options: ResultOptions,
    folder: StrPath,
    *,
    truth_hu: NDArray[np.float32] | None = None,
    deidentifier: Deidentifier | None = None,
    keep_origin: bool = False,
    model: LearnedModel | None = None,
    batch_size: int = 8,
    created: datetime | None = None,
    began: float | None = None,
    notes: Sequence[str] = (),
    parts_folder: StrPath | None = None,
    progress: Progress | None = None,
) -> Result:
    """Reconstruct a sinogram and write all of the result, whole or not at all.

    The folder gets the images in each format, the maps, ``run.json`` and ``report.html``; of de-identified ones what
    was treated, too. Where
    memory runs out, fewer slices are reconstructed together.

    Args:
        sinogram: measured or simulated.
        options: how, and what to write.
        folder: new or empty.
        truth_hu: ``[slice, y, x]`` to compare the images with, see `ctresample.pipelines.results.against.truth_for`.
        deidentifier: replaces the identity in all headers, and leaves out dates.
        keep_origin: the sinogram's own words of its origin name nobody, so that they may stay in what is
            de-identified.
        model: the learned model, loaded; by default that of the options is.
        batch_size: slices reconstructed together.
        created: the date that the result bears; by default now.
        began: when the loading began, by `time.perf_counter`; then ``run.json`` has the times of all parts, and else
            equal runs give equal files.
        notes: what was said while the sinogram was made, for ``run.json``.
        parts_folder: keeps finished slabs until the result is written, so that the same call goes on after a stop.
        progress: told the fraction done, and what is being done.

    Raises:
        CTResampleError: options that do not fit the sinogram, a model that is not there, a place that cannot be
            written.
    """
    place, tell = as_path(folder, "folder"), progress or (lambda share, step: None)
    if parts_folder is not None and options.uncertainty:
        raise UsageError("a folder of parts keeps one reconstruction; leave it or the uncertainty out")
    if parts_folder is not None and as_path(parts_folder, "parts_folder").resolve().is_relative_to(place.resolve()):
        raise UsageError(
            f"{parts_folder} lies in the folder of the result, which takes its place; choose one beside it"
        )
    with whole_folder(place) as unfinished:
        own_origin = sinogram.origin
        if deidentifier:
            origin, created = sinogram.origin, UNDATED
            sinogram = deidentifier.sinogram(sinogram)
            sinogram = replace(sinogram, origin=origin) if keep_origin else sinogram
        check_export(sinogram, options.formats)
        check_maps(sinogram, options)
        found: list[str] = []
        sinogram = cleaned(sinogram, options.clean, on_note=found.append)
        options = on_its_device(options)
        model = load_model(options) if model is None else model
        judge = Judge.of(
            replace(sinogram, origin=own_origin),
            method=options.method,
            preset=options.preset if method_named(options.method).has_presets else "",
            model=model,
            prior=options.prior_name(),
            file=options.calibration,
            on_note=found.append,
        )
        n = sinogram.n_slices
        step = f"{options.method}, {n} slice{'s'[: n > 1]}, {sinogram.geometry.n_views} views"
        coupling = coupling_of(options.z_coupling, method_named(options.method), sinogram)
        if coupling.strength and not sinogram.geometry.is_volume:
            slab = largest_slab(coupling, batch_size)
            step += f", {slab} at a time in up to {slab_bytes(sinogram.grid, slab, n) / 1e9:.1f} GB"
        tell(0, step)
        loaded = time.perf_counter()

        def images(number: int, size: int) -> Reconstruction:
            def part_done(share: float) -> None:
                tell((number + share) / options.n_runs, step)

            one = replace(options, seed=options.seed + number)
            return reconstructed(
                sinogram, one, model=model, batch_size=size, progress=part_done, parts_folder=parts_folder
            )

        result, size = with_smaller_batches(lambda size: images(0, size), batch_size)
        maps, size = with_smaller_batches(
            lambda size: result_maps(sinogram, result, lambda number: images(number, size), options, batch_size=size),
            size,
        )
        trust, size = with_smaller_batches(
            lambda size: judge.trust(result, coverage=options.interval, device=options.device, batch_size=size), size
        )
        lights = lights_of(result, trust)
        maps += interval_maps(result, trust)
        if trust.warning:
            result = replace(result, doubts=(*result.doubts, trust.warning))
        tell(1, "writing")
        solved = time.perf_counter()
        metrics = None if truth_hu is None else compare(result.image_hu, truth_hu)
        note = ""
        with as_output_error(place):  # whichever library writes
            write_images(unfinished, result, formats=options.formats, maps=maps, created=created)
            write_page(unfinished, result, maps=maps, truth_hu=truth_hu, metrics=metrics, lights=lights)
            now = time.perf_counter()
            write_record(
                unfinished,
                result,
                seconds=None if began is None else _parts(began, loaded, solved, now),
                metrics=metrics,
                maps=maps,
                created=created,
                notes=[*notes, *found],
                trust=record_of(trust, lights),
            )
            if deidentifier:
                note = write_report(unfinished / REPORT_NAME, deidentifier)
    if parts_folder is not None:
        remove_parts(as_path(parts_folder, "parts_folder"))
    return Result(
        reconstruction=result,
        maps=tuple(maps),
        metrics=metrics,
        batch_size=size,
        trust=trust,
        notes=tuple(found),
        note=note,
    )


def reconstructed(
    sinogram: Sinogram,
    options: ResultOptions,
    *,
    model: LearnedModel | None = None,
    batch_size: int = 8,
    progress: Callable[[float], None] | None = None,
    parts_folder: StrPath | None = None,
    first: int = 0,
) -> Reconstruction:
    """The images alone, the first slice being of that number; see `ctresample.pipelines.reconstruction.reconstruct`."""
    return reconstruct(
        sinogram,
        **_how(options, model),
        batch_size=batch_size,
        progress=progress,
        parts_folder=parts_folder,
        slice_numbers=range(first, first + sinogram.n_slices) if first else None,
    )


def make_share(
    sinogram: Sinogram,
    options: ResultOptions,
    share: tuple[int, int],
    parts_folder: StrPath,
    *,
    model: LearnedModel | None = None,
    batch_size: int = 8,
) -> None:
    """Solve a share of what `make_result` would, and keep it where that finds it.

    Args:
        sinogram: the one that `make_result` will get.
        options: the same.
        share: ``(k, n)``: every n-th part from the k-th on.
        parts_folder: of all shares; each may be another process's.
        model: the learned model, loaded; by default that of the options is.
        batch_size: that of `make_result`.

    Raises:
        CTResampleError: as `make_result`.
    """
    options = on_its_device(options)
    plan = planned(
        cleaned(sinogram, options.clean),
        **_how(options, model),
        batch_size=batch_size,
        settings=None,
        slice_numbers=None,
    )
    keeping = KeptParts(as_path(parts_folder, "parts_folder"), plan.sinogram, plan.follows_from)
    solve_parts(plan, keeping=keeping, share=share)


def _how(options: ResultOptions, model: LearnedModel | None) -> dict[str, Any]:
    """What `reconstruct` is told of the options."""
    return {
        "method": options.method,
        "preset": options.preset,
        "prior": options.prior if model is None else model,
        "seed": options.seed,
        "window": options.window,
        "view_weights": options.view_weights,
        "physics": options.physics,
        "z_coupling": options.z_coupling,
        "device": options.device,
    }


def on_its_device(options: ResultOptions) -> ResultOptions:
    """The same with the device that "auto" stands for."""
    return replace(options, device=str(pick_device(options.device)))


def load_model(options: ResultOptions) -> LearnedModel | None:
    """The learned model of the options' method, if it needs one."""
    return learned_model(options.prior_name(), method_named(options.method), options.device)[0]


def _parts(began: float, loaded: float, solved: float, now: float) -> dict[str, float]:
    return {"load": loaded - began, "reconstruct": solved - loaded, "write": now - solved}
