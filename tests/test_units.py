"""Hounsfield units, attenuation and the model's range."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ctresample.errors import UsageError
from ctresample.units import (
    AIR_HU,
    MU_WATER_PER_MM,
    WINDOWS,
    check_hu_range,
    hu_to_model,
    hu_to_mu,
    model_to_hu,
    mu_to_hu,
)

HU = st.floats(-1100, 4000)
MU_WATER = st.floats(0.01, 0.05)
HU_RANGE = st.tuples(st.floats(-3000, 0), st.floats(1, 5000))


def test_air_water_and_a_dense_bone():
    assert hu_to_mu(AIR_HU) == 0
    assert hu_to_mu(0.0) == pytest.approx(MU_WATER_PER_MM, rel=1e-12)
    assert hu_to_mu(1000.0, mu_water_per_mm=0.02) == pytest.approx(0.04, rel=1e-12)


def test_water_is_that_of_a_120_kv_beam():
    assert 0.018 < MU_WATER_PER_MM < 0.021


@given(hu=HU, mu_water=MU_WATER)
def test_attenuation_and_back(hu, mu_water):
    assert mu_to_hu(hu_to_mu(hu, mu_water), mu_water) == pytest.approx(hu, abs=1e-8)


@given(hu=HU, hu_range=HU_RANGE)
def test_model_range_and_back(hu, hu_range):
    assert model_to_hu(hu_to_model(hu, hu_range), hu_range) == pytest.approx(hu, abs=1e-6)


@given(hu_range=HU_RANGE)
def test_model_range_ends_at_minus_one_and_one(hu_range):
    low, high = hu_range
    assert hu_to_model(low, hu_range) == pytest.approx(-1)
    assert hu_to_model(high, hu_range) == pytest.approx(1)


def test_nothing_is_clipped():
    assert hu_to_mu(-2000.0) < 0
    assert hu_to_model(3000.0, (-1000.0, 2000.0)) > 1


@pytest.mark.parametrize("make", [np.float32, lambda v: np.array(v, np.float32), lambda v: torch.tensor(v)])
def test_arrays_keep_their_precision(make):
    hu = make([-1000.0, 0.0, 40.0]) if make is not np.float32 else make(40.0)
    back = model_to_hu(hu_to_model(mu_to_hu(hu_to_mu(hu)), (-1000.0, 2000.0)), (-1000.0, 2000.0))
    assert type(back) is type(hu)
    assert back.dtype == hu.dtype
    assert np.allclose(np.asarray(back), np.asarray(hu), atol=1e-3)


@pytest.mark.parametrize("hu_range", [(0.0, 0.0), (100.0, -100.0), (float("nan"), 1.0)])
def test_no_range(hu_range):
    for refuse in (check_hu_range, lambda r: hu_to_model(0.0, r), lambda r: model_to_hu(0.0, r)):
        with pytest.raises(UsageError, match="low < high"):
            refuse(hu_range)


def test_windows_show_something():
    assert all(width > 0 for _, width in WINDOWS.values())
    level, width = WINDOWS["soft tissue"]
    assert level - width / 2 < 0 < level + width / 2  # water is neither black nor white
