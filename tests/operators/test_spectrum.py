"""Attenuation tables and tube spectra against published values and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctresample.errors import UsageError
from ctresample.operators.spectrum import ALUMINIUM, BONE, WATER, Spectrum


@pytest.mark.parametrize(("energy_kev", "cm2_per_g"), [(25, 0.5082), (35, 0.3075), (70, 0.1929), (90, 0.1766)])
def test_water_between_the_energies_of_the_table(energy_kev, cm2_per_g):
    """XCOM's values; the table has none of these energies."""
    assert float(WATER.mu_per_mm(energy_kev)) == pytest.approx(cm2_per_g / 10, rel=0.002)


@pytest.mark.parametrize(("energy_kev", "cm2_per_g"), [(25, 1.836), (35, 0.7696), (70, 0.2301), (90, 0.1833)])
def test_aluminium_between_the_energies_of_the_table(energy_kev, cm2_per_g):
    assert float(ALUMINIUM.mu_per_mm(energy_kev)) == pytest.approx(0.2699 * cm2_per_g, rel=0.002)


def test_bone_and_water_differ_least_where_compton_scatter_rules():
    ratio = BONE.mu_per_mm([20, 40, 60, 100, 150]) / WATER.mu_per_mm([20, 40, 60, 100, 150])
    assert (np.diff(ratio) < 0).all()
    assert ratio[-1] == pytest.approx(1.92 * 0.98, rel=0.01)  # density and electrons a gram


@given(st.floats(15, 200))
def test_energy_of_an_attenuation(energy_kev):
    assert WATER.energy_kev(float(WATER.mu_per_mm(energy_kev))) == pytest.approx(energy_kev)


@pytest.mark.parametrize("mu", [0.25, 0.001, float("nan")])
def test_attenuation_in_other_units(mu):
    with pytest.raises(UsageError, match="attenuation of water is .* 1/mm; expected"):
        WATER.energy_kev(mu)


def test_spectrum_by_hand():
    """Three bins of 20 keV below 80 kV: 80 - E, without a filter; a filter hardens."""
    bare = Spectrum.of_tube(80, aluminium_mm=0, step_kev=20)
    assert bare.energies_kev == (30, 50, 70)
    assert bare.weights == pytest.approx((50 / 90, 30 / 90, 10 / 90))
    filtered = Spectrum.of_tube(80, aluminium_mm=3, step_kev=20)
    by_hand = np.array([50, 30, 10]) * np.exp(-3 * ALUMINIUM.mu_per_mm([30, 50, 70]))
    assert filtered.weights == pytest.approx(by_hand / by_hand.sum())


def test_weights_are_scaled_to_one():
    assert Spectrum((30.0, 60.0), (1.0, 3.0)).weights == (0.25, 0.75)


@pytest.mark.parametrize(
    ("energies", "weights", "message"),
    [
        ((30.0, 60.0), (1.0,), "one weight an energy"),
        ((), (), "one weight an energy"),
        ((0.03, 0.06), (1.0, 1.0), "expected energies within 15 to 200 keV"),
        ((30.0, float("nan")), (1.0, 1.0), "expected energies within"),
        ((30.0, 60.0), (1.0, -1.0), "shares of the signal"),
        ((30.0, 60.0), (0.0, 0.0), "shares of the signal"),
        ((30.0, 60.0), (1.0, float("nan")), "shares of the signal"),
    ],
)
def test_spectra_that_cannot_be(energies, weights, message):
    with pytest.raises(UsageError, match=message):
        Spectrum(energies, weights)


@pytest.mark.parametrize(
    "changes", [{"kilovolts": 20}, {"kilovolts": 250}, {"aluminium_mm": -1}, {"step_kev": 0}], ids=str
)
def test_tubes_that_cannot_be(changes):
    with pytest.raises(UsageError, match="spectrum of"):
        Spectrum.of_tube(**changes)
