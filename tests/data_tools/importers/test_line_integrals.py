"""Beer and Lambert, and rays that nothing came through."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ctresample.data_tools.importers.line_integrals import to_line_integrals
from ctresample.errors import SinogramError

SHAPE = (2, 3, 4)


def convert(readings, quantity, **options):
    notes = []
    found = to_line_integrals(np.array(readings, np.float32), quantity, on_note=notes.append, **options)
    assert found.dtype == np.float32
    return found, notes


@given(hnp.arrays(np.float64, SHAPE, elements=st.floats(-0.5, 6)), st.floats(1e4, 1e6), st.floats(0, 500))
def test_counts(truth, i0, dark):
    found, notes = convert(dark + (i0 - dark) * np.exp(-truth), "counts", flat=i0, dark=dark)
    np.testing.assert_allclose(found, truth, atol=2e-2)  # float32 counts beside a dark field
    assert notes == []


@given(hnp.arrays(np.float64, SHAPE, elements=st.floats(-0.5, 6)))
def test_transmission(truth):
    found, notes = convert(np.exp(-truth), "transmission")
    np.testing.assert_allclose(found, truth, atol=1e-5)
    assert notes == []


def test_fields_of_each_bin():
    flat = np.arange(100.0, 108).reshape(2, 1, 4)
    dark = np.arange(8.0).reshape(2, 1, 4)
    found, _ = convert(np.broadcast_to(dark + (flat - dark) / 4, SHAPE), "counts", flat=flat, dark=dark)
    np.testing.assert_allclose(found, math.log(4), rtol=1e-5)


def test_line_integrals_stay_what_they_are():
    values = np.linspace(-1, 5, 24).reshape(SHAPE)
    assert (convert(values, "line_integral")[0] == values.astype(np.float32)).all()


def test_starved_rays_are_floored_and_counted():
    readings = np.full(SHAPE, 1000.0)
    readings[0, 0, :3] = 10, 3, 10.5  # dark, below dark, half a count
    found, notes = convert(readings, "counts", flat=10_010.0, dark=10.0)
    np.testing.assert_allclose(found[0, 0, :3], math.log(10_000), rtol=1e-6)
    assert notes == ["3 of 24 rays transmit less than one count above dark: floored there before the logarithm"]
    found, notes = convert([[[0.5, 0.0, -0.1, 1e-9]]], "transmission", photons=1e4)
    np.testing.assert_allclose(found, [[[math.log(2), *[math.log(1e4)] * 3]]], rtol=1e-6)
    assert notes == ["3 of 4 rays transmit less than one photon: floored there before the logarithm"]


@pytest.mark.parametrize(
    ("readings", "quantity", "options", "message"),
    [
        ([[[1, np.nan]]], "counts", {"flat": 9.0}, "NaN or infinite"),
        ([[[1, np.inf]]], "line_integral", {}, "NaN or infinite"),
        ([[[1, 2]]], "counts", {}, "no open beam .* add i0, or flat fields"),
        (
            [[[1, 2]]],
            "counts",
            {"flat": np.array([[[5.0, 1.0]]]), "dark": 1.0},
            "in 1 of 2 places; .* bad_bins",
        ),
        ([[[0.1, 0.2]]], "counts", {"flat": 1.0}, "use quantity transmission"),
        ([[[1, 2]]], "counts", {"flat": np.nan}, "open beam"),
        (
            [[[0.5, 0, -1]]],
            "transmission",
            {},
            "2 of 3 rays transmit 0 or less, .* are they line integrals already .* add photons",
        ),
    ],
)
def test_refused(readings, quantity, options, message):
    with pytest.raises(SinogramError, match=message):
        convert(readings, quantity, **options)
