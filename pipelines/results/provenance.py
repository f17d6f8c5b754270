"""What a reconstructed DICOM series says about how it was made."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import numpy as np

import ctresample
from ctresample.data_tools.dicom_export.write import Provenance
from ctresample.geometry import Geometry
from ctresample.learned import LearnedModel
from ctresample.result import ModelIdentity
from ctresample.sinogram import Sinogram

DICOM_FOLDER = "dicom"


def method_label(method: str, preset: str, n_views: int) -> str:
    """For series descriptions: ``ReSample fast, 25 views``."""
    name = "ReSample" if method == "resample" else method.upper()
    return f"{f'{name} {preset}'.strip()}, {n_views} view{'s'[: n_views > 1]}"


def provenance_of(
    label: str,
    *,
    scan: Mapping[str, Any],
    sampling: Mapping[str, Any],
    prior: LearnedModel | ModelIdentity | None,
    seed: int | None,
    created: datetime | None = None,
) -> Provenance:
    """Provenance of a series.

    Args:
        label: from `method_label`.
        scan: what was measured, JSON-able.
        sampling: settings of the solver, JSON-able.
        prior: the one used, if any.
        seed: of the solver; None if it draws no random numbers.
        created: the date of all its images; None for the moment of writing.
    """
    settings: dict[str, Any] = {"scan": dict(scan), "solver": dict(sampling)}
    if prior:
        settings["prior"] = prior.name
    return Provenance(
        software_version=ctresample.__version__,
        method=label,
        settings=settings,
        weights_sha256=prior.sha256 if prior else None,
        seed=seed,
        created=created,
    )


def scan_facts(sinogram: Sinogram) -> dict[str, Any]:
    """What was measured and the image grid, JSON-able; of photons that differ from ray to ray, fewest and most.

    The hash tells scans of one beam apart by their angles, distances and offsets, and with it the UIDs of their images.
    """
    photons: Any = sinogram.photons
    shifts = sinogram.angle_shifts_rad
    if isinstance(photons, np.ndarray):
        photons = [float(photons.min()), float(photons.max())]
    return {
        "slices": sinogram.n_slices,
        "views": sinogram.geometry.n_views,
        "geometry": sinogram.geometry.name,
        "geometry_sha256": _short_hash(sinogram.geometry),
        **({} if shifts is None else {"angle_shifts_deg": [round(math.degrees(one), 6) for one in shifts]}),
        "image": list(sinogram.grid.shape),
        "pixel_size_mm": sinogram.grid.pixel_size_mm,
        "photons": photons,
        "electronic_noise": sinogram.electronic_noise,
        "mu_water_per_mm": sinogram.mu_water_per_mm,
        "origin": sinogram.origin,
    }


def _short_hash(geometry: Geometry) -> str:
    parts = asdict(geometry)
    numbers = {name: value if isinstance(value, str) else np.round(value, 9).tolist() for name, value in parts.items()}
    return hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()[:16]
