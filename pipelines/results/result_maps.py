"""The maps that are asked for beside a reconstruction."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

from ctresample.metrics.places import SQUARE_MM
from ctresample.pipelines.calibration.trust import Trust
from ctresample.pipelines.reconstruction import maps
from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.pipelines.results.images import ResultMap
from ctresample.pipelines.results.options import ResultOptions
from ctresample.result import Reconstruction
from ctresample.sinogram import Sinogram


def result_maps(
    sinogram: Sinogram,
    result: Reconstruction,
    again: Callable[[int], Reconstruction],
    options: ResultOptions,
    *,
    batch_size: int,
) -> list[ResultMap]:
    """Make the maps of a reconstruction, those of `ctresample.pipelines.reconstruction.maps`.

    Args:
        sinogram: what was measured.
        result: its reconstruction.
        again: reconstructs with the seed and the number given added to it, from 1.
        options: of the result: which maps, and what they follow from.
        batch_size: slices computed together.
    """
    made = maps_of_one(sinogram, result, options, batch_size=batch_size)
    if options.uncertainty:
        others = (again(number).image_hu for number in range(1, options.uncertainty))
        spread = maps.uncertainty_map(chain([result.image_hu], others))
        seeds = [options.seed + number for number in range(options.uncertainty)]
        made.append(ResultMap("uncertainty", spread, {"seeds": seeds}))
    return made


def interval_maps(result: Reconstruction, trust: Trust) -> list[ResultMap]:
    """Lower and upper end and half-width of the interval of every pixel; none where there is no interval."""
    found = trust.interval
    if found is None:
        return []
    facts = {"percent": found.coverage, "units": dict(found.units), "not_calibrated": list(found.not_calibrated)}
    half = found.half_width_hu
    return [
        ResultMap("lower", result.image_hu - half, facts),
        ResultMap("upper", result.image_hu + half, facts),
        ResultMap("half-width", half, facts),
    ]


def check_maps(sinogram: Sinogram, options: ResultOptions) -> None:
    """`UsageError` for maps that this scan has none of, before a reconstruction takes its time."""
    for what, wanted in {"a residual map": options.residual_map, "an origin map": options.origin_map}.items():
        if wanted:
            maps.check_scan(what, sinogram)


def maps_of_one(
    sinogram: Sinogram, result: Reconstruction, options: ResultOptions, *, batch_size: int
) -> list[ResultMap]:
    """Those of them that need no other reconstruction of this kind."""
    given: dict[str, Any] = {"physics": options.physics, "device": options.device, "batch_size": batch_size}
    made = []
    if options.residual_map:
        misfit = maps.residual_map(sinogram, result.image_hu, **given)
        made.append(ResultMap("residual", misfit, {"window": maps.WINDOW, "cutoff": maps.CUTOFF}))
    if options.origin_map:
        not_measured = maps.origin_map(sinogram, result.image_hu, **given)
        made.append(ResultMap("origin", not_measured, {"spread_hu": maps.SPREAD_HU}))
    if options.tv_difference_map:
        other = reconstruct(sinogram, method="tv", z_coupling=options.z_coupling, **given)
        differs = maps.difference_map(result.image_hu, other.image_hu, sinogram.grid)
        made.append(ResultMap("tv-difference", differs, {"square_mm": SQUARE_MM}))
    return made
