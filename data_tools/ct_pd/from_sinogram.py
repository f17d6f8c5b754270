"""A helical scan of CT images as DICOM-CT-PD: what a scanner would have written of that patient."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from pydicom import Dataset

from ctresample.data_tools.ct_pd.write import write_projections
from ctresample.errors import UsageError
from ctresample.geometry import HelicalBeam
from ctresample.paths import StrPath
from ctresample.sinogram import Sinogram

_PATIENT_AND_STUDY = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
)


def write_sinogram_as_projections(sinogram: Sinogram, folder: StrPath) -> list[Path]:
    """One file a view, with the patient and study of the scan's headers and its heights in the patient's axes.

    The format places the rotation axis at x = y = 0: images of the projections lie where those of the series do along
    the patient, but centred on the axis across.

    Args:
        sinogram: of a helix, whose slices are axial.
        folder: new or empty.

    Raises:
        UsageError: another beam, or slices that are not axial from the feet to the head.
        OutputError: the folder cannot be written or is not empty.
    """
    geometry = sinogram.geometry
    if not isinstance(geometry, HelicalBeam):
        raise UsageError(f"projections (DICOM-CT-PD) are of helical scans; this is a {geometry.name} beam")
    directions = sinogram.affine[:3, :3] / np.linalg.norm(sinogram.affine[:3, :3], axis=0)
    if not np.allclose(directions, np.eye(3), atol=1e-3):
        raise UsageError("projections (DICOM-CT-PD) need axial slices, rows to the left and columns to the back")
    lowest_mm = float(sinogram.affine[2, 3]) - sinogram.grid.axes_mm[0][0]
    geometry = replace(geometry, centre_z_mm=tuple(z + lowest_mm for z in geometry.centre_z_mm))
    return write_projections(
        sinogram.values,
        geometry,
        folder,
        mu_water_per_mm=sinogram.mu_water_per_mm,
        photons=() if sinogram.photons is None else sinogram.photons,
        header=_header(sinogram),
    )


def _header(sinogram: Sinogram) -> Dataset:
    """Of the first slice what says whose scan it is."""
    whole = Dataset.from_json(dict(sinogram.headers[0])) if sinogram.headers else Dataset()
    kept = Dataset()
    for keyword in _PATIENT_AND_STUDY:
        if keyword in whole:
            kept.add(whole[keyword])
    return kept
