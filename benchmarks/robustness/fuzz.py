"""Damage CT images and sinogram files by the thousand, and see that loaders read them or refuse them, and no more.

Run: python benchmarks/robustness/fuzz.py     (10,000 cases of each kind; --cases 200 for a look)
A case is decided by seed, kind and number alone. Loaders may take a file, refuse it with an error of ours, or leave it
out. Anything else stops with exit status 1 and leaves the file in --keep: another exception, a process that dies, more
than 5 s of computing or 300 MiB of memory, writing outside the output folder, unpickling, starting programs, a message
with the planted patient in it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import Any

from watched import MAX_BYTES, MAX_CPU_S, work

KINDS = ("dicom", "sinograms", "priors")
_PATIENCE_S = 120.0  # of a busy machine, for a process that waits; one that computes is ended by its own count


def main() -> None:
    """Run all cases; print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=10_000, help="of each kind")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-violations"), help="for the files that show a fault")
    arguments = parser.parse_args()
    faults = 0
    for kind in arguments.kinds:
        began = time.perf_counter()
        run = Run(kind, arguments.seed, arguments.keep)
        with tempfile.TemporaryDirectory() as scratch:
            run.run(range(arguments.first, arguments.first + arguments.cases), arguments.workers, Path(scratch))
        print(run.table(time.perf_counter() - began), flush=True)
        faults += run.faults.total()
    sys.exit(1 if faults else 0)


class Run:
    """All cases of one kind.

    Args:
        kind: one of `KINDS`.
        seed: of the cases.
        keep: folder for cases that show a fault.
    """

    def __init__(self, kind: str, seed: int, keep: Path) -> None:
        self._kind, self._seed, self._keep = kind, seed, keep
        self.results: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self._slowest_s, self._largest_bytes, self._first = 0.0, 0, {}

    def run(self, numbers: range, n_workers: int, scratch: Path) -> None:
        """Share the cases among workers; one that dies is replaced and goes on behind the case that killed it."""
        context = multiprocessing.get_context("spawn")
        workers = [
            _Worker(context, self._kind, self._seed, numbers[first::n_workers], scratch / str(first))
            for first in range(n_workers)
        ]
        while workers:
            for worker in list(workers):
                message = worker.wait(0.05 if len(workers) > 1 else _PATIENCE_S)
                if message is None:
                    workers.remove(worker)
                elif isinstance(message, dict):
                    self._count(message, worker)
                    if "died" in message:
                        worker.start()

    def _count(self, outcome: dict[str, Any], worker: _Worker) -> None:
        self.results[outcome["result"]] += 1
        if self.results.total() % 1000 == 0:
            print(f"{self._kind}: {self.results.total():,} cases, {self.faults.total()} faults", file=sys.stderr)
        self._slowest_s = max(self._slowest_s, outcome["cpu_s"])
        self._largest_bytes = max(self._largest_bytes, outcome["bytes"])
        for fault in outcome["violations"]:
            self.faults[fault] += 1
            place = self._keep / f"{self._kind}-{self._seed}-{outcome['number']}"
            self._first.setdefault(fault, (place, outcome["done"]))
            if not place.exists():
                shutil.copytree(worker.scratch / f"case-{outcome['number']}", place)
                (place / "what.txt").write_text(f"{outcome['done']}\n{fault}\n")

    def table(self, seconds: float) -> str:
        """What came out."""
        total = self.results.total()
        lines = [f"{self._kind}: {total:,} cases, seed {self._seed}, {seconds:.0f} s"]
        lines += [f"  {result:24} {count:7,} {count / total:7.1%}" for result, count in self.results.most_common()]
        lines.append(f"  slowest {self._slowest_s:.2f} s of {MAX_CPU_S:g}")
        lines.append(f"  most memory {self._largest_bytes >> 20:,} MiB of {MAX_BYTES >> 20:,}")
        lines.append(f"  faults {self.faults.total()}")
        for fault, count in self.faults.most_common():
            place, done = self._first[fault]
            lines.append(f"    {count} x {fault}; first: {place} ({done})")
        return "\n".join(lines)


class _Worker:
    """A process for a share of the cases."""

    def __init__(self, context: SpawnContext, kind: str, seed: int, numbers: range, scratch: Path) -> None:
        self._context, self._kind, self._seed = context, kind, seed
        self._left, self.scratch, self._running = numbers, scratch, -1
        scratch.mkdir()
        self.start()

    def start(self) -> None:
        self._report, theirs = self._context.Pipe(duplex=False)
        arguments = (self._kind, self._seed, self._left, self.scratch, theirs)
        self._process = self._context.Process(target=work, args=arguments)
        self._process.start()
        theirs.close()
        self._since = time.monotonic()

    def wait(self, seconds: float) -> dict[str, Any] | bool | None:
        """The next outcome; True while there is none; None when all are done."""
        try:
            if not self._report.poll(seconds):
                if time.monotonic() - self._since < _PATIENCE_S:
                    return True
                self._process.kill()
                return self._died("hangs")
            message = self._report.recv()
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            return self._died("hangs" if code == -signal.SIGPROF else f"died (exit status {code})")
        self._since = time.monotonic()
        if message is None:
            self._process.join()
            return None
        number, outcome = message
        if outcome is None:
            self._running = number
            return True
        self._left = self._left[1:]
        return outcome | {"number": number}

    def _died(self, how: str) -> dict[str, Any]:
        if self._running != self._left[0]:
            raise SystemExit(f"a worker {how} before its first case")
        number, self._left = self._running, self._left[1:]
        outcome = {"done": "see there", "result": how, "violations": [how], "cpu_s": 0.0, "bytes": 0}
        return outcome | {"number": number, "died": True}


if __name__ == "__main__":
    main()
