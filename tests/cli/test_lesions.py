"""``ctresample lesions`` from end to end on tiny data."""

import csv
import json

import pytest


@pytest.fixture(scope="module")
def words(make_series, tmp_path_factory):
    place = make_series(tmp_path_factory.mktemp("source"), n=2)
    return ("lesions", place, "--views", "5,9", "--size", 32, "--device", "cpu")


def test_table_record_and_page(cli, words, tmp_path):
    out = tmp_path / "out"
    kinds = ("--diameters", "12,20", "--contrasts", "-200,100", "--shape", "sphere")
    done = cli(*words, "-o", out, *kinds, "--methods", "fbp,cgls")
    assert done.exit_code == 0, done.output
    assert f"{2 * 2 * 2 * 4} lesions" in done.stdout  # methods, scans, slices, kinds
    assert sorted(path.name for path in out.iterdir()) == ["lesions.csv", "lesions.json", "report.html"]
    with (out / "lesions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 32
    record = json.loads((out / "lesions.json").read_text())
    assert len(record["summary"]) == 2 * 2 * 4
    assert len(record["false_lesions"]) == 4
    assert record["facts"]["Lesions"] == "8 spheres in 2 slices of 1 patients"
    for one in record["summary"]:
        mine = [
            float(row["recovered"])
            for row in rows
            if (row["condition"], f"{row['method']} {row['preset']}".strip()) == (one["condition"], one["label"])
            and (float(row["diameter_mm"]), float(row["contrast_hu"])) == (one["diameter_mm"], one["contrast_hu"])
        ]
        assert one["n"] == len(mine) == 2
        assert one["recovered"]["mean"] == pytest.approx(sum(mine) / 2, rel=1e-4)
    page = (out / "report.html").read_text()
    assert page.count("data:image/png;base64") == 2
    for text in (page, (out / "lesions.json").read_text(), (out / "lesions.csv").read_text()):
        assert "Doe" not in text
        assert "20200304" not in text


def test_a_slice_without_room_leaves_status_three(cli, words, make_series, tmp_path):
    """A body of 27 mm."""
    place = make_series(tmp_path / "source", n=1, pixel_mm=1.0)
    done = cli("lesions", place, *words[2:], "-o", tmp_path / "out", "--methods", "fbp", "--diameters", 20)
    assert done.exit_code == 3, done.output
    assert "2 failed; the first: fbp, slice-001: UsageError: no room for lesions" in done.stderr
    assert json.loads((tmp_path / "out" / "lesions.json").read_text())["summary"] == []
    assert "no room" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--diameters", "4,big"), "--diameters is '4,big'; expected numbers"),
        (("--diameters", "0"), "0 mm; expected 1 to"),
        (("--contrasts", "nan"), "--contrasts is 'nan'"),
        (("--contrasts", "0"), "not 0"),
        (("--shape", "cube"), "expected one of disc, sphere"),
        (("--views", "0"), "--views"),
        (("--methods", "art"), "'art'"),
        (("--geometry", "cone"), "slices are compared one by one"),
    ],
)
def test_wrong_usage(cli, words, tmp_path, given, message):
    done = cli(*words, "-o", tmp_path / "out", "--methods", "fbp", *given)
    assert done.exit_code == 2, done.output
    assert message in " ".join(done.stderr.split())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_taken(cli, words, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    done = cli(*words, "-o", tmp_path, "--methods", "fbp")
    assert done.exit_code == 1
    assert "not empty" in done.stderr
