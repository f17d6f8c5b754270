"""Errors in a place, planted by hand."""

import numpy as np
import pytest

from ctresample.metrics import rmse_hu, structure_errors

BODY = np.pad(np.zeros((80, 80)), 10, constant_values=-1000.0)


def planted(rows: slice, columns: slice, hu: float) -> np.ndarray:
    image = BODY.copy()
    image[rows, columns] += hu
    return image


def test_the_worst_region_is_where_the_error_is() -> None:
    image = planted(slice(30, 40), slice(50, 60), 90.0)
    found = structure_errors(image, BODY, 2.0)
    assert found.worst_region == (30, 50, 10)
    assert found.worst_region_rmse_hu == pytest.approx(90.0)
    assert rmse_hu(image, BODY) < 10  # which the slice as a whole hardly shows


@pytest.mark.parametrize(("hu", "expected"), [(150.0, (1, 0)), (-150.0, (0, 1)), (50.0, (0, 0))])
def test_pieces_too_dense_or_too_little_are_counted(hu: float, expected: tuple[int, int]) -> None:
    found = structure_errors(planted(slice(30, 36), slice(50, 56), hu), BODY, 1.0)
    assert (found.dense_spots, found.lost_spots) == expected


def test_small_pieces_noise_and_what_lies_outside_the_body_do_not_count() -> None:
    noise = np.random.default_rng(0).normal(0, 60, BODY.shape)
    image = planted(slice(30, 32), slice(50, 52), 150.0) + noise
    image[:5, :5] += 500
    found = structure_errors(image, BODY, 1.0)
    assert (found.dense_spots, found.lost_spots) == (0, 0)
    assert found.worst_region_rmse_hu == pytest.approx(60, rel=0.2)


def test_air_alone_has_no_place() -> None:
    found = structure_errors(np.zeros((8, 8)), np.full((8, 8), -1000.0), 1.0)
    assert found.figures == {"worst_region_rmse_hu": 0.0, "dense_spots": 0.0, "lost_spots": 0.0}
