"""``report.html``: a reconstruction to look at, with the HU in a viewer, beside filtered back projection."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import ctresample
from ctresample import display, units
from ctresample.files import write_file
from ctresample.metrics import rmse_hu
from ctresample.pipelines.calibration.lights import Light, overall
from ctresample.pipelines.page import filled
from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.pipelines.results.images import ResultMap
from ctresample.pipelines.results.provenance import method_label
from ctresample.pipelines.viewer.embed import embed
from ctresample.pipelines.viewer.scene import Layer, Scene
from ctresample.pipelines.viewer.zoom import zoom_on_error
from ctresample.planes import last_is_up, planes, voxel_size_mm
from ctresample.result import Reconstruction

PAGE_NAME = "report.html"

_ENDS = ("lower", "upper")
"""Maps that are shown as images, for they are to be looked at beside the reconstruction."""


def write_page(
    folder: Path,
    result: Reconstruction,
    *,
    maps: Sequence[ResultMap] = (),
    truth_hu: NDArray[np.float32] | None = None,
    metrics: Mapping[str, Any] | None = None,
    lights: tuple[Light, ...] = (),
) -> None:
    """Write the page; it fetches nothing and names no patient.

    Args:
        folder: of the result.
        result: the reconstruction.
        maps: to lay over the image.
        truth_hu: ``[slice, y, x]`` to compare with, if there is one.
        metrics: from `ctresample.pipelines.results.against.compare`.
        lights: how far to trust it.

    Raises:
        OutputError: it cannot be written.
    """
    label = method_label(result.method, result.preset, result.sinogram.geometry.n_views)
    scene = result_scene(result, maps=maps, truth_hu=truth_hu)
    shown = [layer for layer in scene.layers if layer.role != "map"]
    pictures = [
        {"window": window, "label": label, "source": display.png_source(hu, *units.WINDOWS[window])}
        for window in ("soft tissue", "lung")
        for row in _rows(scene, shown)
        for label, hu in row.items()
    ]
    page = filled(
        "result.html.j2",
        title=label,
        viewer=embed(scene),
        facts=_facts(result),
        doubts=result.doubts,
        lights=lights,
        light=overall(lights) if lights else "",
        ratio=sum(result.residual_ratio) / len(result.residual_ratio),
        metrics=metrics,
        pictures=pictures,
        slice_name=scene.slice_names[scene.first],
        n_columns=len(shown),
    )
    write_file(folder / PAGE_NAME, page)


def result_scene(
    result: Reconstruction,
    *,
    maps: Sequence[ResultMap] = (),
    truth_hu: NDArray[np.float32] | None = None,
) -> Scene:
    """A reconstruction with its maps, between the truth, if there is one, and filtered back projection.

    Slices that are not evenly spaced have no other planes.
    """
    name, sinogram = f"{result.method} {result.preset}".strip(), result.sinogram
    layers = [] if truth_hu is None else [Layer("Truth", truth_hu, "truth")]
    if not sinogram.geometry.is_volume and result.method != "fbp":
        layers.append(_judged("fbp", reconstruct(sinogram, method="fbp").image_hu, truth_hu))
    layers.append(_judged(name, result.image_hu, truth_hu))
    layers += [Layer(f"{one.kind} {one.facts['percent']} %", one.hu, "image") for one in maps if one.kind in _ENDS]
    layers += [Layer(f"{one.kind} map", one.hu, "map", of=name) for one in maps if one.kind not in _ENDS]
    n = sinogram.n_slices
    return Scene(
        layers,
        [f"slice {k + 1}" for k in range(n)],
        voxel_mm=voxel_size_mm(sinogram.affine, sinogram.slice_offsets_mm),
        last_is_up=last_is_up(sinogram.affine),
        first=n // 2,
    )


def _rows(scene: Scene, layers: Sequence[Layer]) -> list[dict[str, NDArray[np.floating[Any]]]]:
    """What is printed of each layer, by its label: the slice shown first and, of a volume, its other planes."""
    rows = [{layer.label: layer.hu[scene.first] for layer in layers}]
    found = {layer.label: planes(layer.hu, scene.voxel_mm, last_up=scene.last_is_up) for layer in layers}
    for name in list(next(iter(found.values())))[1:]:
        rows.append({f"{label}, {name}": of_layer[name] for label, of_layer in found.items()})
    return rows


def _judged(label: str, hu: NDArray[np.float32], truth_hu: NDArray[np.float32] | None) -> Layer:
    if truth_hu is None:
        return Layer(label, hu, "image")
    pairs = list(zip(truth_hu, hu, strict=True))
    worst = [zoom_on_error(truth, [image]) for truth, image in pairs]
    return Layer(label, hu, "image", worst=worst, rmse_hu=[rmse_hu(image, truth) for truth, image in pairs])


def _facts(result: Reconstruction) -> dict[str, str]:
    sinogram, prior = result.sinogram, result.model
    scan = sinogram.geometry
    arc_deg = math.degrees(max(scan.angles_rad) - min(scan.angles_rad))
    facts = {
        "Scan": f"{scan.name} beam, {scan.n_views} views over {arc_deg:.4g}°, {scan.n_detectors} detectors",
        "Noise": _noise(sinogram.photons),
        "Image": f"{display.slices_in_words(result.image_hu.shape)} of {sinogram.grid.pixel_size_mm:.4g} mm",
        "ctresample": ctresample.__version__,
    }
    if result.z_coupling and sinogram.n_slices > 1:
        strength, why = result.z_coupling["strength"], result.z_coupling["why"]
        facts["Neighbours"] = f"coupled, strength {strength:g}: {why}" if strength else f"not coupled: {why}"
    if result.seed is not None:
        facts["Seed"] = str(result.seed)
    if prior:
        facts["Prior"] = f"{prior.name}, weights SHA-256 {(prior.sha256 or 'none')[:12]}"
    return facts


def _noise(photons: float | NDArray[np.float32] | None) -> str:
    if photons is None:
        return "none stated"
    least, most = float(np.min(photons)), float(np.max(photons))
    return f"{least:,.0f} photons a ray" if least == most else f"{least:,.0f} to {most:,.0f} photons a ray"
