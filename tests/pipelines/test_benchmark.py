"""Scanning known slices, reconstructing and scoring them."""

import numpy as np
import pytest

from ctresample.errors import UsageError
from ctresample.pipelines import benchmark as module
from ctresample.pipelines.benchmark import benchmark
from ctresample.pipelines.benchmark_results import BenchmarkResults
from ctresample.pipelines.benchmark_runs import Run, Scan, runs_of
from ctresample.pipelines.results_table import read_results_csv
from ctresample.regrid import to_square_grid
from ctresample.volume import Volume

FBP, CGLS = Run("fbp"), Run("cgls")


def disk(radius: float = 10, pixel_mm: float = 8.0, hu: float = 0.0, air: float = -1000.0) -> Volume:
    """One 32 x 32 slice with a disk in it."""
    y, x = np.mgrid[:32, :32] - 15.5
    image = np.where(np.hypot(x, y) < radius, hu, air).astype(np.float32)
    affine = np.diag([pixel_mm, pixel_mm, 2.0, 1.0])
    affine[:3, 3] = -100, -90, radius
    return Volume(image[None], affine, ({"00080018": {"vr": "UI", "Value": [f"1.2.{radius}"]}},))


def run(volumes, runs=(FBP,), views=(9,), **options):
    scan = options.pop("scan", Scan(size=16, photons=1e4))
    return list(benchmark(volumes, runs=runs, views=views, scan=scan, **options))


def test_every_slice_run_and_view():
    volumes = [disk(10), disk(11, pixel_mm=9), disk(12)]
    outcomes = run(volumes, (FBP, CGLS), (7, 9))
    found = {(o.index, o.run, o.row.views) for o in outcomes}
    assert len(outcomes) == len(found) == 12
    for outcome in outcomes:
        source = to_square_grid(volumes[outcome.index], 16)
        assert outcome.row.slice == f"slice-00{outcome.index + 1}"
        assert outcome.image.headers == source.headers
        np.testing.assert_array_equal(outcome.image.affine, source.affine)
        np.testing.assert_array_equal(outcome.truth_hu, source.hu[0])
        assert outcome.row.rmse_hu == pytest.approx(np.sqrt(np.mean((outcome.image.hu[0] - source.hu[0]) ** 2)))
        assert outcome.row.residual_ratio > 0
        assert outcome.row.seconds > 0


def test_what_lies_below_air_is_air():
    (padded,), (plain,) = run([disk(air=-2048)]), run([disk()])
    # the disk's edge pixels are means of both values, so only what is all air agrees
    assert padded.truth_hu.min() == plain.truth_hu.min() == -1000


def test_slices_of_one_geometry_share_a_scan(monkeypatch):
    scanned = []

    def spy(volume, **options):
        scanned.append((len(volume.hu), options["seed"]))
        return simulate(volume, **options)

    simulate = module.simulate
    monkeypatch.setattr(module, "simulate", spy)
    monkeypatch.setattr(module, "GROUP", 2)
    run([disk(9), disk(10, pixel_mm=9), disk(11), disk(12)])
    assert [count for count, _ in scanned] == [2, 1, 1]
    assert scanned[0][1] == 0
    assert len({seed for _, seed in scanned}) == 3  # or two slices would have the same noise


def test_equal_slices_have_their_own_noise():
    first, second = run([disk(), disk()])
    assert np.abs(first.image.hu - second.image.hu).max() > 1


def test_progress_never_goes_back():
    told = []
    run([disk(9), disk(10, pixel_mm=9)], (FBP, CGLS), progress=lambda fraction, step: told.append((fraction, step)))
    fractions = [fraction for fraction, _ in told]
    assert fractions[0] == 0
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1)
    assert told[-1][1] == "cgls, 1 slice, 9 views"


def test_volumes_of_several_slices_are_refused():
    volume = disk()
    with pytest.raises(UsageError, match="one by one"):
        run([Volume(np.repeat(volume.hu, 2, axis=0), volume.affine)])


def test_runs_of():
    assert runs_of(["fbp", "resample", "fbp"], ["fast", "paper"]) == [
        FBP,
        Run("resample", "fast"),
        Run("resample", "paper"),
    ]
    assert [one.label for one in runs_of(["tv", "resample"])] == ["tv", "resample fast"]
    assert all(one.cost > 0 for one in runs_of(["resample", "fbp", "sirt", "cgls", "tv"], ["fast", "paper"]))
    for methods, presets in ((["art"], ["fast"]), (["tv"], ["slow"])):
        with pytest.raises(UsageError, match="expected one of"):
            runs_of(methods, presets)


def test_results(tmp_path):
    results = BenchmarkResults(n_pictured=1)
    outcomes = run([disk(9), disk(10, pixel_mm=9), disk(11)], (FBP, CGLS), (9, 7))
    for outcome in outcomes:
        results.add(outcome)
    results.write(tmp_path, title="A title", facts={"Views": "7, 9"})
    rows = read_results_csv(tmp_path / "results.csv")
    assert [(row.views, row.slice, row.method) for row in rows] == [
        (views, f"slice-00{n}", method) for views in (7, 9) for n in (1, 2, 3) for method in ("fbp", "cgls")
    ]
    html = (tmp_path / "report.html").read_text()
    assert "slice-001, 7 views" in html
    assert "slice-002" not in html
