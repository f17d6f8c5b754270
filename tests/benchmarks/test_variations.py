"""The scripts around ReSample's settings and rivals, from end to end on phantoms with a prior that knows nothing."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ctresample.errors import OutputError, UsageError
from ctresample.solvers.resample import PRESETS
from ctresample.volume import Volume

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "quality"))
import ablations
import fast_vs_paper
import prior as prior_script
import rivals
import search
import variations

TINY = replace(PRESETS["fast"], n_steps=8, start_level=0.5, cg_iterations=2, final_iterations=3)


@pytest.fixture
def script(monkeypatch, tmp_path, toy_prior):
    """Run a script's main on two slices with 32 pixels: ``script(module, "-o", folder, ...)``."""
    y, x = np.mgrid[:32, :32] - 15.5
    slices = [
        Volume(
            np.where(np.hypot(x, y) < 9 + k, 40.0, -1000.0).astype(np.float32)[None],
            np.diag([8.0, 8.0, 2.0, 1.0]),
            ({"00100020": {"vr": "LO", "Value": [f"P{k}"]}},),
        )
        for k in range(2)
    ]
    monkeypatch.setitem(PRESETS, "fast", TINY)
    monkeypatch.setitem(PRESETS, "paper", replace(TINY, n_steps=12))
    toy_prior.random_prior().save_pretrained(tmp_path / "prior")

    def run(module, *words):
        for place in (module, variations):
            if hasattr(place, "read_ct_slices"):
                monkeypatch.setattr(place, "read_ct_slices", lambda _folder, max_slices=None: slices[:max_slices])
        more = ("--prior", tmp_path / "prior", "--device", "cpu", "--size", "32")
        monkeypatch.setattr(sys, "argv", [module.__name__, str(tmp_path), *map(str, (*words, *more))])
        module.main()

    return run


def test_search(script, tmp_path, capsys):
    out = tmp_path / "search"
    script(search, "-o", out, "--settings", "chains")
    text = capsys.readouterr().out
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        "| fast",
        "| chains=2",
        "| chains=4",
    ]  # 1 is the preset's own
    assert lines[3].count("[") == 6  # six paired differences with intervals
    assert len((out / "results.jsonl").read_text().splitlines()) == 6
    script(search, "-o", out, "--settings", "warm_start")  # added to what is there
    assert "warm_start=cgls" in capsys.readouterr().out
    assert len((out / "results.jsonl").read_text().splitlines()) == 10


def test_search_around_another_preset_of_that_name_is_refused(script, tmp_path, monkeypatch):
    script(search, "-o", tmp_path / "search", "--settings", "chains")
    monkeypatch.setitem(PRESETS, "fast", replace(TINY, spread_scale=3.0))
    with pytest.raises(OutputError, match="another runs resample fast settings spread_scale"):
        script(search, "-o", tmp_path / "search", "--settings", "chains")
    with pytest.raises(UsageError, match="setting is 'speed'"):
        script(search, "-o", tmp_path / "search", "--settings", "speed")


def test_every_value_searched_is_a_setting():
    for name, values in search.VALUES.items():
        for value in values:
            replace(PRESETS["fast"], **{name: value})


def test_ablations(script, tmp_path, capsys):
    out, pictures = tmp_path / "out", tmp_path / "pictures"
    script(ablations, "-o", out, "--figures", pictures, "--only", "stages,resampling", "--slices", "1")
    text = capsys.readouterr().out
    stages, resampling = text.split("### ")[1:]
    points = [line.split(" | ")[0] for line in stages.splitlines() if line.startswith("| ")]
    base = "| fast, frame at rest"  # every point of this one is another
    often = [f"| {name}, every 4" for name in ("pixel only", "pixel, then latent", "latent only")]
    assert points == ["| point", "| ---", base, *often]
    assert [line.rsplit("| ", 1)[1] for line in stages.splitlines() if line.startswith(base)] == ["the base |"]
    assert resampling.count("| the base |") == 1  # which is one of the four points: encoding, plain
    assert sorted(path.name for path in pictures.iterdir()) == [
        "ablation-resampling-paper-25.png",
        "ablation-stages-paper-25.png",
    ]
    with Image.open(pictures / "ablation-stages-paper-25.png") as picture:
        assert picture.width > 600
        assert np.asarray(picture.convert("L")).min() < 100


@pytest.mark.parametrize("preset", PRESETS)
def test_ablations_of_every_preset_are_settings(preset):
    base = replace(PRESETS[preset], moving_frame=False, conditioned=False, rounds=0)
    for points in ablations.ablations_of(base).values():
        for changed in points.values():
            replace(base, **changed)


def test_rivals_and_presets(script, tmp_path, capsys):
    words = ("--methods", "fbp,tv,resample,dds", "--presets", "fast,paper", "--slices-of", "paper=1,psld=4")
    script(rivals, "-o", tmp_path / "rivals", "--draws", "2", *words)
    text = capsys.readouterr().out
    assert "left out: dds needs a pixel prior" in text
    assert "| resample paper | 1 |" in text
    assert "- resample paper: 1 slice only" in text
    script(fast_vs_paper, "-o", tmp_path / "presets")
    assert "times faster than paper" in capsys.readouterr().out
    script(prior_script, "-o", tmp_path / "priors", "--views", "9", "--methods", "fbp")
    text = capsys.readouterr().out
    assert "| resample fast, toy | 2 |" in text
    assert "minus tv" in text
