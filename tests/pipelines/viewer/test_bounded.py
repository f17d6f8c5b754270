"""A scene above the bound gets coarser, says so, and keeps its places."""

from __future__ import annotations

import numpy as np
import pytest

from ctresample.errors import GeometryError, UsageError
from ctresample.pipelines.viewer.bounded import bounded
from ctresample.pipelines.viewer.packing import packed
from ctresample.pipelines.viewer.scene import Layer, Scene
from ctresample.pipelines.viewer.zoom import Zoom


def scene(n: int = 6, side: int = 300) -> Scene:
    hu = np.random.default_rng(0).normal(0, 100, (n, side, side)).astype(np.float32)
    worst, errors = [Zoom(100, 40, 60)] * n, list(np.arange(float(n)))
    layers = [Layer("Truth", hu, "truth"), Layer("tv", hu, "image", worst=worst, rmse_hu=errors)]
    return Scene(layers, [f"slice {k}" for k in range(n)], voxel_mm=(2.0, 0.5, 0.5), first=3)


def test_what_fits_stays_as_it_is() -> None:
    whole = scene(2, 32)
    assert bounded(whole, 1_000_000) == whole or bounded(whole, 1_000_000).layers is whole.layers
    assert bounded(whole, 1_000_000).notes == ()


def test_pixels_are_joined_before_slices_are_left_out() -> None:
    whole = scene()
    small = bounded(whole, 300_000)
    assert small.shape == (3, 150, 150)
    assert small.notes == ("2 × 2 pixels averaged to one", "1 of 2 slices")
    assert sum(len(packed(layer.hu)) for layer in small.layers) < 330_000
    assert small.voxel_mm == (4.0, 1.0, 1.0)
    assert small.slice_names[small.first] == "slice 3"
    truth, tv = small.layers
    assert np.allclose(truth.hu[small.first, 0, 0], whole.layers[0].hu[3, :2, :2].mean(), atol=1e-3)
    assert list(tv.rmse_hu) == [1.0, 3.0, 5.0]
    assert tv.worst[0] == Zoom(50, 20, 30)


def test_layers_that_do_not_fit_are_refused() -> None:
    hu = np.zeros((2, 4, 4))
    with pytest.raises(GeometryError, match="expected one"):
        Scene([Layer("a", hu, "image"), Layer("b", hu[:1], "image")], ["1", "2"])
    with pytest.raises(UsageError, match="at least one reconstruction"):
        Scene([Layer("a", hu, "truth")], ["1", "2"])
