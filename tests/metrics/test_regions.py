"""Regions of a phantom whose pixels can be counted by hand."""

import numpy as np
import pytest

from ctresample.errors import GeometryError
from ctresample.metrics import body_mask, mae_hu, region_masks, rmse_hu


def phantom() -> np.ndarray:
    """A block of 20 x 30 pixels of tissue with a lung, a bone, gas at a hole's edge, and a table beside it."""
    hu = np.full((40, 50), -1000.0)
    hu[10:30, 10:40] = 40
    hu[12:18, 12:20] = -850  # 48 pixels of lung
    hu[20:24, 20:22] = 700  # 8 of bone
    hu[36:38, 5:45] = 100  # a table, apart
    return hu


def test_the_body_is_the_largest_object_filled() -> None:
    expected = np.zeros((40, 50), dtype=bool)
    expected[10:30, 10:40] = True
    np.testing.assert_array_equal(body_mask(phantom()), expected)


def test_the_outline_is_cut_half_way_between_air_and_water() -> None:
    hu = np.full((5, 5), -1000.0)
    hu[2, 1:4] = [-501, -499, 0]
    assert body_mask(hu).tolist() == [[False] * 5] * 2 + [[False, False, True, True, False]] + [[False] * 5] * 2


def test_pixels_that_touch_at_a_corner_are_apart() -> None:
    hu = np.full((6, 6), -1000.0)
    hu[1, 1] = hu[1, 2] = hu[2, 3] = 0
    assert np.argwhere(body_mask(hu)).tolist() == [[1, 1], [1, 2]]


def test_nothing_but_air_has_no_body() -> None:
    masks = region_masks(np.full((8, 8), -1000.0))
    assert not any(mask.any() for mask in masks.values())
    assert np.isnan(rmse_hu(np.zeros((8, 8)), np.zeros((8, 8)), masks["body"]))
    assert np.isnan(mae_hu(np.zeros((8, 8)), np.zeros((8, 8)), masks["body"]))


def test_regions_are_windows_of_the_truth_within_the_body() -> None:
    masks = region_masks(phantom())
    assert {name: int(mask.sum()) for name, mask in masks.items()} == {
        "soft_tissue": 600 - 48 - 8,  # neither the table nor the lung
        "lung": 600 - 8,  # the window reaches to 150 HU
        "body": 600,
    }
    ends = phantom()
    ends[11, 11:15] = [-160, 240, -161, 241]
    assert region_masks(ends)["soft_tissue"][11, 11:15].tolist() == [True, True, False, False]


def test_errors_in_a_mask_by_hand() -> None:
    image, truth = np.array([[3.0, -4.0, 100.0]]), np.zeros((1, 3))
    mask = np.array([[True, True, False]])
    assert rmse_hu(image, truth, mask) == pytest.approx(12.5**0.5)
    assert mae_hu(image, truth, mask) == pytest.approx(3.5)
    assert mae_hu(image, truth) == pytest.approx(107 / 3)
    with pytest.raises(GeometryError, match="mask has shape"):
        rmse_hu(image, truth, mask[0])
