"""How long a series will take: from series that are finished, or from a short measurement."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import torch

from ctresample.data_tools.dicom.series import FoundSeries
from ctresample.errors import CTResampleError, PriorError
from ctresample.pipelines.batch.inputs import BatchInput
from ctresample.pipelines.batch.manifest import DONE
from ctresample.pipelines.batch.settings import BatchSettings
from ctresample.pipelines.batch.work_on import learned_model, measured
from ctresample.pipelines.results.result_maps import maps_of_one
from ctresample.pipelines.results.run import reconstructed

MEASURING_S = 20.0
"""After so long a reconstruction is stopped, and its time computed from the part that is done."""

_FEWEST = 3
"""Finished series that tell more than a measurement."""


@dataclass(frozen=True)
class Pace:
    """Time of a slice.

    Attributes:
        seconds_per_slice: None where nothing could be measured.
        words: where the figure comes from.
    """

    seconds_per_slice: float | None
    words: str


def pace_of_finished(events: Sequence[dict[str, Any]]) -> Pace | None:
    """The median of the finished series; None while there are too few."""
    paces = [event["seconds"] / event["slices"] for event in events if event["event"] == DONE]
    if len(paces) < _FEWEST:
        return None
    return Pace(statistics.median(paces), f"from {len(paces)} finished series")


def candidates(inputs: Sequence[BatchInput]) -> list[BatchInput]:
    """The longest ones, to be measured."""
    return sorted(inputs, key=lambda one: -one.n_slices)[:3]


def measure_pace(some: Sequence[BatchInput], settings: BatchSettings, batch_size: int, threads: int) -> Pace:
    """Scan and reconstruct a few slices of the first input that works.

    Args:
        some: from `candidates`.
        settings: of the batch.
        batch_size: slices reconstructed together.
        threads: of torch.

    Raises:
        PriorError: the learned model is not there or does not fit; so would every series say.
    """
    torch.set_num_threads(threads)
    for found in some:
        try:
            return _measured_pace(found, settings, batch_size)
        except PriorError:
            raise
        except (CTResampleError, MemoryError, RuntimeError):  # it will fail in its turn, and say why
            continue
    return Pace(None, "nothing could be measured")


def _measured_pace(found: BatchInput, settings: BatchSettings, batch_size: int) -> Pace:
    learned_model(settings)  # loading is no part of the pace
    began = time.perf_counter()
    source = found.source
    if isinstance(source, FoundSeries):
        source = replace(source, headers=source.headers[: max(1, batch_size)])
    sinogram, _ = measured(source, settings)
    if not sinogram.geometry.is_volume:
        sinogram = sinogram.part(range(min(batch_size, sinogram.n_slices)))
    seconds = time.perf_counter() - began
    began = time.perf_counter()
    share = 1.0

    def watch(fraction: float) -> None:
        nonlocal share
        if 0 < fraction < 1 and time.perf_counter() - began > MEASURING_S:
            share = fraction
            raise _Enough

    with suppress(_Enough):
        result = reconstructed(sinogram, settings, model=learned_model(settings), batch_size=batch_size, progress=watch)
    seconds += settings.n_runs * (time.perf_counter() - began) / share
    if share == 1:  # of methods that take longer it is a small part
        began = time.perf_counter()
        maps_of_one(sinogram, result, settings, batch_size=batch_size)
        seconds += time.perf_counter() - began
    n = sinogram.n_slices
    return Pace(seconds / n, f"measured on {n} slice{'s'[: n > 1]} of series {found.key}")


class _Enough(Exception):  # noqa: N818 (no error: it ends a measurement)
    """The measurement has lasted long enough."""
