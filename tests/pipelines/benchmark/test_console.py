"""The summary on the screen: whole, and no names taken for markup."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from ctresample.pipelines.benchmark.console import print_summary
from ctresample.result import ResultRow

ROW = ResultRow(
    condition="25 views",
    views=25,
    seed=0,
    slice="a",
    patient=0,
    method="tv",
    preset="default",
    psnr_db=30.0,
    data_range_hu=3000.0,
    ssim=0.8,
    rmse_hu=50.0,
    residual_ratio=1.1,
    seconds=2.0,
)


def printed(table: list[ResultRow], width: int) -> str:
    text = io.StringIO()
    print_summary(table, Console(file=text, width=width))
    return text.getvalue()


def test_print_shows_mean_and_deviation() -> None:
    text = printed([ROW, replace(ROW, slice="b", psnr_db=34.0), replace(ROW, method="[red]", psnr_db=7.0)], width=120)
    assert "32.00 ±2.83" in text
    assert "[red]" in text  # a name, not a colour
    assert "3000 HU" in text
    (lone,) = (line for line in text.splitlines() if "[red]" in line)
    assert "7.00" in lone
    assert "±" not in lone


def test_print_fits_a_narrow_terminal_without_cutting() -> None:
    table = [replace(ROW, method="resample", slice=s, seconds=130.0 + i) for i, s in enumerate("abc")]
    text = printed(table, width=80)
    assert "…" not in text
    assert "resample" in text
    assert max(map(len, text.splitlines())) <= 80


def test_print_of_no_rows_says_so() -> None:
    assert "No results" in printed([], width=80)


def test_each_condition_has_a_table_and_failures_are_counted() -> None:
    table = [ROW, replace(ROW, condition="[b]60 views", views=60), replace(ROW, slice="b", failure="diverged")]
    text = printed(table, width=100)
    assert text.index("25 views") < text.index("[b]60 views")
    assert text.count("Method") == 2
    assert "1 reconstructions failed" in text
