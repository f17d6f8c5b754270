"""Finding the truth of a reconstruction in the series it came from."""

import numpy as np
import pytest

from ctresample.errors import UsageError
from ctresample.pipelines.results.against import compare, truth_for
from ctresample.pipelines.scan.simulate import simulate
from ctresample.regrid import to_square_grid
from ctresample.volume import Volume

# a tilted, flipped grid far from the origin
AFFINE = np.array([[0.0, 3, 0, 50], [-3, 0, 0, 60], [0, 0, -2.5, 70], [0, 0, 0, 1]])


def volume(n: int = 4) -> Volume:
    hu = np.random.default_rng(0).uniform(-1100, 500, (n, 32, 32)).astype(np.float32)
    return Volume(hu, AFFINE)


def below(source: Volume, first: int) -> Volume:
    """The slices from ``first`` on."""
    affine = source.affine.copy()
    affine[:3, 3] += first * affine[:3, 2]
    return Volume(source.hu[first:], affine)


@pytest.mark.parametrize("size", [16, 32, 48])
def test_truth_is_what_was_scanned(size):
    source = volume()
    truth = truth_for(simulate(source, n_views=5, size=size), source)
    clipped = source.with_hu(np.maximum(source.hu, np.float32(-1000)))  # before averaging, as the scan does
    np.testing.assert_array_equal(truth, to_square_grid(clipped, size).hu)


def test_only_the_slices_scanned():
    source = volume()
    truth = truth_for(simulate(below(source, 2), n_views=5, size=32), source)
    np.testing.assert_allclose(truth, np.maximum(source.hu[2:], -1000), atol=1e-3)


def test_another_series_is_refused():
    source = volume()
    sinogram = simulate(source, n_views=5, size=32)
    with pytest.raises(UsageError, match="slice 1 of the sinogram lies 5.0 mm"):
        truth_for(sinogram, below(source, 2))
    with pytest.raises(UsageError, match="pixels of 6 mm"):
        truth_for(sinogram, Volume(source.hu, source.affine * [2, 2, 1, 1]))
    with pytest.raises(UsageError, match="orientation"):
        truth_for(sinogram, Volume(source.hu, source.affine[:, [1, 0, 2, 3]]))


def test_compare():
    truth = np.zeros((2, 16, 16), np.float32)
    image = truth.copy()
    image[1] += 30
    found = compare(image, truth)
    assert found["slices"][1]["psnr_db"] == pytest.approx(40)
    assert found["slices"][0]["psnr_db"] == float("inf")
    assert found["mean"]["rmse_hu"] == pytest.approx(15)
