"""Jobs on several processes or machines, by dask.distributed."""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import ctresample
from ctresample.errors import CTResampleError, OutputError, UsageError
from ctresample.files import as_output_error
from ctresample.pipelines.batch.job import Job, Outcome
from ctresample.pipelines.batch.run_one import on_gpu, run_one, solve_share
from ctresample.pipelines.batch.shares import shares_of
from ctresample.pipelines.batch.watch import WorkerWatch

ANSWER_WITHIN_S = 20.0
START_WITHIN_S = 600
"""A worker that is not back by then is given up; dask's own 15 s are too short for torch on a busy machine."""

_AHEAD = 2
"""Jobs handed out for each worker: one in work and one that waits, so that thousands need no memory."""


@contextmanager
def cluster(*, workers: int = 0, scheduler: str | None = None) -> Iterator[Any]:
    """A client of the scheduler at an address, or of so many processes of this machine's own, ended with the block.

    Raises:
        UsageError: dask.distributed is not installed.
        CTResampleError: nobody answers at the address, or the processes cannot be started.
    """
    try:
        import dask
        from distributed import Client, LocalCluster
        from distributed.security import Security

        own_keys = None if scheduler else Security.temporary()
    except ImportError:
        raise UsageError('several workers need dask: pip install "ctresample[cluster]"') from None
    if scheduler is not None:
        try:
            client = Client(scheduler, timeout=ANSWER_WITHIN_S)
        except (OSError, ValueError) as error:
            raise CTResampleError(
                f"no dask scheduler answers at {scheduler} ({type(error).__name__}); start one with `dask scheduler` "
                "and give its address, such as tcp://HOST:8786"
            ) from None
        with client:
            yield client
        return
    patience = {
        "distributed.deploy.lost-worker-timeout": START_WITHIN_S,
        "distributed.scheduler.worker-ttl": START_WITHIN_S,
        "distributed.comm.timeouts.connect": START_WITHIN_S,
    }
    with dask.config.set(patience), ExitStack() as ends:
        try:
            client = ends.enter_context(_own_workers(workers, own_keys, LocalCluster, Client))
        except (OSError, RuntimeError, TimeoutError) as error:
            raise CTResampleError(
                f"{workers} worker processes cannot be started ({type(error).__name__}); is there enough memory? take "
                "fewer --workers"
            ) from error
        yield client


@contextmanager
def _own_workers(workers: int, own_keys: Any, local_cluster: Any, client_of: Any) -> Iterator[Any]:
    # Encrypted, or whoever else is logged in could have the scheduler run what they like. No limit of memory: dask
    # would kill what a run in one process lives with; nor its lines about workers that it ends.
    with (
        local_cluster(
            n_workers=workers,
            threads_per_worker=1,
            memory_limit=0,
            dashboard_address="127.0.0.1:0",  # pages are served in any case, so from a port that is free
            host="127.0.0.1",
            security=own_keys,
            silence_logs=logging.ERROR,
            preload=[__name__],  # torch, before a worker counts: importing it holds up all that a worker answers
        ) as local,
        client_of(local) as client,
    ):
        client.register_worker_callbacks(_keep_quiet)
        yield client


