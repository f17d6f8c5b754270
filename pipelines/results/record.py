"""The record of one reconstruction: how it was made and how good it is."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ctresample.data_tools.dicom_export.write import headers_changed
from ctresample.data_tools.moment import moment
from ctresample.files import RESULT_RECORD, write_file
from ctresample.finite_json import finite
from ctresample.paths import StrPath, as_path
from ctresample.pipelines.results.images import ResultMap
from ctresample.pipelines.results.provenance import scan_facts
from ctresample.result import Reconstruction

_PACKAGES = ("ctresample", "torch", "diffusers", "numpy", "scipy", "pydicom")


def write_record(
    folder: StrPath,
    result: Reconstruction,
    *,
    seconds: Mapping[str, float] | None,
    metrics: Mapping[str, Any] | None = None,
    maps: Sequence[ResultMap] = (),
    created: datetime | None = None,
    notes: Sequence[str] = (),
    trust: Mapping[str, Any] | None = None,
) -> None:
    """Write ``run.json``.

    Args:
        folder: where.
        result: the reconstruction.
        seconds: wall time of each part of the work; None leaves it out, so that equal runs give equal records.
        metrics: from `compare`, if there was something to compare with.
        maps: written beside the reconstruction.
        created: the date; None for now.
        notes: what is worth knowing of the source, without names of files.
        trust: from `Trust.record`, with the traffic light.
    """
    folder = as_path(folder, "folder")
    record = {
        "method": result.method,
        "preset": result.preset or None,
        "seed": result.seed,
        "settings": result.settings,
        "z_coupling": result.z_coupling,
        "prior": {"name": result.model.name, "weights_sha256": result.model.sha256} if result.model else None,
        "scan": scan_facts(result.sinogram),
        "headers_changed": headers_changed(result.sinogram.headers),
        "notes": list(notes),
        "device": result.device.partition(":")[0],  # which of several GPUs is no matter
        "versions": _versions(),
        "created": (created or moment()).isoformat(timespec="seconds"),
        **({} if seconds is None else {"seconds": dict(seconds)}),
        "residual_ratio": result.residual_ratio,
        "doubts": list(result.doubts),
        "residual_history": result.residual_history,
        "maps": {one.kind: {"rms_hu": one.rms_hu, **one.facts} for one in maps},
        "metrics": metrics,
        "trust": trust,
    }
    text = json.dumps(finite(record), indent=1, allow_nan=False, ensure_ascii=False)
    write_file(folder / RESULT_RECORD, text + "\n")


def _versions() -> dict[str, str | None]:
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return versions
