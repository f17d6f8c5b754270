"""The slices of a benchmark as the interactive viewer shows them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ctresample.metrics import rmse_hu
from ctresample.pipelines.benchmark.slice_images import SliceImages
from ctresample.pipelines.viewer.scene import Layer, Scene
from ctresample.pipelines.viewer.zoom import zoom_on_error


def benchmark_scene(images: Mapping[str, SliceImages]) -> Scene:
    """Truth and methods side by side; a method has no values in slices where it failed.

    The first slice is the one whose error is in the middle of all (of the last method, which has it in most slices):
    neither the best nor the worst. Slices of another shape than that one are left to the pictures.

    Args:
        images: name of the slice -> its images, as a report shows them; at least one.
    """
    labels = list(dict.fromkeys(label for one in images.values() for label in one.by_method))
    shape = next(iter(images.values())).truth_hu.shape
    alike = {name: one for name, one in images.items() if one.truth_hu.shape == shape}
    nothing = np.full(shape, np.nan, np.float32)

    def layer(label: str) -> Layer:
        slices = [one.by_method.get(label) for one in alike.values()]
        hu = np.stack([nothing if image is None else np.asarray(image, np.float32) for image in slices])
        pairs = [(one.truth_hu, image) for one, image in zip(alike.values(), slices, strict=True)]
        worst = [None if image is None else zoom_on_error(truth, [image]) for truth, image in pairs]
        errors = [math.nan if image is None else rmse_hu(image, truth) for truth, image in pairs]
        return Layer(label, hu, "image", worst=worst, rmse_hu=errors)

    methods = [layer(label) for label in labels]
    truth = Layer("Truth", np.stack([np.asarray(one.truth_hu, np.float32) for one in alike.values()]), "truth")
    known = np.nan_to_num(methods[-1].rmse_hu, nan=np.inf)
    middle = int(np.argsort(known, kind="stable")[(np.isfinite(known).sum() - 1) // 2])
    return Scene([truth, *methods], list(alike), first=middle)
