"""One reconstruction on disk: a DICOM series, and a record of how it was made and how good it is."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from ctresample.data_tools.dicom_writer import write_ct_series
from ctresample.pipelines.dicom_export import DICOM_FOLDER, method_label, provenance_of
from ctresample.pipelines.finite_json import finite
from ctresample.pipelines.loaded_prior import LoadedPrior
from ctresample.pipelines.output import write_text_atomically
from ctresample.pipelines.scan_geometry import beam_of
from ctresample.result import Reconstruction
from ctresample.sinogram import Sinogram
from ctresample.volume import Volume

RECORD_NAME = "run.json"
_PACKAGES = ("ctresample", "torch", "diffusers", "numpy", "scipy", "pydicom")


def write_dicom(
    folder: Path,
    result: Reconstruction,
    sinogram: Sinogram,
    prior: LoadedPrior | None,
    created: datetime | None = None,
) -> list[Path]:
    """Write ``dicom/`` below the folder, dated ``created`` or now; returns its files in slice order."""
    label = method_label(result.method, result.preset, sinogram.geometry.n_views)
    return write_ct_series(
        Volume(result.image_hu, sinogram.affine, sinogram.headers),
        folder / DICOM_FOLDER,
        description=label,
        provenance=provenance_of(
            label,
            scan=scan_facts(sinogram),
            sampling=result.settings,
            prior=prior,
            seed=result.seed,
            created=created,
        ),
    )


def write_record(
    folder: Path,
    result: Reconstruction,
    sinogram: Sinogram,
    *,
    prior: LoadedPrior | None,
    device: str,
    seconds: Mapping[str, float] | None,
    metrics: Mapping[str, Any] | None,
    created: datetime | None = None,
) -> None:
    """Write ``run.json``.

    Args:
        folder: where.
        result: the reconstruction.
        sinogram: what was reconstructed.
        prior: the one used, if any.
        device: where it was computed.
        seconds: wall time of each part of the work; None leaves it out, so that equal runs give equal records.
        metrics: from `compare`, if there was something to compare with.
        created: the date; None for now.
    """
    record = {
        "method": result.method,
        "preset": result.preset or None,
        "seed": result.seed,
        "settings": result.settings,
        "prior": {"name": prior.name, "weights_sha256": prior.sha256} if prior else None,
        "scan": scan_facts(sinogram),
        "device": device,
        "versions": _versions(),
        "created": (created or datetime.now().astimezone()).isoformat(timespec="seconds"),
        **({} if seconds is None else {"seconds": dict(seconds)}),
        "residual_ratio": result.residual_ratio,
        "residual_history": result.residual_history,
        "metrics": metrics,
    }
    text = json.dumps(finite(record), indent=1, allow_nan=False, ensure_ascii=False)
    write_text_atomically(folder / RECORD_NAME, text + "\n")


def scan_facts(sinogram: Sinogram) -> dict[str, Any]:
    """What was measured and the image grid, JSON-able; of photons that differ from ray to ray, fewest and most."""
    photons: Any = sinogram.photons
    if isinstance(photons, np.ndarray):
        photons = [float(photons.min()), float(photons.max())]
    return {
        "slices": sinogram.n_slices,
        "views": sinogram.geometry.n_views,
        "geometry": beam_of(sinogram.geometry),
        "image": list(sinogram.grid.shape),
        "pixel_size_mm": sinogram.grid.pixel_size_mm,
        "photons": photons,
        "electronic_noise": sinogram.electronic_noise,
        "mu_water_per_mm": sinogram.mu_water_per_mm,
        "origin": sinogram.origin,
    }


def _versions() -> dict[str, str | None]:
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return versions
