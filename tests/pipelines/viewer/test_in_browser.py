"""The viewer in a real browser: a report opens without a complaint, and its controls change what is seen."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctresample.pipelines.benchmark.report import write_report
from ctresample.pipelines.benchmark.slice_images import SliceImages
from ctresample.pipelines.benchmark.summary import summarise
from ctresample.pipelines.viewer.embed import embed
from ctresample.pipelines.viewer.scene import Layer, Scene
from ctresample.result import ResultRow

pytestmark = pytest.mark.browser

HASH = """(canvas) => {
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return data.reduce((sum, value, k) => (sum * 31 + value * (k % 4 + 1)) | 0, 7);
}"""
"""Of what a canvas shows."""


def body(n: int, value: float) -> np.ndarray:
    y, x = np.mgrid[:n, :n] - n / 2
    return np.where(x**2 + y**2 < (0.4 * n) ** 2, value, -1000.0)


@pytest.fixture(scope="module")
def benchmark_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    what = {"condition": "25 views", "views": 25, "seed": 0, "patient": 0, "preset": "", "data_range_hu": 3000.0}
    rows, images = [], {}
    for k in range(3):
        truth = body(64, 40.0)
        tv = truth + 3.0
        tv[30:40, 20:30] += 60.0 * (k + 1)
        images[f"s{k}"] = SliceImages(truth, {"fbp": truth + 30.0 * (k + 1), "tv": tv}, "25 views")
        rows += [ResultRow(slice=f"s{k}", method=method, **what) for method in ("fbp", "tv")]
    path = tmp_path_factory.mktemp("page") / "report.html"
    summary = summarise(rows, baseline="", generator=np.random.default_rng(0))
    write_report(path, title="Three slices", facts={"Views": "25"}, summary=summary, images=images)
    return path


def settled(page: Any) -> list[int]:
    """Hashes of all canvases, once a frame has been drawn."""
    page.wait_for_selector(".viewer:not([hidden]) [data-part=panels] canvas")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return [canvas.evaluate(HASH) for canvas in page.query_selector_all("[data-part=panels] canvas")]


def captions(page: Any) -> list[str]:
    return [re.sub(r"\\s+", " ", one.inner_text()) for one in page.query_selector_all("[data-part=panels] figcaption")]


def test_it_opens_with_all_methods_and_their_values(benchmark_page: Path, open_page: Any) -> None:
    with open_page(benchmark_page) as page:
        pictures = settled(page)
        assert len(pictures) == 3 == len(set(pictures))
        assert [text.split("\n")[0] for text in captions(page)] == ["Truth", "fbp", "tv"]
        # the slice in the middle by error is first: the second; the crosshair is in its middle
        assert "s1 (2 of 3)" in page.inner_text("[data-part=name]")
        assert [text.split("\n")[-1] for text in captions(page)] == ["40 HU", "100 HU", "43 HU"]


def test_window_overlay_and_slice_change_the_picture(benchmark_page: Path, open_page: Any) -> None:
    with open_page(benchmark_page) as page:
        before = settled(page)
        page.select_option("[data-part=window]", "lung")
        lung = settled(page)
        assert all(one != other for one, other in zip(before, lung, strict=True))
        assert page.input_value("[data-part=level]") == "-600"
        page.select_option("[data-part=window]", "soft tissue")
        assert settled(page) == before
        page.select_option("[data-part=overlay]", "difference")
        over = settled(page)
        assert over[0] == before[0]  # the truth
        assert over[1] != before[1]
        assert "+60 HU" in captions(page)[1]
        page.select_option("[data-part=overlay]", "")
        page.focus("[data-part=stage]")
        page.keyboard.press("PageDown")
        assert settled(page)[2] != before[2]
        assert "s2 (3 of 3)" in page.inner_text("[data-part=name]")


def test_worst_and_best_are_found(benchmark_page: Path, open_page: Any) -> None:
    with open_page(benchmark_page) as page:
        settled(page)
        for choice, name in (("worst slice of tv", "s2"), ("best slice of fbp", "s0"), ("worst region of tv", "s2")):
            page.select_option("[data-part=goto]", label=choice)
            settled(page)
            assert page.inner_text("[data-part=name]").startswith(name)
        assert "223 HU" in captions(page)[2]  # the crosshair is in the region


def test_blink_and_slider_show_two_in_one_place(benchmark_page: Path, open_page: Any) -> None:
    with open_page(benchmark_page) as page:
        truth, fbp, tv = settled(page)
        page.emulate_media(reduced_motion="reduce")  # swaps by key only
        page.select_option("[data-part=mode]", "blink")
        first = settled(page)
        page.focus("[data-part=stage]")
        page.keyboard.press("Space")
        second = settled(page)
        assert len(first) == len(second) == 1
        assert first != second
        page.keyboard.press("Space")
        assert settled(page) == first
        page.select_option("[data-part=mode]", "slider")
        middle = settled(page)
        page.fill("[data-part=split]", "100")
        assert settled(page) != middle
        assert captions(page)[0].startswith("Truth | tv")


def test_the_mouse_draws_a_profile_and_zooms(benchmark_page: Path, open_page: Any) -> None:
    with open_page(benchmark_page) as page:
        before = settled(page)
        box = page.query_selector("[data-part=panels] canvas").bounding_box()
        middle = box["y"] + box["height"] / 2
        page.keyboard.down("Shift")
        page.mouse.move(box["x"] + 10, middle)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] - 10, middle)
        page.mouse.up()
        page.keyboard.up("Shift")
        settled(page)
        assert "\u22121000 HU to 163 HU" in page.inner_text("[data-part=profile] figcaption")
        page.focus("[data-part=stage]")
        page.keyboard.press("+")
        assert settled(page)[1] != before[1]


def test_a_phone_needs_no_sideways_scrolling(benchmark_page: Path, open_page: Any) -> None:
    with open_page(benchmark_page, width=400, height=800) as page:
        settled(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        boxes = [canvas.bounding_box() for canvas in page.query_selector_all("canvas:visible")]
        assert max(box["x"] + box["width"] for box in boxes) <= 400


def test_every_control_has_a_name(benchmark_page: Path, open_page: Any) -> None:
    with open_page(benchmark_page) as page:
        settled(page)
        nameless = page.evaluate(
            """() => [...document.querySelectorAll("select, input, button, [role=img], [role=group]")].filter((one) =>
            !one.getAttribute("aria-label") && !one.textContent.trim() && !(one.closest("label") || {}).innerText)
            .map((one) => one.outerHTML)"""
        )
        assert nameless == []


def test_print_shows_the_pictures_without_the_viewer(benchmark_page: Path, open_page: Any) -> None:
    with open_page(benchmark_page) as page:
        settled(page)
        page.emulate_media(media="print")
        assert not page.is_visible(".viewer")
        assert all(one.is_visible() for one in page.query_selector_all(".pictures img"))


def test_a_volume_has_three_planes(tmp_path: Path, open_page: Any) -> None:
    hu = np.zeros((4, 24, 16), np.float32)
    hu[3, 5, 2] = 700.0
    scene = Scene([Layer("tv", hu, "image")], list("abcd"), voxel_mm=(3.0, 1.0, 1.0))
    embedded = embed(scene)
    page_file = tmp_path / "page.html"
    page_file.write_text(
        f'<!DOCTYPE html><meta http-equiv="Content-Security-Policy" content="{embedded.policy}">'
        f"{embedded.html}<script>{embedded.script}</script>",
        encoding="utf-8",
    )
    with open_page(page_file) as page:
        settled(page)
        page.select_option("[data-part=plane]", "all")
        assert len(set(settled(page))) == 3
        assert [text.split("\n")[0] for text in captions(page)] == ["tv, axial", "tv, coronal", "tv, sagittal"]
        # the bright voxel lies up in the coronal plane, for the last slice is nearest to the head
        coronal = page.query_selector_all("[data-part=panels] canvas")[1].bounding_box()
        scale = coronal["width"] / 16
        page.mouse.move(coronal["x"] + 2.5 * scale, coronal["y"] + coronal["height"] / 2 - 1.5 * 3 * scale)
        settled(page)
        page.keyboard.press("Tab")
        page.focus("[data-part=stage]")
        for _ in range(12 - 5):  # from the middle row up to the fifth
            page.keyboard.press("ArrowUp")
        settled(page)
        assert all("700 HU" in text for text in captions(page))
