"""Every library measures the same disk the same way: no one is judged by a wrong sign or centre."""

import contestants
import numpy as np
import projectors
import pytest
from accuracy import Disk, disk_image

from ctresample.geometry import FanBeam, ImageGrid, ParallelBeam


def made(kind, beam, size):
    grid = ImageGrid((size, size), 1.5)
    if kind is contestants.Rtk:
        pytest.importorskip("itk")
    return kind(beam.for_grid(grid, 24), grid)


KINDS = [
    # ITK's libraries take half a minute to load for the first time
    pytest.param(kind, beam, marks=pytest.mark.slow if kind is contestants.Rtk else ())
    for beam in (ParallelBeam, FanBeam)
    for kind in contestants.CPU
    if not (kind is contestants.ScikitImage and beam is FanBeam)
]


@pytest.mark.filterwarnings("ignore:builtin type .* has no __module__ attribute:DeprecationWarning")  # ITK's bindings
@pytest.mark.parametrize(("kind", "beam"), KINDS)
class TestEach:
    @pytest.mark.parametrize("size", [64, 65])
    def test_measures_the_disk_and_has_nearly_an_adjoint(self, kind, beam, size):
        error, adjoint_error = projectors.judge(made(kind, beam, size))
        # a shift by half a bin makes at least 0.034, a wrong sign far more
        assert error < 0.025
        assert adjoint_error < 2e-3

    def test_treats_each_slice_alone(self, kind, beam):
        contestant = made(kind, beam, 32)
        image = disk_image(contestant.grid, Disk.inside(contestant.grid))
        images = np.stack([image, 0 * image, 3 * image])
        sinograms = contestant.unload(contestant.forward(contestant.load(images)))
        backs = contestant.unload(contestant.back(contestant.load(np.ascontiguousarray(sinograms, np.float32))))
        assert sinograms.shape == (3, *contestant.geometry.shape)
        assert backs.shape == images.shape
        for found in (sinograms, backs):
            assert found[0].max() > 0
            np.testing.assert_allclose(found[1], 0, atol=1e-6)
            np.testing.assert_allclose(found[2], 3 * found[0], rtol=1e-4, atol=1e-4 * found[0].max())


def test_scikit_image_says_that_it_has_no_fan_beam():
    with pytest.raises(NotImplementedError, match="no fan beam"):
        made(contestants.ScikitImage, FanBeam, 32)


class Broken(contestants.Contestant):
    name = "broken"

    def __init__(self, geometry, grid):
        raise ImportError("libmissing.so: not found\nand much more")

    def forward(self, images):
        raise NotImplementedError

    back = forward


def test_a_broken_library_is_named_and_the_others_still_compared():
    ((ours, broken),) = projectors.compare([contestants.Sparse, Broken], "fan", 16, 4, [2], rounds=2)
    assert broken.absent == "absent: libmissing.so: not found"
    assert ours.absent is None
    assert len(ours.forward_s) == len(ours.back_s) == 2
    assert str(ours.case) == "fan, 16 × 16, 4 views, 2 slices"
