"""A series shared among workers: when there are more of them than series."""

from __future__ import annotations

from dataclasses import replace

from ctresample.pipelines.batch.job import Job
from ctresample.pipelines.reconstruction.parts import SLAB_BATCHES


def shares_of(job: Job, workers: int) -> list[Job]:
    """The job in as many shares as there are workers for it; none where it is better done at once.

    Each worker reads and scans the series anew, so only one of more than a slab is worth it. What is made of several
    reconstructions keeps no parts.
    """
    if workers < 2 or job.n_slices <= SLAB_BATCHES * job.batch_size or job.settings.uncertainty:
        return []
    return [replace(job, share=(k, workers)) for k in range(workers)]
