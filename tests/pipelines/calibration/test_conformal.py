"""Factors that hold for new patients, not only for new pixels of the same ones."""

import numpy as np
import pytest

from ctresample.errors import CalibrationError
from ctresample.pipelines.calibration.conformal import factor_of, fewest_units, quantiles_of, rank_bound


def patients(n: int, generator: np.random.Generator) -> list[np.ndarray]:
    """Errors of pixels that are much alike within a patient."""
    return [np.abs(generator.normal(0, scale, 500)) for scale in generator.lognormal(0, 0.3, n)]


@pytest.mark.parametrize(("coverage", "expected"), [(0.68, 3), (0.8, 4), (0.9, 9), (0.95, 19)])
def test_how_many_units_a_bound_needs(coverage, expected):
    assert fewest_units(coverage) == expected


def test_new_patients_are_covered_on_average():
    generator = np.random.default_rng(0)
    covered = []
    for _ in range(25):
        factor = factor_of([quantiles_of(one) for one in patients(10, generator)], 0.9)
        covered += [np.mean(one <= factor) for one in patients(10, generator)]
    assert np.mean(covered) == pytest.approx(0.9, abs=0.015)


def test_pixels_do_not_count_as_patients():
    """Pooled quantiles of ten patients cover too little of new ones where patients differ much."""
    generator = np.random.default_rng(1)
    units = [quantiles_of(np.abs(generator.normal(0, s, 999))) for s in generator.lognormal(0, 1, 10)]
    assert factor_of(units, 0.9) > np.quantile(np.concatenate(units), 0.9)


def test_every_unit_counts_the_same_whatever_its_size():
    few, many = np.full(10, 1.0), np.full(100_000, 2.0)
    units = [quantiles_of(few)] * 5 + [quantiles_of(many)] * 5
    assert factor_of(units, 0.9) == pytest.approx(2.0)


def test_rank_bound_is_the_conformal_quantile():
    assert rank_bound(list(range(1, 20)), 0.95) == 19
    assert rank_bound(list(range(1, 40)), 0.95) == 38


@pytest.mark.parametrize("call", [factor_of, rank_bound])
def test_too_few_are_refused(call):
    with pytest.raises(CalibrationError, match="8 calibration units give no bound at 90 %; expected 9 patients"):
        call([np.zeros(3)] * 8, 0.9)
