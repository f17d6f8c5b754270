"""The report: what it must say, that it needs nothing outside itself, and that its pictures are right."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ctresample.errors import CTResampleError, GeometryError, OutputError, UsageError
from ctresample.pipelines.benchmark.report import OPEN_SLICES, write_report
from ctresample.pipelines.benchmark.slice_images import SliceImages
from ctresample.pipelines.benchmark.summary import summarise
from ctresample.pipelines.viewer.zoom import Zoom
from ctresample.result import ResultRow

FBP = ResultRow(
    condition="25 views",
    views=25,
    seed=0,
    slice="s1",
    patient=0,
    method="fbp",
    preset="default",
    psnr_db=24.0,
    data_range_hu=3000.0,
    ssim=0.41,
    rmse_hu=189.3,
    soft_tissue_rmse_hu=150.0,
    residual_ratio=2.5,
    seconds=0.1,
)
TV = replace(
    FBP, method="tv", psnr_db=31.0, ssim=0.87, rmse_hu=84.6, soft_tissue_rmse_hu=80.0, residual_ratio=1.1, seconds=3.0
)
ROWS = [FBP, replace(FBP, slice="s2", psnr_db=26.0), TV, replace(TV, slice="s2", psnr_db=34.0)]
FACTS = {"Photons": "100 000", "Weights (SHA-256)": "9f2c41d0"}


class Page(HTMLParser):
    """Tags with their attributes, and the text as a reader sees it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.best: list[str] = []
        self._in_style = self._in_best = False
        self.feed(self.source)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in_style = tag in ("style", "script")
        self._in_best = tag == "td" and dict(attrs).get("class") == "mean best"

    def handle_endtag(self, tag: str) -> None:
        self._in_style = self._in_best = False

    def handle_data(self, data: str) -> None:
        if not self._in_style:
            self.words.append(data)
        if self._in_best:
            self.best.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]

    def picture(self, alt: str) -> Image.Image:
        (source,) = {image["src"] for image in self.all("img") if image["alt"] == alt}
        assert source is not None
        return Image.open(io.BytesIO(base64.b64decode(source.removeprefix("data:image/png;base64,"), validate=True)))


def phantom(n: int = 32) -> np.ndarray:
    y, x = np.mgrid[:n, :n] - n / 2
    return np.where(x**2 + y**2 < (0.4 * n) ** 2, 40.0, -1000.0)


def slice_images(n: int = 32) -> SliceImages:
    truth = phantom(n)
    return SliceImages(truth, {"FBP": truth + 30.0, "TV": truth + 3.0}, "25 views", Zoom(8, 4, 6))


def report(tmp_path: Path, **changes: Any) -> Page:
    arguments: dict[str, Any] = {"title": "Benchmark", "facts": FACTS, "images": {"s1": slice_images()}}
    rows = changes.pop("rows", ROWS)
    summary = summarise(rows, baseline=changes.get("baseline", ""), generator=np.random.default_rng(0))
    write_report(tmp_path / "report.html", summary=summary, **(arguments | changes))
    return Page(tmp_path / "report.html")


def test_it_says_what_it_must(tmp_path: Path) -> None:
    page = report(tmp_path)
    assert page.source.startswith("<!DOCTYPE html>")
    for sentence in (
        "Benchmark",
        "Research use only, not for diagnosis.",
        "What the prior made up cannot be told from measured anatomy",
        "Photons 100 000",
        "Weights (SHA-256) 9f2c41d0",
        "25 views",
        "data range of 3000 HU",
        "level 40, width 400 HU",
        "level −600, width 1500 HU",
        "−200 0 +200",
    ):
        assert sentence in page.text
    # mean and sample deviation of 24 and 26, of 31 and 34
    assert "fbp default 2 25.00 ± 1.41 0.410 ± 0.000" in page.text
    assert "tv default 2 32.50 ± 2.12 0.870 ± 0.000" in page.text


def test_captions_are_the_figures_of_that_slice_and_method(tmp_path: Path) -> None:
    # An error of 30 HU everywhere is 40 dB over 3000 HU, of 3 HU 60 dB; SSIM is tested elsewhere.
    page = report(tmp_path)
    assert "FBP PSNR dB 40.00 SSIM" in page.text
    assert "RMSE HU 30.0 TV PSNR dB 60.00 SSIM" in page.text
    assert "RMSE HU 3.0" in page.text


def test_the_best_of_each_column_is_marked(tmp_path: Path) -> None:
    assert report(tmp_path).best == [
        "32.50",
        "0.870",
        "84.6",
        "80.0",
        "1.10",
    ]  # TV; FBP is the faster, which is no merit


