"""Task measures of the phantom: what a linear method must give, and what a nonlinear one does."""

import csv
import json
import math

import pytest

from ctresample.pipelines.benchmark import tasks as module
from ctresample.pipelines.benchmark.conditions import Condition
from ctresample.pipelines.benchmark.runs import Run
from ctresample.pipelines.benchmark.task_table import write_tasks
from ctresample.pipelines.benchmark.tasks import measure_tasks

SCAN = Condition(n_views=90, photons=3e4)


def test_a_linear_method_has_one_transfer_function_and_does_not_beat_the_ideal_observer():
    rows = measure_tasks(runs=[Run("fbp")], conditions=[SCAN], size=96)
    assert [row.contrast_hu for row in rows] == list(module.RODS_HU)
    assert rows[1].ttf50_per_mm == pytest.approx(rows[2].ttf50_per_mm, rel=0.05)
    for row in rows:
        assert 0.05 < row.ttf50_per_mm < row.ttf10_per_mm <= 0.5 / (256 / 96)
        assert 0.2 * row.ideal < row.detectability < row.ideal


def test_small_contrasts_are_smoothed_away_by_total_variation(monkeypatch):
    monkeypatch.setattr(module, "REPEATS", 2)
    rows = measure_tasks(runs=[Run("tv")], conditions=[Condition(n_views=24, photons=1e5)], size=96)
    assert rows[0].ttf50_per_mm < 0.9 * rows[2].ttf50_per_mm


def test_without_noise_there_is_transfer_alone():
    rows = measure_tasks(runs=[Run("fbp")], conditions=[Condition(n_views=40)], size=96)
    assert all(row.ttf50_per_mm > 0 and math.isnan(row.noise_hu + row.detectability) for row in rows)


def test_a_method_that_fails_says_so_and_files_hold_the_rows(monkeypatch, tmp_path):
    def fragile(sinogram, **options):
        if options["method"] == "cgls":
            raise RuntimeError("out of memory")
        return reconstruct(sinogram, **options)

    reconstruct = module.reconstruct
    monkeypatch.setattr(module, "reconstruct", fragile)
    monkeypatch.setattr(module, "REPEATS", 2)
    rows = measure_tasks(runs=[Run("cgls"), Run("fbp")], conditions=[Condition(n_views=20, photons=1e5)], size=96)
    assert [row.failure for row in rows] == ["RuntimeError: out of memory"] * 3 + [""] * 3
    write_tasks(tmp_path, rows)
    with (tmp_path / "tasks.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [float(one["ttf50_per_mm"]) for one in found[3:]] == [
        pytest.approx(r.ttf50_per_mm, rel=1e-4) for r in rows[3:]
    ]
    assert json.loads((tmp_path / "tasks.json").read_text())[0]["noise_hu"] is None
    assert "out of memory" in (tmp_path / "tasks.md").read_text()
