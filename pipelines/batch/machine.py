"""Where a batch runs: how many series at once, with how many threads each, on what device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ctresample.device import pick_device
from ctresample.errors import CTResampleError, UsageError
from ctresample.pipelines.batch.cluster import check_workers
from ctresample.pipelines.batch.estimate import Pace, candidates, measure_pace, pace_of_finished
from ctresample.pipelines.batch.inputs import BatchInput
from ctresample.pipelines.batch.plan import Plan
from ctresample.pipelines.batch.settings import BatchSettings
from ctresample.pipelines.batch.watch import WorkerWatch


@dataclass(frozen=True)
class Machine:
    """What does the work.

    Attributes:
        n_workers: series at once.
        threads: of torch, for each.
        device: "cpu", "cuda", or on this machine one of several GPUs.
    """

    n_workers: int
    threads: int
    device: str

    def pace(
        self, plan: Plan, events: Sequence[dict[str, Any]], settings: BatchSettings, batch_size: int, client: Any
    ) -> Pace:
        """Time of a slice, from finished series or measured where the work will be done."""
        known = pace_of_finished(events)
        if known or not plan.to_run:
            return known or Pace(None, "nothing to do")
        some = candidates([row.found for row in plan.to_run])
        if client is None:
            return measure_pace(some, settings, batch_size, self.threads)
        from distributed import KilledWorker

        future = client.submit(_on_worker, some, settings, batch_size, self.threads, pure=False)
        try:
            found: Pace | CTResampleError = WorkerWatch(client).result_of(future)
        except KilledWorker:  # each series will be tried with fewer slices together
            return Pace(None, "the worker that measured it died")
        if isinstance(found, CTResampleError):
            raise found
        return found


def machine_of(place: Path, device: str, *, workers: int, client: Any) -> Machine:
    """This machine, or the workers of a dask client.

    Args:
        place: of the inputs, which all workers must see.
        device: "auto", "cpu" or "cuda".
        workers: series at once on this machine.
        client: of dask; None for this process alone.

    Raises:
        DeviceError: a device that is not there.
        UsageError: "auto", where some workers have a GPU and some not.
        CTResampleError: workers that see other files or run another version.
    """
    threads = max(1, torch.get_num_threads() // workers)
    if client is None:
        return Machine(workers, threads, str(pick_device(device)))
    seen = check_workers(client, place)
    kinds = set(client.run(_device_type, device).values())
    if len(kinds) > 1:
        raise UsageError(f"--device is {device}, and workers differ ({', '.join(sorted(kinds))}); name one")
    if workers == 1:  # those of a scheduler, which say themselves how many threads they have
        threads = min(client.run(torch.get_num_threads).values())
    return Machine(seen, threads, kinds.pop())


def _on_worker(some: Sequence[BatchInput], settings: BatchSettings, batch_size: int, threads: int) -> Any:
    """The pace; the error is handed back, for dask would print it with its traceback."""
    try:
        return measure_pace(some, settings, batch_size, threads)
    except CTResampleError as error:
        return error


def _device_type(device: str) -> str:
    return pick_device(device).type
