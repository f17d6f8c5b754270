"""LoDoPaB-CT: simulated low-dose scans of one slice each, whose files say nothing about the scan.

Leuschner, Schmidt, Baguer and Maass, "LoDoPaB-CT, a benchmark dataset for low-dose computed tomography
reconstruction", Scientific Data 8, 109 (2021), doi:10.1038/s41597-021-00893-z, and the code it was made with.
"""

from __future__ import annotations

import math
from pathlib import Path

import h5py
import numpy as np

from ctresample.data_tools.importers.readings import Facts, Readings
from ctresample.data_tools.sinogram.hdf5_checks import dataset
from ctresample.errors import SinogramError

N_VIEWS, N_DETECTORS, IMAGE_SIZE, FIELD_MM = 1000, 513, 362, 260.0
PHOTONS = 4096.0
MU_WATER_PER_MM = 0.02
MU_MAX_PER_M = 20 + 3071 * (20 - 0.02) / 1000
"""What images and line integrals (of lengths in m) were divided by: attenuation at 3071 HU, 81.35858."""


def facts() -> Facts:
    """The scan of every file.

    1000 views in the middles of equal steps over [0, 180) degrees; 513 bins that together span the diagonal of the
    square field of 26 cm. The rows of the published images run along x and their columns along y of the geometry that
    made them, so a quarter turn brings the images out as they are published.
    """
    step = 180 / N_VIEWS
    return {
        "quantity": "line_integral",
        "axes": "slice,view,detector",
        "geometry": {
            "type": "parallel",
            "angles_deg": [step * (view + 0.5) - 90 for view in range(N_VIEWS)],
            "angle_direction": "counterclockwise",
            "detector_pitch_mm": FIELD_MM * math.sqrt(2) / N_DETECTORS,
        },
        "photons": PHOTONS,
        "mu_water_per_mm": MU_WATER_PER_MM,
        "slice_step_mm": 1.0,  # nominal: the slices of a file are of different patients
        "image": {"rows": IMAGE_SIZE, "columns": IMAGE_SIZE, "pixel_size_mm": FIELD_MM / IMAGE_SIZE},
        "origin": "LoDoPaB-CT, simulated with 4096 photons a ray",
    }


def read(file: h5py.File, path: Path) -> Readings:
    """An observation file, its values multiplied back to line integrals."""
    stored = dataset(file, "/data", path, ndim=3, kind="floating")
    if stored is None or stored.shape[1:] != (N_VIEWS, N_DETECTORS):
        found = "is not there" if stored is None else f"has shape {stored.shape}"
        raise SinogramError(
            f"{path}: /data {found}; expected (slices, {N_VIEWS}, {N_DETECTORS}), an observation file of LoDoPaB-CT"
        )
    values = np.empty(stored.shape, np.float32)
    stored.read_direct(values)
    values *= np.float32(MU_MAX_PER_M)
    return Readings("LoDoPaB-CT (HDF5)", values, facts())
