"""Bring a scene below a number of bytes: coarser pixels first, then fewer slices, and say so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ctresample.pipelines.viewer.packing import packed_size
from ctresample.pipelines.viewer.scene import Image, Layer, Scene
from ctresample.pipelines.viewer.zoom import Zoom

_FINE = 256
"""Pixels along the longer side; above them pixels are joined before slices are left out."""


def bounded(scene: Scene, n_bytes: int) -> Scene:
    """The scene itself where its packed layers take at most about ``n_bytes``; else a smaller one with a note."""
    joined = every = 1
    small = scene
    while sum(packed_size(layer.hu) for layer in small.layers) > n_bytes and max(small.shape) > 2:
        if max(small.shape[1:]) > _FINE or small.shape[0] == 1:
            small, joined = _pixels_joined(small), 2 * joined
        else:
            small, every = _every_second(small), 2 * every
    notes = [f"{joined} × {joined} pixels averaged to one"] if joined > 1 else []
    notes += [f"1 of {every} slices"] if every > 1 else []
    return replace(small, notes=(*scene.notes, *notes))


def _pixels_joined(scene: Scene) -> Scene:
    def coarser(hu: Image) -> Image:
        rows, columns = (n // 2 * 2 for n in hu.shape[1:])  # an odd last row or column is left out
        return (
            hu[:, :rows, :columns].reshape(len(hu), rows // 2, 2, columns // 2, 2).mean(axis=(2, 4), dtype=np.float32)
        )

    def halved(zoom: Zoom | None) -> Zoom | None:
        return zoom and Zoom(zoom.row // 2, zoom.column // 2, max(1, zoom.size // 2))

    size = scene.voxel_mm and (scene.voxel_mm[0], 2 * scene.voxel_mm[1], 2 * scene.voxel_mm[2])
    layers = [replace(one, hu=coarser(one.hu), worst=[halved(zoom) for zoom in one.worst]) for one in scene.layers]
    return replace(scene, layers=layers, voxel_mm=size)


def _every_second(scene: Scene) -> Scene:
    kept = slice(scene.first % 2, None, 2)  # the one to show first stays
    size = scene.voxel_mm and (2 * scene.voxel_mm[0], *scene.voxel_mm[1:])

    def thinned(layer: Layer) -> Layer:
        return replace(layer, hu=layer.hu[kept], worst=layer.worst[kept], rmse_hu=layer.rmse_hu[kept])

    layers = [thinned(layer) for layer in scene.layers]
    return replace(scene, layers=layers, slice_names=scene.slice_names[kept], first=scene.first // 2, voxel_mm=size)
