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


@pytest.fixture
def now(monkeypatch):
    """The seconds that the screen's clock shows, in a list of one."""
    seconds = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: seconds[0])
    return seconds


def test_lines_without_a_terminal(now):
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


def test_the_time_left_does_not_jump(now):
    """Steps of unequal pace: however often one tells, the estimate moves by little at a time."""
    ends = []
    for often in (1, 100):
        show = Screen(Console(file=io.StringIO()), None)
        now[0] = 0.0
        show.progress(0, "a")
        seen = []
        for step in range(100):  # 10 s for the first half, 90 s for the second
            for part in range(often):
                now[0] += (0.2 if step < 50 else 1.8) / often
                show.progress((step + (part + 1) / often) / 100 * 0.99, "a")
            seen.append(show._end)
        moves = [abs(after - before) for before, after in zip(seen[3:], seen[4:], strict=False)]
        assert max(moves) < 3
        ends.append(seen[3:])
    assert ends[0] == pytest.approx(ends[1], rel=0.1)


def test_what_comes_before_the_work_is_not_taken_for_it(now):
    out = io.StringIO()
    show = Screen(Console(file=out, width=40), None)
    show.progress(0, "loading")
    now[0] = 20.0
    show.progress(0.04, "scanning")
    now[0] = 52.0
    show.progress(0.52, "scanning")
    assert out.getvalue().splitlines() == ["loading", "scanning", "scanning (52% done, about 0:32 min left)"]


def test_silent_work_is_told_of(monkeypatch, capsys):
    monkeypatch.setattr(module, "_SILENCE_S", 0.05)
    with screen() as show:
        show.progress(0, "a long step that tells nothing")
        for _ in range(500):  # ends as soon as it has been seen
            time.sleep(0.01)
            seen = capsys.readouterr().err
            if "so far)" in seen:
                break
    assert "a long step that tells nothing (0:00 min so far)" in seen


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
