"""Which part is enlarged."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctresample.errors import UsageError
from ctresample.pipelines.viewer.zoom import Zoom, zoom_on_error


def truth(n=40):
    y, x = np.mgrid[:n, :n] - n / 2 + 0.5
    return np.where(np.hypot(x, y) < 0.4 * n, 0.0, -1000.0)


@given(row=st.integers(12, 26), column=st.integers(12, 26))
def test_the_largest_error_inside_the_body_is_in_the_middle_of_it(row, column):
    image = truth()
    image[row, column] += 300
    image[0:3, 0:3] += 3000  # outside
    zoom = zoom_on_error(truth(), [image, truth()])
    assert zoom.size == 8
    assert zoom.cut(image).max() == 300


def test_it_is_the_square_with_the_most_error():
    rng = np.random.default_rng(0)
    images = [truth() + rng.normal(0, 50, (40, 40)) for _ in range(2)]
    zoom = zoom_on_error(truth(), images)
    errors = np.mean([(image - truth()) ** 2 for image in images], axis=0) * (truth() > -500)
    sums = {(r, c): errors[r : r + 8, c : c + 8].sum() for r in range(33) for c in range(33)}
    assert (zoom.row, zoom.column) == max(sums, key=sums.get)


@pytest.mark.parametrize("zoom", [Zoom(-1, 0, 4), Zoom(0, 0, 0), Zoom(37, 0, 4), Zoom(0, 37, 4)])
def test_a_region_outside_is_refused(zoom):
    with pytest.raises(UsageError, match="40 x 40 pixels"):
        zoom.check((40, 40))
    Zoom(36, 36, 4).check((40, 40))
