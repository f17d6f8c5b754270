"""What a reconstructed DICOM series says about how it was made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import ctresample
from ctresample.data_tools.dicom_writer import Provenance
from ctresample.pipelines.loaded_prior import LoadedPrior

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
    prior: LoadedPrior | None,
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
