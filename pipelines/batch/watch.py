"""Notice that nobody is left to work: dask itself waits for ever."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from ctresample.errors import CTResampleError

NO_WORKER_S = 300.0
"""So long there may be none; one that died is replaced within a minute, on a busy machine too."""

_LOOK_EVERY_S = 5.0
_POLL_S = 0.05


class WorkerWatch:
    """Looks now and then whether there are workers.

    Args:
        client: of dask.
    """

    def __init__(self, client: Any) -> None:
        self._client, self._seen, self._looked = client, time.monotonic(), 0.0

    def wait(self) -> None:
        """Wait a moment.

        Raises:
            CTResampleError: there has been no worker for too long.
        """
        time.sleep(_POLL_S)
        now = time.monotonic()
        if now - self._looked < min(_LOOK_EVERY_S, NO_WORKER_S / 2):
            return
        self._looked = now
        local = self._client.cluster  # of processes here; None where the scheduler is somebody else's
        with suppress(OSError):  # a scheduler that is gone is told by the jobs, which it cancels
            n_workers = len(self._client.nthreads())
            if n_workers:
                self._seen = now
            if local is not None and n_workers < len(local.worker_spec):
                _replace_lost(local)
        if now - self._seen > NO_WORKER_S:
            raise CTResampleError(
                f"no worker has been there for {NO_WORKER_S:.0f} s; what is finished is kept: look at their logs, and "
                "whether there is enough memory, then repeat the command"
            )

    def result_of(self, future: Any) -> Any:
        """What a job came to, once it has ended."""
        while not future.done():
            self.wait()
        return future.result()


def _replace_lost(local: Any) -> None:
    """Have a local cluster start anew the workers whose keepers have given up; those that only restart stay."""
    lost = [name for name, keeper in list(local.workers.items()) if keeper.status.name in ("closed", "failed")]
    for name in lost:
        local.workers.pop(name, None)  # dask itself would wait as long for them as for one that restarts
    if lost:
        local.scale(len(local.worker_spec))