def _keep_quiet() -> None:
    """Runs in each worker that shares our terminal: Ctrl-C reaches it, too, and would end it in a traceback."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def check_workers(client: Any, place: Path) -> int:
    """How many workers there are, once it is sure that all run the same version and see the inputs.

    Raises:
        CTResampleError: there is none, or one that differs.
    """
    found = client.run(_version_and_sight, str(place.absolute()))
    if not found:
        raise CTResampleError("the dask scheduler has no workers; start some with `dask worker ADDRESS --nthreads 1`")
    for address, (version, sees) in found.items():
        if version != ctresample.__version__:
            raise CTResampleError(
                f"worker {address} runs ctresample {version}, here it is {ctresample.__version__}; install the same"
            )
        if not sees:
            raise _other_files(address, place)
    return len(found)


def check_shared(client: Any, out: Path) -> None:
    """Refuse workers for which the folder of results is another one than for this process.

    Raises:
        CTResampleError: one sees other files.
        OutputError: the folder cannot be written.
    """
    token = out.absolute() / f".shared-{secrets.token_hex(4)}"
    try:
        with as_output_error(out):
            token.touch()
        found = client.run(_version_and_sight, str(token))
    finally:
        token.unlink(missing_ok=True)
    for address, (_, sees) in found.items():
        if not sees:
            raise _other_files(address, out)


def check_key(client: Any, key: Path) -> None:
    """Refuse workers for which the file of the secret key is another one than for this process, or not there.

    Raises:
        CTResampleError: one sees another file.
    """
    own = _digest(str(key))
    for address, found in client.run(_digest, str(key)).items():
        if found != own:
            raise _other_files(address, key)


def _digest(path: str) -> str:
    file = Path(path)
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""


def _other_files(address: str, place: Path) -> CTResampleError:
    return CTResampleError(
        f"worker {address} does not see {place}; inputs, results and keys must lie on a file system that all "
        "workers share, under the same path"
    )


def _version_and_sight(path: str) -> tuple[str, bool]:
    return ctresample.__version__, Path(path).exists()


def run_on_cluster(client: Any, jobs: Sequence[Job], on_start: Callable[[Job], None]) -> Iterator[Outcome]:
    """The outcomes of jobs as they end, in no order.

    A job whose worker died is run again by dask; one that takes its worker with it each time, with half the slices
    together, down to one. Where there are more workers than jobs, several share the slices of one; what becomes of a
    share that fails, its job shows, which does that part itself.

    Args:
        client: of dask.
        jobs: to run.
        on_start: told of every job that is handed out.

    Raises:
        OutputError: the place of results cannot be written.
        CTResampleError: the scheduler is gone, or all workers for too long.
    """
    from distributed import CancelledError, KilledWorker, as_completed

    running: dict[Any, Job] = {}
    os.umask(mask := os.umask(0o077))  # there is no other way to ask
    waiting = iter(jobs)
    ended: Any = as_completed()
    watch = WorkerWatch(client)

    shares_left: dict[str, int] = {}

    def hand_out(job: Job) -> None:
        on_start(job)
        shares = shares_of(job, len(client.nthreads()) // len(jobs))
        shares_left[job.key] = len(shares)
        for one in shares or [job]:
            submit(one)

    def submit(job: Job) -> None:
        future = client.submit(_on_worker, job, mask, key=f"{job.key}-{secrets.token_hex(4)}", pure=False)
        running[future] = job
        ended.add(future)

    def hand_out_more() -> None:
        while len(running) < _AHEAD * max(1, len(client.nthreads())) and (job := next(waiting, None)) is not None:
            hand_out(job)

    hand_out_more()
    try:
        while running:
            if not ended.has_ready():
                watch.wait()
                continue
            future = next(ended)
            job = running.pop(future)
            try:
                outcome = future.result()
            except KilledWorker:
                if not job.share and job.batch_size > 1:
                    hand_out(replace(job, batch_size=job.batch_size // 2))
                    continue
                outcome = Outcome(
                    key=job.key,
                    status="failed",
                    stamp=job.stamp,
                    reason="its worker died each time, with one slice at a time too; is there enough memory?",
                )
            except CancelledError:
                raise CTResampleError(
                    "the dask scheduler is gone; what is finished is kept: start it again, then repeat the command"
                ) from None
            if isinstance(outcome, OutputError):
                raise outcome
            if job.share:
                shares_left[job.key] -= 1
                if not shares_left[job.key]:
                    submit(replace(job, share=None))
                continue
            yield outcome
            hand_out_more()
    finally:
        client.cancel(list(running))


def _on_worker(job: Job, mask: int) -> Outcome | OutputError | None:
    """Runs in the worker, where others may read the result as far as they may here; it serves one of several GPUs.

    Hands the error back, for dask would write the job with the names of its files into its log.
    """
    from distributed import get_worker

    os.umask(mask)
    name = str(get_worker().name)
    job = on_gpu(job, int(name) if name.isdecimal() else os.getpid())
    try:
        if job.share is None:
            return run_one(job)
        with suppress(Exception):  # the job meets it, too, and says what it is
            solve_share(job)
    except OutputError as error:
        return error
    return None
