"""The plot methods: what is drawn, in which units, and what is refused."""

from dataclasses import replace

import matplotlib
import numpy as np
import pytest

from ctresample import Volume, reconstruct, simulate
from ctresample.errors import UsageError

pyplot = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def no_window():
    before = matplotlib.get_backend()
    pyplot.switch_backend("agg")
    yield
    pyplot.close("all")
    pyplot.switch_backend(before)


@pytest.fixture(scope="module")
def volume():
    hu = np.full((3, 16, 16), -1000.0, np.float32)
    hu[:, 4:12, 4:12] = np.array([10.0, 20.0, 30.0])[:, None, None]
    return Volume(hu, np.diag([2, 3, 5, 1]))


def test_a_volume_in_millimetres_and_its_window(volume):
    axis, bar = volume.plot(slice_number=2, window="lung").axes
    (image,) = axis.images
    assert np.array_equal(image.get_array(), volume.hu[2])
    assert image.get_clim() == (-1350.0, 150.0)
    assert image.get_extent() == [0, 32.0, 48.0, 0]  # columns of 2 mm, rows of 3
    assert "lung window" in bar.get_ylabel()


def test_results_side_by_side():
    water = Volume(np.zeros((1, 16, 16)), np.diag([4, 4, 2, 1]))
    scan = simulate(water, n_views=12, size=16)
    fbp, sirt = reconstruct(scan, method="fbp"), reconstruct(scan, method="sirt")
    figure = fbp.plot(sirt, fbp, water)
    assert [axis.get_title() for axis in figure.axes[:4]] == [
        "fbp, slice 0",
        "sirt, slice 0",
        "fbp (3), slice 0",
        "volume, slice 0",
    ]
    axis = scan.plot().axes[0]
    assert axis.get_xlabel() == "detector, mm"
    (mesh,) = axis.collections
    corners = mesh.get_coordinates()
    assert corners[0, 0, 1] == pytest.approx(-7.5)  # twelve views over half a circle, 15 degrees each
    assert corners[-1, 0, 1] == pytest.approx(172.5)
    assert corners[0, 1, 0] - corners[0, 0, 0] == pytest.approx(scan.geometry.detector_pitch_mm)
    one = replace(scan, values=scan.values[:, :1], geometry=scan.geometry.with_angles((0.0,)))
    assert len(one.plot().axes[0].images) == 1


def test_what_cannot_be_drawn(volume):
    with pytest.raises(UsageError, match="expected one of soft tissue, lung, bone, brain"):
        volume.plot(window="liver")
    with pytest.raises(UsageError, match="expected 0 to 2"):
        volume.plot(slice_number=3)
    with pytest.raises(UsageError, match="expected 0 to 0"):
        simulate(Volume(np.zeros((1, 16, 16)), np.diag([4, 4, 2, 1])), n_views=4, size=16).plot(slice_number=1)


@pytest.mark.parametrize("shape", [(1, 32, 32), (1, 20, 60), (1, 60, 20)])
@pytest.mark.parametrize("n", [1, 3])
def test_nothing_is_cut_off(shape, n):
    from matplotlib import pyplot

    from ctresample.plots import plot_slices

    figure = plot_slices({f"method {k}": np.zeros(shape) for k in range(n)}, (1.0, 1.0, 1.0))
    figure.canvas.draw()
    width, height = figure.get_size_inches() * figure.dpi
    boxes = [axis.get_tightbbox(figure.canvas.get_renderer()) for axis in figure.axes]
    assert min(min(box.x0, box.y0, width - box.x1, height - box.y1) for box in boxes) >= 0
    pyplot.close(figure)
