"""Progress, notes and results on the screen."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from ctresample.data_tools.plain_text import shown

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

_LEAST_FRACTION = 0.02  # before this an estimate is no better than a guess
_STEADY = 0.15  # of the time so far: so slowly follows the estimate of the end, as steps of unequal pace make it jump
_SILENCE_S = 30.0  # without a terminal a line comes at least so often, where there is progress
_quiet = False


class Screen:
    """Where a verb tells what it is doing, on stderr: a bar on a terminal, else a line for each step.

    Args:
        console: to write on.
        bar: a running rich progress bar with one task, on a terminal.
    """

    def __init__(self, console: Console, bar: tuple[Progress, TaskID] | None) -> None:
        self._console, self._bar = console, bar
        self._began, self._step, self._end = time.monotonic(), "", math.nan
        self._last_line = self._estimated = self._began
        self._fraction = self._first = 0.0

    def progress(self, fraction: float, step: str) -> None:
        """Show the fraction done, from 0 to 1, and what is being done."""
        now = time.monotonic()
        if step != self._step and min(fraction, self._fraction) <= 0:
            # loading does not count: the estimate is for the work, from where it is first told of
            self._began, self._end, self._first = now, math.nan, max(0.0, fraction)
        left = self._left_s(fraction, now) if self._first + _LEAST_FRACTION <= fraction < 1 else None
        if self._bar:
            bar, task = self._bar
            end = None if left is None else now + left
            bar.update(task, completed=fraction, description=shown(step), end=end)
        elif not _quiet and (step != self._step or now - self._last_line >= _SILENCE_S):
            self._last_line = now
            so_far = "" if step != self._step else f" ({clock(now - self._began)} so far)"
            estimate = so_far if left is None else f" ({fraction:.0%} done, about {clock(left)} left)"
            self.note(f"{step}{estimate}")
        self._fraction, self._step = fraction, step

    def still(self) -> None:
        """Say again what is being done, if it has been silent for long; of a step that tells of no progress itself."""
        silent_s = time.monotonic() - self._last_line
        if self._step and silent_s >= _SILENCE_S:
            self.progress(self._fraction, self._step)

    def _left_s(self, fraction: float, now: float) -> float:
        so_far, since = now - self._began, now - self._estimated
        end = self._began + so_far * (1 - self._first) / (fraction - self._first)
        if math.isnan(self._end):
            self._end = end
        elif so_far > 0:
            self._end += (1 - math.exp(-since / (_STEADY * so_far))) * (end - self._end)
        self._estimated = now
        return max(0.0, self._end - now)

    def doubt(self, message: str) -> None:
        """A line in red that stays: what may be wrong with the image."""
        self._console.print(
            shown(f"doubtful: {message}"), style="bold red", markup=False, highlight=False, soft_wrap=True
        )

    def note(self, message: str) -> None:
        """A line that stays, unless nothing is wanted beside results."""
        if _quiet:
            return
        self._console.print(shown(message), markup=False, highlight=False, soft_wrap=True)


@contextmanager
def screen() -> Iterator[Screen]:
    """A `Screen` whose bar vanishes when the block ends."""
    from rich.console import Console

    console = Console(stderr=True)
    if _quiet or not console.is_terminal:
        with _never_silent(Screen(console, None)) as lines:
            yield lines
        return
    from rich.progress import (
        BarColumn,
        Progress,
        ProgressColumn,
        Task,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
    )
    from rich.text import Text

    class TimeLeft(ProgressColumn):
        """Counts down to the estimated end."""

        def render(self, task: Task) -> Text:
            end = task.fields["end"]
            return Text("" if end is None else f"about {clock(max(0.0, end - time.monotonic()))} left")

    columns = (TextColumn("{task.description}"), BarColumn(20), TaskProgressColumn(), TimeElapsedColumn(), TimeLeft())
    with Progress(*columns, console=console, transient=True, refresh_per_second=4) as bar:
        yield Screen(console, (bar, bar.add_task("starting", total=1.0, end=None)))


@contextmanager
def _never_silent(lines: Screen) -> Iterator[Screen]:
    """Another thread says what is being done where the work does not."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_SILENCE_S / 30):
            lines.still()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield lines
    finally:
        ended.set()
        thread.join()


def say(message: str = "", *, err: bool = False) -> None:
    """A line of the answer; what it quotes, such as the name of a file, cannot make the terminal do anything."""
    typer.echo(shown(message), err=err)


def quiet(wanted: bool) -> None:
    """Whether screens made from now on keep to doubts: progress and notes are left out."""
    global _quiet  # noqa: PLW0603  # one program has one screen
    _quiet = wanted


def is_quiet() -> bool:
    """Whether only doubts and results are wanted."""
    return _quiet


def clock(seconds: float) -> str:
    """Minutes and seconds, or hours and minutes: ``1:05 min``, ``2:30 h``."""
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
