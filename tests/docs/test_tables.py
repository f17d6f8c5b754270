"""Tables in the pages are those of the result files, and a figure changed by hand is found."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tables() -> Any:
    spec = importlib.util.spec_from_file_location("docs_tables", ROOT / "benchmarks" / "docs" / "tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["docs_tables"] = module
    spec.loader.exec_module(module)
    return module


def test_every_page_has_the_tables_of_its_files(tables: Any) -> None:
    texts = {page.name: page.read_text(encoding="utf-8") for page in tables.PAGES}
    assert [name for name, text in texts.items() if tables.with_tables(text) != text] == []
    assert {"README.md", "resample.md"} <= texts.keys()
    assert sum(text.count("<!-- results {") for text in texts.values()) >= 2


def test_a_figure_changed_by_hand_is_found(tables: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "ctresample" / "docs" / "resample.md").read_text(encoding="utf-8")
    before, _, _ = page.partition("35.07 ± 0.70")
    text = page[before.rindex("<!-- results {") :].partition("<!-- end of results -->")
    text = "".join(text[:2]) + "\n"  # that table alone: the page has dozens
    changed = text.replace("35.07 ± 0.70", "36.07 ± 0.70", 1)
    assert changed != text
    (tmp_path / "resample.md").write_text(changed, encoding="utf-8")
    monkeypatch.setattr(tables, "PAGES", [tmp_path / "resample.md"])
    monkeypatch.setattr(sys, "argv", ["tables.py", "--check"])
    with pytest.raises(SystemExit, match=r"stale: resample\.md"):
        tables.main()
    monkeypatch.setattr(sys, "argv", ["tables.py"])
    tables.main()
    assert (tmp_path / "resample.md").read_text(encoding="utf-8") == text


def test_rows_of_a_benchmark(tables: Any, tmp_path: Path) -> None:
    """``results.json``, in which what is not finite is null; rows in the order asked for, scans by their views."""
    row = {"condition": "60 views", "views": 60, "seed": 0, "slice": "s", "patient": 0, "data_range_hu": 3000.0}
    figures = {"ssim": 0.9, "rmse_hu": 50.0, "soft_tissue_rmse_hu": 40.0, "residual_ratio": 1.0, "seconds": None}
    rows = [
        {**row, **figures, "method": method, "preset": "", "psnr_db": psnr}
        for method, psnr in (("tv", 30), ("fbp", 20))
    ]
    rows += [{**one, "condition": "25 views", "views": 25} for one in rows]
    (tmp_path / "results.json").write_text(json.dumps({"rows": rows}), encoding="utf-8")
    wanted = {"file": tmp_path / "results.json", "columns": ["psnr_db", "seconds"], "rows": ["fbp", "tv"]}
    lines = tables.results_table(wanted).splitlines()
    assert lines[0] == "| scan | method | slices | PSNR dB | Seconds |"
    assert [line.split(" | ")[:4] for line in lines[2:]] == [
        [f"| {views} views", method, "1", psnr]
        for views in (25, 60)
        for method, psnr in (("fbp", "20.00"), ("tv", "30.00"))
    ]
    assert lines[2].endswith("| – |")


def test_the_site_names_the_file(tables: Any) -> None:
    part = '<!-- results {"file": "benchmarks/quality/search.jsonl", "columns": []} -->\n<!-- end of results -->'
    assert "From `benchmarks/quality/search.jsonl`" in tables.with_origins(part)


def test_worst_places_that_maps_mark(tables: Any, tmp_path: Path) -> None:
    """The threshold marks nine in ten of the validation places; of the body, what the percentiles say."""
    row = {"preset": "draft", "views": 25, "slice": 0, "percentiles": {"difference": list(range(0, 202, 4))}}
    ten = {"difference": [20.0, *range(50, 140, 10)]}
    rows = [
        {**row, "set": "validation", "places": 10, "at_places": ten},
        {**row, "set": "test", "places": 2, "at_places": {"difference": [30.0, 45.0]}},
    ]
    (tmp_path / "places.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    lines = tables.results_table({"of": "worst places", "file": tmp_path / "places.jsonl"}).splitlines()
    assert lines[2] == "| draft, 25 views | difference | 20 | 10 of 10 | 90 % | 2 of 2 | 90 % |"
    assert lines[3] == "| draft, 25 views | difference | 40 | 9 of 10 | 80 % | 1 of 2 | 80 % |"
