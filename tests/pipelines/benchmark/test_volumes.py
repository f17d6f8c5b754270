"""Benchmarks of volumes: slices of one series together, coupled or not, with flicker."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from ctresample.errors import PriorError, UsageError
from ctresample.metrics import flicker
from ctresample.pipelines.benchmark import trial
from ctresample.pipelines.benchmark.compare import compare
from ctresample.pipelines.benchmark.conditions import Condition
from ctresample.pipelines.benchmark.resumable import run_benchmark
from ctresample.pipelines.benchmark.runs import Run, coupled_runs, runs_of
from ctresample.volume import Volume

RUNS = coupled_runs([Run("fbp"), Run("tv")], ["auto", "none"])
SCAN = Condition(n_views=8, photons=1e5, stagger=4)


def volume(n: int, patient: str = "P", shift: float = 0.0) -> Volume:
    """A head whose bone drifts from slice to slice, 4 mm apart."""
    y, x = np.mgrid[:32, :32] - 15.5
    hu = np.stack([np.where(np.hypot(x, y) < 13, 0.0, -1000.0) for _ in range(n)])
    for k, one in enumerate(hu):
        one[np.hypot(x - shift - k / 2, y) < 3] = 500
    headers = ({"00100020": {"vr": "LO", "Value": [patient]}},) * n
    return Volume(hu.astype(np.float32), np.diag([6.0, 6.0, 4.0, 1.0]), headers)


def run(volumes, runs=RUNS, conditions=(SCAN,), **options):
    return list(compare(volumes, runs=runs, conditions=conditions, size=32, by_volume=True, **options))


def test_volumes_are_coupled_and_flicker():
    volumes = [volume(4), volume(3, "Q", 2.0)]
    outcomes = run(volumes)
    assert len(outcomes) == 3 * 7
    assert [o.row.slice for o in outcomes[:4]] == ["slice-001", "slice-002", "slice-003", "slice-004"]
    assert {o.row.patient for o in outcomes if o.cell.index > 3} == {1}
    for label in ("fbp", "tv", "tv slice by slice"):
        of_it = [o for o in outcomes if o.row.label == label][:4]
        images, truth = np.stack([o.image.hu[0] for o in of_it]), np.stack([o.truth_hu for o in of_it])
        np.testing.assert_array_equal(truth, volumes[0].hu)
        assert of_it[0].row.flicker == pytest.approx(flicker(images[:2], truth[:2]))
        assert of_it[2].row.flicker == pytest.approx(flicker(images[1:], truth[1:]))
    errors = {
        label: np.mean([o.row.rmse_hu for o in outcomes if o.row.label == label]) for label in ("tv", RUNS[2].label)
    }
    assert errors["tv"] < 0.9 * errors["tv slice by slice"]
    assert "staggered by 4" in outcomes[0].row.condition


def test_a_cone_beam_and_a_failure(monkeypatch):
    def fragile(sinogram, **options):
        if options["method"] == "tv":
            raise PriorError("diverged")
        return reconstruct(sinogram, **options)

    reconstruct = trial.reconstruct
    monkeypatch.setattr(trial, "reconstruct", fragile)
    outcomes = run([volume(3)], conditions=[Condition(n_views=8, beam="cone")])
    assert [(o.row.label, o.row.failure) for o in outcomes[2:4]] == [("fbp", ""), ("tv", "PriorError: diverged")]
    assert outcomes[0].row.projections > 0
    assert len(outcomes) == 9


def test_a_benchmark_of_volumes_goes_on_and_shows_planes(tmp_path, monkeypatch):
    volumes = [volume(24), volume(2, "Q")]
    shared = {"runs": RUNS[:2], "conditions": [SCAN], "size": 32, "by_volume": True}
    rows = run_benchmark(tmp_path / "whole", volumes, **shared)
    assert len(rows) == 2 * 26
    page = (tmp_path / "whole" / "report.html").read_text()
    assert "coronal plane of the first volume" in page
    assert "sagittal plane of the first volume" in page
    assert "Flicker" in page
    assert "Flicker" in (tmp_path / "whole" / "results.md").read_text()
    monkeypatch.setattr(trial, "reconstruct", None)  # nothing is left to do
    assert str(run_benchmark(tmp_path / "whole", volumes, **shared)) == str(rows)  # NaN is not equal to itself
    record = json.loads((tmp_path / "whole" / "settings.json").read_text())
    assert record["runs"]["tv"]["z_coupling"] == "auto"


def test_runs_with_couplings():
    made = coupled_runs(runs_of(["fbp", "tv", "resample"], ["fast"]), ["auto", "none", "0.5"])
    assert [(one.label, one.z_coupling) for one in made] == [
        ("fbp", "none"),
        ("tv", "auto"),
        ("tv slice by slice", "none"),
        ("tv coupled by 0.5", "0.5"),
        ("resample fast", "auto"),
        ("resample fast, slice by slice", "none"),
        ("resample fast, coupled by 0.5", "0.5"),
    ]
    assert made[4].load_settings().coupled  # neighbours share their noise
    with pytest.raises(UsageError, match="z_coupling is 'much'"):
        coupled_runs([Run("tv")], ["much"])


@pytest.mark.parametrize(
    ("volumes", "change", "message"),
    [
        ([volume(1), volume(1)], {}, "2 volumes have one slice each"),
        ([volume(2)], {"runs": [replace(RUNS[0], max_slices=1)]}, "fbp is limited to 1 slices"),
        ([volume(2)], {"conditions": [Condition(n_views=8, beam="cone", stagger=2)]}, "stagger is 2, but a cone"),
        ([volume(1)], {"by_volume": False}, "stagger is 4, but slices are compared one by one"),
        ([volume(1)], {"by_volume": False, "conditions": [Condition(n_views=8, beam="cone")]}, "geometry is 'cone'"),
    ],
)
def test_what_cannot_be_compared(volumes, change, message):
    options = {"runs": RUNS, "conditions": [SCAN], "size": 32, "by_volume": True} | change
    with pytest.raises(UsageError, match=message):
        list(compare(volumes, **options))
