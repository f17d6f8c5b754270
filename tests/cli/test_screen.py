"""What a person sees while waiting."""

import io
import time

import pytest
from rich.console import Console

from ctresample.cli import screen as module
from ctresample.cli.screen import Screen, clock, screen


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00 min"), (65.4, "1:05 min"), (3599, "59:59 min"), (9000, "2:30 h")]
)
def test_clock(seconds, text):
    assert clock(seconds) == text


def test_lines_without_a_terminal(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    out = io.StringIO()
    show = Screen(Console(file=out, width=40), None)
    show.progress(0, "loading")
    for second in range(1, 101):
        now[0] = float(second)
        show.progress(second / 400, "tv [8 slices], a long description of a step" if second > 50 else "fbp")
    assert out.getvalue().splitlines() == [
        "loading",
        "fbp",
        "fbp (8% done, about 6:09 min left)",
        "tv [8 slices], a long description of a step (13% done, about 5:49 min left)",
        "tv [8 slices], a long description of a step (20% done, about 5:19 min left)",
    ]


def test_bar_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with screen() as show:
        show.progress(0, "loading")
        time.sleep(0.02)
        show.progress(0.5, "tv, 3 slices")
        show.note("left out 2 files")
        time.sleep(0.3)  # the bar is drawn four times a second
    seen = capsys.readouterr().err
    for text in ("tv, 3 slices", "50%", "left", "left out 2 files"):
        assert text in seen
