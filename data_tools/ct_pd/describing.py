"""What a DICOM-CT-PD series is, in a few facts without patient data."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ctresample.data_tools.ct_pd.series import find_projections
from ctresample.data_tools.ct_pd.view import read_rest, read_values
from ctresample.geometry.coverage import seen_range_mm


def projection_facts(place: Path) -> dict[str, str]:
    """Maker, views, pitch, dose and focal spot; errors as `find_projections`."""
    series = find_projections(place)
    geometry, scanner = series.geometry, series.scanner
    _, stated = read_rest(series.views[0].file)
    values, photons = read_values(series.views[len(series.views) // 2])
    # the last view stands for a step, too
    turns = float(np.ptp(geometry.angles_rad)) / (2 * np.pi) * geometry.n_views / (geometry.n_views - 1)
    n_spots = len(np.unique(geometry.spots.round(5), axis=0))
    whole = seen_range_mm(geometry, 0.9 * float(np.abs(geometry.from_axis_mm[[0, -1]]).min()))
    facts = {
        "kind": "projections (DICOM-CT-PD); `ctresample import` makes a sinogram file of them",
        "maker": scanner.maker,
        "views": f"{geometry.n_views} in {turns:.3g} turns, {geometry.n_views / max(turns, 1e-9):.5g} a turn",
        "helix": f"{abs(geometry.feed_mm):.4g} mm a turn, pitch {geometry.pitch:.3g}"
        + (f" (stated: {stated['stated pitch']})" if stated["stated pitch"] else ""),
        "detector": f"{geometry.n_detector_rows} x {geometry.n_detectors} bins of "
        f"{geometry.detector_row_pitch_mm:.4g} x {geometry.detector_pitch_mm:.4g} mm, curved",
        "distances": f"source to axis {geometry.source_to_axis_mm:.6g} mm, to detector "
        f"{geometry.source_to_detector_mm:.6g} mm",
        "focal spot": scanner.spot_mode + (f", at {n_spots} places" if n_spots > 1 else ""),
        "heights seen whole": "none" if whole is None else f"z {whole[0]:.5g} to {whole[1]:.5g} mm",
        "dose": "not stated" if photons is None else f"{photons.min():,.4g} to {photons.max():,.4g} photons a ray",
        "line integrals": f"{values.min():.4g} to {values.max():.4g} in the middle view",
        "patient position": scanner.patient_position or "not stated",
    }
    if stated["kV"]:
        facts["kV"] = stated["kV"]
    if series.left_out:
        facts["left out"] = ", ".join(f"{n} {reason}" for reason, n in series.left_out.items())
    return facts
