"""Means, deviations and intervals against ones worked out by hand or by other code."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from ctresample.errors import CTResampleError
from ctresample.pipelines.benchmark.differences import cluster_bootstrap
from ctresample.pipelines.benchmark.figures import FIGURES
from ctresample.pipelines.benchmark.summary import best_rows, summarise
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
FIGURE = {figure.name: figure for figure in FIGURES}


def test_summary_by_hand() -> None:
    table = [
        replace(ROW, psnr_db=30.0, rmse_hu=50.0),
        replace(ROW, condition="50 views", views=50, method="fbp"),
        replace(ROW, method="fbp", psnr_db=20.0),
        replace(ROW, slice="b", patient=1, psnr_db=34.0, rmse_hu=60.0),
        replace(ROW, preset="strong"),
        replace(ROW, preset="strong", slice="b", failure="diverged", psnr_db=math.nan, data_range_hu=math.nan),
    ]
    summary = summarise(table)
    assert [(s.condition, s.views, s.method, s.preset, s.n, s.n_patients, s.n_failed) for s in summary] == [
        ("25 views", 25, "tv", "default", 2, 2, 0),
        ("25 views", 25, "fbp", "default", 1, 1, 0),
        ("25 views", 25, "tv", "strong", 1, 1, 1),
        ("50 views", 50, "fbp", "default", 1, 1, 0),
    ]
    psnr, rmse = (summary[0].figures[name] for name in ("psnr_db", "rmse_hu"))
    assert (psnr.mean, psnr.sd) == pytest.approx((32, math.sqrt(8)))
    assert (rmse.mean, rmse.sd) == pytest.approx((55, math.sqrt(50)))
    assert summary[1].figures["psnr_db"].mean == 20
    assert math.isnan(summary[1].figures["psnr_db"].sd)
    assert math.isnan(summary[0].figures["lung_mae_hu"].mean)  # no slice has one
    assert summary[0].data_range_hu == 3000
    assert not summary[0].differences


def test_noise_draws_are_averaged_before_slices() -> None:
    psnr = {("a", 0): 30.0, ("a", 1): 32.0, ("b", 0): 40.0}
    (summary,) = summarise([replace(ROW, slice=name, seed=seed, psnr_db=db) for (name, seed), db in psnr.items()])
    statistic = summary.figures["psnr_db"]
    assert statistic.mean == (31 + 40) / 2
    assert statistic.sd == pytest.approx(9 / math.sqrt(2))
    assert (summary.n, summary.n_seeds) == (2, 2)


def test_empty_regions_are_left_out() -> None:
    (summary,) = summarise([replace(ROW, lung_rmse_hu=10.0), replace(ROW, slice="b")])
    assert summary.figures["lung_rmse_hu"].mean == 10


def test_a_perfect_slice_has_no_spread() -> None:
    (summary,) = summarise([ROW, replace(ROW, slice="b", psnr_db=math.inf)])
    assert summary.figures["psnr_db"].mean == math.inf
    assert math.isnan(summary.figures["psnr_db"].sd)


def test_data_ranges_are_not_mixed() -> None:
    with pytest.raises(CTResampleError, match=r"\[2000.0, 3000.0\]"):
        summarise([ROW, replace(ROW, slice="b", data_range_hu=2000.0)])


def paired_rows(gains: dict[tuple[str, int], list[float]]) -> list[ResultRow]:
    """TV and FBP on slices ``(name, patient)``, a gain of TV over FBP for each noise draw."""
    rng, rows = np.random.default_rng(5), []
    for (name, patient), of_draws in gains.items():
        for seed, gain in enumerate(of_draws):
            base = rng.uniform(10, 40)
            common = replace(ROW, slice=name, patient=patient, seed=seed)
            rows += [replace(common, method="fbp", preset="", psnr_db=base), replace(common, psnr_db=base + gain)]
    return rows


def test_paired_differences_are_those_of_each_slice_and_draw() -> None:
    rows = paired_rows({("a", 0): [1.0, 2.0], ("b", 0): [3.0, 5.0], ("c", 1): [7.0, 7.0]})
    rows.append(replace(ROW, slice="d", psnr_db=99.0))  # FBP has no such slice
    fbp, tv = summarise(rows, baseline="fbp", generator=np.random.default_rng(0))
    assert fbp.differences == {}
    found = tv.differences["psnr_db"]
    assert found.mean == pytest.approx((1.5 + 4 + 7) / 3)
    assert (found.n_slices, found.n_patients) == (3, 2)
    # two patients: both drawn, or one of them twice, with a quarter of the draws each
    assert (found.low, found.high) == pytest.approx((2.75, 7.0))


def test_a_perfect_slice_of_the_baseline_leaves_no_interval() -> None:
    """As FBP has of air alone."""
    rows = paired_rows({("a", 0): [1.0], ("b", 1): [3.0]})
    rows += [replace(ROW, slice="c", patient=2, method=m, psnr_db=db) for m, db in (("fbp", math.inf), ("tv", 60.0))]
    rows = [replace(row, preset="") for row in rows]
    found = summarise(rows, baseline="fbp", generator=np.random.default_rng(0))[1].differences["psnr_db"]
    assert found.mean == -math.inf
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_the_interval_is_that_of_a_plain_bootstrap_over_patients() -> None:
    rng = np.random.default_rng(1)
    patients = np.repeat(np.arange(9), [1, 4, 2, 6, 3, 3, 1, 5, 2])
    values = rng.normal(0, 1, 9)[patients] + rng.normal(0, 0.3, len(patients))
    low, high = cluster_bootstrap(values, patients.tolist(), np.random.default_rng(2))
    means = []
    for _ in range(6000):
        drawn = rng.choice(9, 9)
        means.append(np.concatenate([values[patients == patient] for patient in drawn]).mean())
    expected = np.percentile(means, [2.5, 97.5])
    spread = np.std(means)
    assert abs(low - expected[0]) < 0.1 * spread
    assert abs(high - expected[1]) < 0.1 * spread
    naive = stats.bootstrap((values,), np.mean, method="percentile", rng=np.random.default_rng(0)).confidence_interval
    assert high - low > 1.3 * (naive.high - naive.low)  # slices of one patient are no independent evidence


def test_of_one_patient_slices_are_drawn() -> None:
    values = np.random.default_rng(3).normal(5, 2, 40)
    low, high = cluster_bootstrap(values, [7] * 40, np.random.default_rng(0))
    naive = stats.bootstrap((values,), np.mean, method="percentile", rng=np.random.default_rng(0)).confidence_interval
    assert (low, high) == pytest.approx((naive.low, naive.high), abs=0.05)
    assert all(map(math.isnan, cluster_bootstrap(np.array([1.0]), [0], np.random.default_rng(0))))


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
        ("rmse_hu", [2.0], [False]),
        ("seconds", [2.0, 1.0], [False, False]),  # a price, no merit
        ("psnr_db", [math.nan, math.nan], [False, False]),
    ],
)
def test_the_best_of_a_column(name: str, values: list[float], expected: list[bool]) -> None:
    assert FIGURE[name].best_of(values) == expected


def test_the_best_is_sought_within_a_condition() -> None:
    table = [
        replace(ROW, method=method, condition=f"{views} views", views=views, psnr_db=psnr)
        for method, views, psnr in [("fbp", 25, 20.0), ("tv", 25, 25.0), ("fbp", 50, 30.0), ("tv", 50, 29.0)]
    ]
    assert best_rows(summarise(table), FIGURE["psnr_db"]) == [False, True, True, False]
