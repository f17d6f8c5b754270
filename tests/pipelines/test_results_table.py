"""The results table: what is written is read back, and the summary is the one worked out by hand."""

from __future__ import annotations

import io
import math
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from ctresample.errors import CTResampleError, OutputError
from ctresample.pipelines.results_table import (
    FIGURES,
    best_rows,
    print_summary,
    read_results_csv,
    summarise,
    write_results_csv,
)
from ctresample.result import ResultRow

HEADER = "slice,method,preset,views,psnr_db,data_range_hu,ssim,rmse_hu,residual_ratio,seconds"
ROW = ResultRow("a", "tv", "default", 25, 30.0, 3000.0, 0.8, 50.0, 1.1, 2.0)
FIGURE = {figure.name: figure for figure in FIGURES}

figures = st.floats(-1e9, 1e9)
rows = st.builds(
    ResultRow,
    slice=st.text(),
    method=st.text(),
    preset=st.text(),
    views=st.integers(1, 10_000),
    psnr_db=figures,
    data_range_hu=st.floats(1e-3, 1e6),
    ssim=st.floats(-1, 1),
    rmse_hu=figures,
    residual_ratio=figures,
    seconds=figures,
)


def printed(table: list[ResultRow], width: int) -> str:
    text = io.StringIO()
    print_summary(table, Console(file=text, width=width))
    return text.getvalue()


def test_the_file_as_it_is_written(tmp_path: Path) -> None:
    write_results_csv(tmp_path / "r.csv", [replace(ROW, slice="a,b", psnr_db=31.23456789, ssim=0.912345678)])
    assert (tmp_path / "r.csv").read_bytes().decode().splitlines() == [
        HEADER,
        '"a,b",tv,default,25,31.2346,3000,0.912346,50,1.1,2',
    ]


@given(table=st.lists(rows, max_size=4))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, table: list[ResultRow]) -> None:
    path = tmp_path_factory.mktemp("csv") / "r.csv"
    write_results_csv(path, table)
    back = read_results_csv(path)
    assert len(back) == len(table)
    for found, written in zip(back, table, strict=True):
        for name, value in asdict(written).items():
            # Six significant digits are off by half a unit in the last, at most 5e-6 of the value.
            exact = name in ("slice", "method", "preset", "views", "data_range_hu")
            assert getattr(found, name) == (value if exact else pytest.approx(value, rel=5.1e-6, abs=0))
    first = path.read_bytes()
    write_results_csv(path, back)
    assert path.read_bytes() == first


def test_infinite_and_missing_figures_survive(tmp_path: Path) -> None:
    write_results_csv(tmp_path / "r.csv", [replace(ROW, psnr_db=math.inf, residual_ratio=math.nan)])
    (back,) = read_results_csv(tmp_path / "r.csv")
    assert back.psnr_db == math.inf
    assert math.isnan(back.residual_ratio)


def test_a_table_saved_again_by_a_spreadsheet_is_read(tmp_path: Path) -> None:
    write_results_csv(tmp_path / "r.csv", [ROW])
    (tmp_path / "r.csv").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "r.csv").read_bytes())
    assert read_results_csv(tmp_path / "r.csv") == [ROW]


def test_a_failed_write_leaves_the_old_table_alone(tmp_path: Path) -> None:
    write_results_csv(tmp_path / "r.csv", [ROW])
    before = (tmp_path / "r.csv").read_bytes()
    with pytest.raises(OutputError, match="r.csv"):
        write_results_csv(tmp_path / "r.csv", [ROW, replace(ROW, slice="\ud800")])  # no UTF-8 for half a pair
    assert (tmp_path / "r.csv").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["r.csv"]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="nowhere"):
        write_results_csv(tmp_path / "nowhere" / "r.csv", [ROW])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "an empty file"),
        (HEADER.replace("ssim", "SSIM") + "\n", "expected the header"),
        (HEADER + "\na,tv,default,25\n", "row 1: expected 10 cells, found 4"),
        (HEADER + "\na,tv,default,25.5,1,1,1,1,1,1\n", "row 1: views is '25.5'"),
        (HEADER + "\na,tv,default,25,1,1,1,1,1,1\nb,tv,default,25,1,1,good,1,1,1\n", "row 2: ssim is 'good'"),
        (HEADER + "\n\ud800", "cannot read"),
    ],
)
def test_what_is_no_table_is_refused_with_the_place(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "r.csv").write_text(text, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(CTResampleError, match=message):
        read_results_csv(tmp_path / "r.csv")


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(CTResampleError, match="none.csv"):
        read_results_csv(tmp_path / "none.csv")


def test_summary_by_hand() -> None:
    table = [
        replace(ROW, views=50, method="fbp"),
        replace(ROW, psnr_db=30.0, rmse_hu=50.0),
        replace(ROW, method="fbp", psnr_db=20.0),
        replace(ROW, slice="b", psnr_db=34.0, rmse_hu=60.0),
        replace(ROW, preset="strong"),
    ]
    summary = summarise(table)
    assert [(s.views, s.method, s.preset, s.n) for s in summary] == [
        (25, "tv", "default", 2),
        (25, "fbp", "default", 1),
        (25, "tv", "strong", 1),
        (50, "fbp", "default", 1),
    ]
    assert (summary[0].psnr_db.mean, summary[0].psnr_db.sd) == pytest.approx((32, math.sqrt(8)))
    assert (summary[0].rmse_hu.mean, summary[0].rmse_hu.sd) == pytest.approx((55, math.sqrt(50)))
    assert summary[1].psnr_db.mean == 20
    assert math.isnan(summary[1].psnr_db.sd)
    assert summary[0].data_range_hu == 3000


def test_summary_with_a_perfect_slice_has_no_spread() -> None:
    (summary,) = summarise([ROW, replace(ROW, psnr_db=math.inf)])
    assert summary.psnr_db.mean == math.inf
    assert math.isnan(summary.psnr_db.sd)


def test_data_ranges_are_not_mixed() -> None:
    with pytest.raises(CTResampleError, match=r"\[2000.0, 3000.0\]"):
        summarise([ROW, replace(ROW, data_range_hu=2000.0)])


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("psnr_db", [30.0, 31.0, 29.0], [False, True, False]),
        ("psnr_db", [30.0, math.inf], [False, True]),
        ("ssim", [0.8, 0.9, math.nan], [False, True, False]),
        ("ssim", [0.90001, 0.90004, 0.8], [True, True, False]),  # both read 0.900
        ("rmse_hu", [50.0, 40.0, 60.0], [False, True, False]),
        ("residual_ratio", [0.4, 2.0, 0.6], [False, False, True]),  # 0.6 is a factor 1.7 off, 2.0 a factor 2
        ("residual_ratio", [0.0, 9.0], [False, True]),
        ("seconds", [2.0, 1.0], [False, True]),
        ("seconds", [2.0], [False]),
        ("psnr_db", [math.nan, math.nan], [False, False]),
    ],
)
def test_the_best_of_a_column(name: str, values: list[float], expected: list[bool]) -> None:
    assert FIGURE[name].best_of(values) == expected


def test_the_best_is_sought_among_equal_numbers_of_views() -> None:
    table = [
        replace(ROW, method=method, views=views, psnr_db=psnr)
        for method, views, psnr in [("fbp", 25, 20.0), ("tv", 25, 25.0), ("fbp", 50, 30.0), ("tv", 50, 29.0)]
    ]
    assert best_rows(summarise(table), FIGURE["psnr_db"]) == [False, True, True, False]


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
