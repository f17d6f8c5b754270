"""A scanner's options: what is refused, what it sends, and how it names itself."""

from __future__ import annotations

import numpy as np
import pytest

from ctresample.errors import UsageError
from ctresample.geometry import ImageGrid, ParallelBeam
from ctresample.noise import Scanner, bow_tie, tube_current

GEOMETRY = ParallelBeam.for_grid(ImageGrid((32, 32), 8.0), 4)
TRANSMISSION = np.exp(-np.random.default_rng(0).uniform(0, 6, (3, *GEOMETRY.shape)))


@pytest.mark.parametrize(
    ("option", "bad"),
    [
        ("bow_tie_mm", (0.0, -300.0, 701.0, np.nan, np.inf)),
        ("tube_current_modulation", (-0.1, 1.1, np.nan)),
        ("blur_mm", (-1.0, np.nan, np.inf)),
        ("crosstalk", (-0.1, 1 / 3, np.nan)),
        ("faulty_bins", (-0.1, 1.1, np.nan)),
        ("gain_error", (-0.1, np.nan, np.inf)),
    ],
)
def test_out_of_range(option, bad):
    for value in bad:
        with pytest.raises(UsageError, match=f"^{option} is {value}; expected"):
            Scanner(**{option: value})


def test_a_plain_scanner_sends_the_same_everywhere():
    assert Scanner().photons_sent(1e5, GEOMETRY, TRANSMISSION) == 1e5
    assert str(Scanner()) == ""


def test_photons_are_the_product_of_filter_and_current():
    scanner = Scanner(bow_tie_mm=200.0, tube_current_modulation=0.5)
    sent = scanner.photons_sent(1e5, GEOMETRY, TRANSMISSION)
    largest = (-np.log(TRANSMISSION)).max(axis=2).mean(axis=0)  # of each view, mean of the slices
    current = tube_current(largest, 0.5)
    assert sent == pytest.approx(1e5 * np.outer(current, bow_tie(GEOMETRY, 200.0)), rel=1e-6)
    assert sent.mean(axis=0).max() == pytest.approx(1e5, rel=2e-2)  # beside the axis by half a bin


def test_words():
    scanner = Scanner(bow_tie_mm=300.0, tube_current_modulation=0.5, blur_mm=1.2, crosstalk=0.03)
    assert (
        str(scanner) == "bow-tie filter for 300 mm of water, tube current modulation 0.5, blur 1.2 mm, crosstalk 0.03"
    )
