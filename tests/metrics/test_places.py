"""Places of images with errors that are known."""

import numpy as np
import pytest

from ctresample.metrics import local_rms, worse_places


def body():
    """A disc of water, 1 mm pixels."""
    y, x = np.mgrid[:96, :96] - 47.5
    return np.where(np.hypot(x, y) < 40, 0.0, -1000.0)


def test_local_rms_is_that_of_each_square():
    values = np.random.default_rng(0).normal(0, 10, (40, 50))
    found = local_rms(values, 2.0)  # 5 x 5 pixels
    assert found[20, 30] == pytest.approx(np.sqrt(np.mean(values[18:23, 28:33] ** 2)))
    oblong = local_rms(values, (2.0, 5.0))  # 5 x 2 pixels
    assert oblong[20, 30] == pytest.approx(np.sqrt(np.mean(values[18:23, 29:31] ** 2)))
    assert found[0, 0] == pytest.approx(np.sqrt(np.mean(values[:3, :3] ** 2)))


def test_places_are_those_within_the_body_where_only_the_image_is_wrong_worst_first():
    truth = body()
    image, other = truth.copy(), truth.copy()
    image[30:40, 30:40] += 60
    image[60:70, 50:60] -= 100
    image[:10, :10] += 500  # not in the body
    for both in (image, other):
        both[45:55, 65:75] += 200
    (first, second) = worse_places(image, other, truth, 1.0)
    assert np.abs(np.subtract(first, (65, 55))).max() <= 1
    assert np.abs(np.subtract(second, (35, 35))).max() <= 1
    assert worse_places(other, image, truth, 1.0) == []
    assert worse_places(truth, truth, truth, 1.0) == []


def test_the_difference_of_both_images_marks_every_place():
    rng = np.random.default_rng(1)
    truth = body()
    image, other = (truth + np.kron(rng.normal(0, 60, (12, 12)), np.ones((8, 8))) for _ in range(2))
    places = worse_places(image, other, truth, 1.0)
    assert len(places) > 3
    differ = local_rms(image - other, 1.0)
    assert min(differ[place] for place in places) >= 40
