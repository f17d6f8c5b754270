"""Times that a busy, drifting machine spoils for all alike: in turns, compared round by round."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SAMPLE_SECONDS = 0.1
"""A sample repeats its task until about this long: short tasks are then timed as solvers call them, back to back."""


@dataclass(frozen=True)
class Spread:
    """Of several samples."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Spread:
        return cls(statistics.median(samples), min(samples), max(samples))

    def times(self, factor: float) -> Spread:
        return Spread(self.median * factor, self.lowest * factor, self.highest * factor)


def in_turns(
    tasks: Mapping[str, Callable[[], Any]],
    rounds: int,
    *,
    sample_seconds: float = SAMPLE_SECONDS,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds a call of each task, one sample a round; each round begins with another task.

    Every task is called once before, to warm up and to see how many calls make a sample.
    """

    def seconds(task: Callable[[], Any], calls: int) -> float:
        began = clock()
        for _ in range(calls):
            task()
        return (clock() - began) / calls

    calls = {}
    for name, task in tasks.items():
        task()
        calls[name] = max(1, int(sample_seconds / max(seconds(task, 1), 1e-9)))
    samples: dict[str, list[float]] = {name: [] for name in tasks}
    names = list(tasks)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            samples[name].append(seconds(tasks[name], calls[name]))
    return samples


def ratios(slower: Sequence[float], faster: Sequence[float]) -> Spread:
    """How many times as long one took as the other, within each round."""
    return Spread.of([a / b for a, b in zip(slower, faster, strict=True)])
