"""The results table: what is written is read back."""

from __future__ import annotations

import errno
import math
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctresample.errors import CTResampleError, OutputError
from ctresample.pipelines.benchmark.table import COLUMNS, read_results_csv, write_results_csv
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
HEADER = ",".join(COLUMNS)

kinds = {"str": st.text().filter(str.isprintable), "int": st.integers(0, 10_000), "float": st.floats(-1e9, 1e9)}
rows = st.builds(ResultRow, **{field.name: kinds[field.type] for field in fields(ResultRow)})


def test_the_file_as_it_is_written(tmp_path: Path) -> None:
    row = replace(ROW, slice="a,b", psnr_db=31.23456789, ssim=0.912345678, failure='no "x"')
    write_results_csv(tmp_path / "r.csv", [row])
    header, line = (tmp_path / "r.csv").read_bytes().decode().splitlines()
    assert header.startswith(
        "condition,views,seed,slice,patient,method,preset,psnr_db,data_range_hu,ssim,rmse_hu,mae_hu"
    )
    assert line.startswith('25 views,25,0,"a,b",0,tv,default,31.2346,3000,0.912346,50,nan,')
    assert line.endswith(',nan,"no ""x"""')


@given(table=st.lists(rows, max_size=4))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, table: list[ResultRow]) -> None:
    path = tmp_path_factory.mktemp("csv") / "r.csv"
    write_results_csv(path, table)
    back = read_results_csv(path)
    assert len(back) == len(table)
    for found, written in zip(back, table, strict=True):
        for name, value in asdict(written).items():
            # Six significant digits are off by half a unit in the last, at most 5e-6 of the value.
            exact = not isinstance(value, float) or name == "data_range_hu"
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
    assert repr(read_results_csv(tmp_path / "r.csv")) == repr([ROW])  # nan is not equal to itself


def test_what_cannot_be_printed_is_escaped(tmp_path: Path) -> None:
    write_results_csv(tmp_path / "r.csv", [replace(ROW, slice="\x1b[2J \ud800")])
    (back,) = read_results_csv(tmp_path / "r.csv")
    assert back.slice == "\\x1b[2J \\ud800"


def test_a_failed_write_leaves_the_old_table_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_results_csv(tmp_path / "r.csv", [ROW])
    before = (tmp_path / "r.csv").read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ctresample.files.os.fsync", full)
    with pytest.raises(OutputError, match="r.csv"):
        write_results_csv(tmp_path / "r.csv", [ROW, replace(ROW, slice="b")])
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
        (HEADER + "\n25 views,25,0,a\n", f"row 1: expected {len(COLUMNS)} cells, found 4"),
        (HEADER + "\nx,25.5" + ",1" * (len(COLUMNS) - 2) + "\n", "row 1: views is '25.5'"),
        (
            HEADER + "\nx" + ",1" * (len(COLUMNS) - 1) + "\nx,1,1,s,1,tv,,good" + ",1" * (len(COLUMNS) - 8),
            "row 2: psnr_db",
        ),
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