def test_it_needs_nothing_outside_itself(tmp_path: Path) -> None:
    page = report(tmp_path)
    assert {tag for tag, _ in page.tags}.isdisjoint({"link", "iframe", "object", "embed", "base", "a"})
    assert all((image["src"] or "").startswith("data:image/png;base64,") for image in page.all("img"))
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    values = ("application/json", "application/octet-stream")  # nothing that a browser runs
    assert [script.get("type") for script in page.all("script") if script.get("type") not in values] == [None]
    assert not any(mark in page.source.lower() for mark in ("http:", "https:", "url(", "@import", "srcset", "file:"))
    (policy,) = (meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    program = re.search(r"<script>(.*?)</script>", page.source, re.DOTALL)
    assert program is not None
    digest = base64.b64encode(hashlib.sha256(program[1].encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )


def test_names_are_text_and_never_markup(tmp_path: Path) -> None:
    evil = "<script>alert('x')</script>\" onload=\"alert(1)"
    images = replace(slice_images(), by_method={evil: phantom()})
    page = report(
        tmp_path, title=evil, facts={evil: evil}, rows=[replace(FBP, method=evil, preset=evil)], images={evil: images}
    )
    assert "<script>alert" not in page.source
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert (
        page.text.count("<script>alert('x')</script>") == 8 + 6
    )  # tab, heading, fact twice, two cells, slice, column; in the viewer's lists and boxes
    assert any(image["alt"] == f"{evil} minus truth" for image in page.all("img"))


def test_windows_map_hu_to_grey(tmp_path: Path) -> None:
    truth = phantom(16)
    truth[0, :5] = [-160, 40, 240, 3000, -1024]
    truth[1, :3] = [-1350, -600, 150]
    page = report(tmp_path, images={"s1": SliceImages(truth, {"TV": truth}, "25 views")})
    soft, lung = page.picture("Truth, soft tissue window"), page.picture("Truth, lung window")
    assert np.asarray(soft)[0, :5].tolist() == [0, 128, 255, 255, 0]
    assert np.asarray(lung)[1, :3].tolist() == [0, 128, 255]


@pytest.mark.parametrize("kind", [np.float32, np.int16])
def test_differences_are_blue_below_white_at_and_red_above(tmp_path: Path, kind: type[np.generic]) -> None:
    truth = np.full((16, 16), -20000).astype(kind)
    image = truth.copy()
    image[0, :4] += np.array([-200, 200, -150, 150]).astype(kind)
    image[1, 0] = 20000  # 40000 HU off: wraps around in 16 bits
    page = report(tmp_path, images={"s1": SliceImages(truth, {"TV": image}, "25 views")})
    colours = np.asarray(page.picture("TV minus truth").convert("RGB")).astype(int)
    assert colours[5, 5].min() > 240
    assert np.ptp(colours[5, 5]) < 5
    for column, strong, weak in ((0, 2, 0), (1, 0, 2), (2, 2, 0), (3, 0, 2)):
        assert colours[0, column, strong] > colours[0, column, weak] + 60
    assert colours[1, 0].tolist() == colours[0, 1].tolist()
    bar = np.asarray(page.picture("Colour bar from blue over white to red").convert("RGB")).astype(int)
    assert (bar[0, 0].tolist(), bar[0, -1].tolist()) == (colours[0, 0].tolist(), colours[0, 1].tolist())


def test_pictures_are_of_one_size_and_carry_nothing_but_pixels(tmp_path: Path) -> None:
    page = report(tmp_path)
    alts = [image["alt"] or "" for image in page.all("img") if "Colour bar" not in (image["alt"] or "")]
    assert len(alts) == len(set(alts)) == 3 + 3 + 3 + 2  # two windows and a part of truth and methods, two differences
    for alt in alts:
        picture = page.picture(alt)
        assert picture.size == ((6, 6) if "enlarged" in alt else (32, 32))
        assert picture.info == {}


def test_the_part_in_the_frame_is_the_part_that_is_enlarged(tmp_path: Path) -> None:
    truth = np.linspace(-160, 240, 32 * 32).reshape(32, 32)
    images = SliceImages(truth, {"TV": truth + 50}, "25 views", Zoom(8, 4, 6))
    page = report(tmp_path, images={"s1": images})
    for name in ("Truth", "TV"):
        whole, part = page.picture(f"{name}, soft tissue window"), page.picture(f"{name}, enlarged part")
        np.testing.assert_array_equal(np.asarray(part), np.asarray(whole)[8:14, 4:10])
    styles = [frame["style"] for frame in page.all("i")]
    assert styles == ["left: 12.50%; top: 25.00%; width: 18.75%; height: 18.75%"] * 2  # in one window only
    assert "6 × 6 pixels from row 8, column 4" in page.text


def test_differences_and_failures_are_told(tmp_path: Path) -> None:
    failed = replace(TV, slice="s3", failure="PriorError: diverged")
    page = report(tmp_path, rows=[*ROWS, failed], baseline="fbp default", failures=["tv, s3: PriorError: diverged"])
    assert "Differences to fbp default" in page.text
    assert "tv default +7.50 [+7.00, +8.00] +0.460 [+0.460, +0.460]" in page.text
    assert "Differences to fbp default are paired, with 95 % intervals by bootstrap over slices" in page.text
    assert "Failures tv, s3: PriorError: diverged" in page.text
    assert "Differences" not in report(tmp_path).text


def test_tables_say_what_they_are(tmp_path: Path) -> None:
    page = report(tmp_path, baseline="fbp default")
    assert len(page.all("caption")) == len(page.all("table")) == 2
    assert all(head.get("scope") in {"col", "colgroup", "row", "rowgroup"} for head in page.all("th"))


def test_a_method_that_errs_by_more_has_a_scale_of_its_own(tmp_path: Path) -> None:
    truth = phantom()
    wrong = truth + np.where(np.arange(32) % 2, 450.0, 0.0)
    page = report(tmp_path, images={"s1": SliceImages(truth, {"FBP": wrong, "TV": truth + 3}, "25 views")})
    assert page.text.count("a scale of its own: −500 to +500 HU") == 1
    red = np.asarray(page.picture("FBP minus truth").convert("RGB")).astype(int)[5, 5]
    bar = np.asarray(page.picture("Colour bar from blue over white to red").convert("RGB")).astype(int)
    assert red.tolist() != bar[0, -1].tolist()  # 450 of 500 is not the end of the scale


def test_the_enlarged_part_of_a_lung_is_seen_in_the_lung_window(tmp_path: Path) -> None:
    truth = np.full((32, 32), 40.0)
    truth[8:14, 4:10] = np.linspace(-900, -700, 36).reshape(6, 6)
    page = report(tmp_path, images={"s1": SliceImages(truth, {"TV": truth}, "25 views", Zoom(8, 4, 6))})
    assert "lung window, 6 × 6 pixels" in page.text
    assert len(np.unique(np.asarray(page.picture("Truth, enlarged part")))) > 20


def test_only_the_first_slices_are_unfolded(tmp_path: Path) -> None:
    page = report(tmp_path, images={f"s{i}": slice_images() for i in range(OPEN_SLICES + 2)})
    assert ["open" in attrs for attrs in page.all("details") if attrs.get("class") == "slice"] == [
        True
    ] * OPEN_SLICES + [False] * 2


def test_twelve_slices_of_four_methods_stay_below_fifteen_megabytes(tmp_path: Path) -> None:
    # Noise in every pixel of every picture is the worst case, for noise does not compress.
    draw = np.random.default_rng(0).normal
    truth = phantom(256) + draw(0, 20, (256, 256))
    images = SliceImages(truth, {f"m{sd}": truth + draw(0, sd, truth.shape) for sd in (20, 40, 80, 160)}, "25 views")
    report(tmp_path, images={f"s{i}": images for i in range(12)})
    assert (tmp_path / "report.html").stat().st_size < 15e6


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"rows": []}, UsageError, "at least one row"),
        ({"images": {"s7": replace(slice_images(), zoom=Zoom(30, 0, 6))}}, UsageError, "zoomed region"),
        ({"images": {"s7": SliceImages(phantom(), {}, "25 views")}}, UsageError, "s7"),
        ({"images": {"s7": SliceImages(phantom(), {"TV": phantom(16)}, "25 views")}}, GeometryError, "shape"),
        (
            {"images": {"s7": SliceImages(phantom() * np.nan, {"TV": phantom()}, "25 views")}},
            CTResampleError,
            "not finite",
        ),
    ],
)
def test_what_cannot_be_reported_leaves_the_old_report(
    tmp_path: Path, changes: dict[str, Any], error: type[CTResampleError], message: str
) -> None:
    (tmp_path / "report.html").write_text("old")
    with pytest.raises(error, match=message):
        report(tmp_path, **changes)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("report.html", "old")]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="nowhere"):
        report(tmp_path / "nowhere")


def test_importing_needs_no_heavy_package() -> None:
    code = (
        "import sys, ctresample.metrics, ctresample.result, ctresample.pipelines.benchmark.summary, "
        "ctresample.pipelines.benchmark.table, ctresample.pipelines.benchmark.report\n"
        "print(*{'torch', 'matplotlib', 'rich', 'jinja2', 'skimage', 'PIL'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
