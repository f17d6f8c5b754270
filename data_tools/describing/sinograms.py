"""What a sinogram file holds."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from ctresample.data_tools.describing.words import Facts, by, in_range, slice_step

if TYPE_CHECKING:
    from ctresample.geometry import Geometry, Grid, HelicalBeam
    from ctresample.sinogram import Sinogram

PATIENT_IDENTITY_REMOVED = "00120062"


def sinogram_facts(path: Path) -> Facts:
    """Of a sinogram file; `SinogramError` where it cannot be read."""
    from ctresample.data_tools.sinogram.reading import read_sinogram, read_summary

    summary, sinogram = read_summary(path), read_sinogram(path)
    values, photons = sinogram.values, sinogram.photons
    facts = {
        "kind": f"sinogram (HDF5, schema version {summary.version})",
        "slices": str(summary.n_slices),
        "slice step": slice_step(float(np.linalg.norm(sinogram.affine[:3, 2])), sinogram.slice_offsets_mm is None),
        **_scan(sinogram.geometry),
        **_stagger(sinogram),
        **_grid(sinogram.grid),
        "photons": "no noise" if photons is None else f"{in_range(photons)} a ray",
        "electronic noise": f"{sinogram.electronic_noise:.4g} photons",
        "line integrals": f"{values.min():.4g} to {values.max():.4g}",
        "water": f"{sinogram.mu_water_per_mm:.4g} per mm",
        "origin": sinogram.origin,
        "DICOM headers": _headers(sinogram),
        "written by": summary.model.software,
    }
    if photons is None:
        del facts["electronic noise"]
    return facts


def _headers(sinogram: Sinogram) -> str:
    """Whether there are DICOM headers, and whether each says that the patient's identity was removed."""
    if not sinogram.headers:
        return "none"
    if all(header.get(PATIENT_IDENTITY_REMOVED) == {"vr": "CS", "Value": ["YES"]} for header in sinogram.headers):
        return "yes, marked as de-identified"
    return "yes, with patient data"


def _stagger(sinogram: Sinogram) -> Facts:
    if sinogram.angle_shifts_rad is None:
        return {}
    shifts = np.degrees(sorted(set(sinogram.angle_shifts_rad)))
    return {"stagger": f"slices seen from {len(shifts)} sets of angles, turned by {shifts[0]:.4g} to {shifts[-1]:.4g}°"}


def _scan(geometry: Geometry) -> Facts:
    beam, detector = geometry.words, f"{geometry.n_detectors} bins of {geometry.detector_pitch_mm:.4g} mm"
    offsets = {"detector": geometry.detector_offset_mm}
    lengths = geometry.lengths_mm
    if "source_to_axis_mm" in lengths:
        beam += (
            f"; source to axis {lengths['source_to_axis_mm']:.6g} "
            f"mm, to detector {lengths['source_to_detector_mm']:.6g} mm"
        )
        offsets["axis"] = lengths["axis_offset_mm"]
    if geometry.is_volume:
        row_mm, pitch_mm = lengths["detector_row_pitch_mm"], lengths["detector_pitch_mm"]
        detector = f"{by(geometry.view_shape)} bins of {row_mm:.4g} x {pitch_mm:.4g} mm"
        offsets["detector rows"] = lengths["detector_row_offset_mm"]
    first, last = (math.degrees(angle) for angle in (min(geometry.angles_rad), max(geometry.angles_rad)))
    facts = {
        "views": f"{geometry.n_views}, from {first:.4g} to {last:.4g} degrees",
        "beam": beam,
        "detector": detector,
    }
    if geometry.name == "helical":
        facts |= _helix(cast("HelicalBeam", geometry))
    out_of_line = [f"{what} by {offset:.4g} mm" for what, offset in offsets.items() if offset]
    return facts | ({"out of line": ", ".join(out_of_line)} if out_of_line else {})


def _helix(geometry: HelicalBeam) -> Facts:
    heights = geometry.centre_z_mm
    facts = {
        "helix": f"from z {heights[0]:.5g} to {heights[-1]:.5g} mm, {abs(geometry.feed_mm):.4g} mm a turn, pitch "
        f"{geometry.pitch:.3g}"
    }
    if geometry.spots.any():
        facts["focal spot"] = f"flies among {len(np.unique(geometry.spots.round(5), axis=0))} places"
    return facts


def _grid(grid: Grid) -> Facts:
    sizes = [abs(step) for step in grid.steps_mm]
    if len(grid.shape) == 2 and sizes[0] == sizes[1]:
        sizes = sizes[:1]
    kind = "pixels" if len(grid.shape) == 2 else "voxels"
    facts = {"image grid": f"{by(grid.shape)} {kind} of {' x '.join(f'{size:.4g}' for size in sizes)} mm"}
    if any(grid.centre_mm):
        facts["image centre"] = f"({', '.join(f'{place:.4g}' for place in grid.centre_mm)}) mm from the axis"
    return facts
