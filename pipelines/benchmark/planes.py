"""Coronal and sagittal planes of a volume that was compared, as pictures for the report."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ctresample.metrics.image import SSIM_WINDOW
from ctresample.pipelines.benchmark.slice_images import SliceImages
from ctresample.planes import last_is_up, planes, voxel_size_mm
from ctresample.volume import Volume


def pictured_planes(slices: Mapping[str, SliceImages], place: Volume) -> dict[str, SliceImages]:
    """The planes through the middle of one volume, by their names, for each scan on which all its slices are there.

    Those of a volume too thin for SSIM, and of slices that are not evenly spaced, are left out. So are methods that
    failed on it.

    Args:
        slices: of the volume, in order, scan by scan.
        place: the truth, which says where they lie.
    """
    found = {}
    conditions = list(dict.fromkeys(one.condition for one in slices.values()))
    for condition in conditions:
        stack = [one for one in slices.values() if one.condition == condition]
        if len(stack) != len(place.hu):
            continue
        voxel_mm, up = voxel_size_mm(place.affine, place.slice_offsets_mm), last_is_up(place.affine)
        truth = planes(np.stack([one.truth_hu for one in stack]), voxel_mm, last_up=up)
        labels = [label for label in stack[0].by_method if all(label in one.by_method for one in stack)]
        images = {
            label: planes(np.stack([one.by_method[label] for one in stack]), voxel_mm, last_up=up) for label in labels
        }
        for name, hu in list(truth.items())[1:]:
            if min(hu.shape) >= SSIM_WINDOW and labels:
                title = f"{name} plane of the first volume"
                title += f", {condition}" if len(conditions) > 1 else ""
                found[title] = SliceImages(hu, {label: of[name] for label, of in images.items()}, condition)
    return found
