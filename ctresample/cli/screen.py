"""Progress, notes and results on the screen."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from ctresample.data_tools.plain_text import shown

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

_LEAST_FRACTION = 0.005  # before this an estimate is no better than a guess


class Screen:
    """Where a verb tells what it is doing, on stderr: a bar on a terminal, else a line for each step.

    Args:
        console: to write on.
        bar: a running rich progress bar with one task, on a terminal.
    """

    def __init__(self, console: Console, bar: tuple[Progress, TaskID] | None) -> None:
        self._console, self._bar = console, bar
        self._began, self._step = time.monotonic(), ""

    def progress(self, fraction: float, step: str) -> None:
        """Show the fraction done, from 0 to 1, and what is being done."""
        now = time.monotonic()
        if fraction <= 0:
            self._began = now  # loading does not count: the estimate is for the work
        elapsed = now - self._began
        left = elapsed / fraction - elapsed if _LEAST_FRACTION <= fraction < 1 else None
        if self._bar:
            bar, task = self._bar
            end = None if left is None else now + left
            bar.update(task, completed=fraction, description=shown(step), end=end)
        elif step != self._step:
            estimate = "" if left is None else f" ({fraction:.0%} done, about {clock(left)} left)"
            self.note(f"{step}{estimate}")
        self._step = step

    def doubt(self, message: str) -> None:
        """A line in red that stays: what may be wrong with the image."""
        self._console.print(
            shown(f"doubtful: {message}"), style="bold red", markup=False, highlight=False, soft_wrap=True
        )

    def note(self, message: str) -> None:
        """A line that stays."""
        self._console.print(shown(message), markup=False, highlight=False, soft_wrap=True)


@contextmanager
def screen() -> Iterator[Screen]:
    """A `Screen` whose bar vanishes when the block ends."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield Screen(console, None)
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


def say(message: str = "", *, err: bool = False) -> None:
    """A line of the answer; what it quotes, such as the name of a file, cannot make the terminal do anything."""
    typer.echo(shown(message), err=err)


def clock(seconds: float) -> str:
    """Minutes and seconds, or hours and minutes: ``1:05 min``, ``2:30 h``."""
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
