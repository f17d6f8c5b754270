"""Write a helical scan as DICOM-CT-PD: for tests, and for those who simulate."""

from __future__ import annotations

import copy
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydicom import Dataset, FileDataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

from ctresample.data_tools.ct_pd import tags
from ctresample.errors import UsageError
from ctresample.files import as_output_error, whole_folder
from ctresample.geometry import HelicalBeam
from ctresample.paths import StrPath, as_path

Maker = Literal["SIEMENS", "GE MEDICAL SYSTEMS"]
_CREATORS = {
    0x7029: "DetectorSystemArrangementModule",
    0x7031: "DetectorDynamicsModule",
    0x7033: "SourceDynamicsModule",
    0x7037: "ProjectionDataDefinitionsModule",
    0x7039: "PreprocessingFlagsModule",
    0x7041: "WaterAttenuationModule",
}
_VR = {tags.N_ROWS: "US", tags.N_COLUMNS: "US", tags.WATER: "DS"}
_TEXT = (tags.SHAPE, tags.SPOT_MODE, tags.KIND, tags.LOG_DONE)


def write_projections(
    values: NDArray[np.floating],
    geometry: HelicalBeam,
    folder: StrPath,
    *,
    mu_water_per_mm: float,
    photons: ArrayLike = (),
    maker: Maker = "SIEMENS",
    implicit: bool = True,
    names: Sequence[str] | None = None,
    header: Dataset | None = None,
) -> list[Path]:
    """One file a view, of a patient feet first supine.

    Args:
        values: line integrals ``[row, view, column]`` of the geometry.
        geometry: the scan.
        folder: new or empty.
        mu_water_per_mm: attenuation of water that HU refer to.
        photons: sent to each column, of all views or ``[view, column]``; or along every ray.
        maker: GE counts the central column from the other end, from 0.
        implicit: in implicit VR, as archives have it; else explicit.
        names: of the files, a view each; by default numbers.
        header: patient and study; by default of nobody.

    Returns:
        The files, in the order of the views.

    Raises:
        UsageError: values of another shape.
        OutputError: the folder cannot be written or is not empty.
    """
    folder = as_path(folder, "folder")
    if values.shape != geometry.shape:
        raise UsageError(f"values have shape {values.shape}; expected {geometry.shape}")
    photons = np.asarray(photons, np.float64)
    if photons.size:
        photons = np.broadcast_to(photons, geometry.shape[1:])
    names = names or [f"{number + 1:05d}.dcm" for number in range(geometry.n_views)]
    study, series, frame = (generate_uid() for _ in range(3))
    study = study if header is None else header.get("StudyInstanceUID", study)
    spots = geometry.spots
    flies = "".join(part for part, there in (("XY", spots[:, :2].any()), ("Z", spots[:, 2].any())) if there)
    # a spot that flies along the axis also moves outwards, on its slanted anode
    mode = "FFSZ" if spots[:, 2].any() and not spots[:, 0].any() else f"FFS{flies or 'NONE'}"
    central = (geometry.n_detectors - 1) / 2 - geometry.detector_offset_mm / geometry.detector_pitch_mm
    column = geometry.n_detectors - central - 1 if maker == "GE MEDICAL SYSTEMS" else central + 1
    # rows are stored from the head down
    row = (geometry.n_detector_rows - 1) / 2 + geometry.detector_row_offset_mm / geometry.detector_row_pitch_mm + 1
    shared = {
        tags.SHAPE: "CYLINDRICAL",
        tags.COLUMN_PITCH: (geometry.detector_pitch_mm,),
        tags.ROW_PITCH: (geometry.detector_row_pitch_mm,),
        tags.N_ROWS: (geometry.n_detector_rows,),
        tags.N_COLUMNS: (geometry.n_detectors,),
        tags.RADIUS: (geometry.source_to_axis_mm,),
        tags.TO_DETECTOR: (geometry.source_to_detector_mm,),
        tags.CENTRE: (column, row),
        tags.SPOT_MODE: mode,
        tags.KIND: "HELICAL",
        tags.LOG_DONE: "YES",
        tags.WATER: (mu_water_per_mm,),
    }
    with whole_folder(folder) as unfinished, as_output_error(folder):
        for number in range(geometry.n_views):
            private: dict[int, Any] = {
                tags.ANGLE: (_wrapped(np.pi - geometry.angles_rad[number]),),
                tags.HEIGHT: (geometry.centre_z_mm[number],),
                tags.SPOT_ANGLE: (-spots[number, 0],),
                tags.SPOT_RADIUS: (spots[number, 1],),
                tags.SPOT_HEIGHT: (spots[number, 2],),
            }
            if photons.size:
                private[tags.PHOTONS] = tuple(photons[number].tolist())
            dataset = _file(values[::-1, number].T, implicit)
            for element in header or ():
                dataset.add(copy.deepcopy(element))
            dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = study, series, frame
            dataset.InstanceNumber, dataset.Manufacturer, dataset.PatientPosition = number + 1, maker, "FFS"
            for tag, value in sorted((shared | private).items()):
                _add(dataset, tag, value, implicit)
            dataset.save_as(unfinished / names[number], enforce_file_format=True)
    return [folder / name for name in names]


def _wrapped(angle: float) -> float:
    return float((angle + np.pi) % (2 * np.pi) - np.pi)


def _file(stored: NDArray[np.floating], implicit: bool) -> FileDataset:
    """Channels are rows of the array; every view has a slope of its own."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
    meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    dataset.PatientName = dataset.PatientID = dataset.StudyDate = dataset.StudyTime = ""
    dataset.Modality = "CT"
    low, high = float(stored.min()), float(stored.max())
    # 12 significant digits fit the 16 characters of a decimal string, and decide what is stored
    slope, intercept = float(f"{max(high - low, 1e-6) / 65000:.9e}"), float(f"{low:.8e}")
    dataset.RescaleSlope, dataset.RescaleIntercept = f"{slope:.9e}", f"{intercept:.8e}"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    counts = np.rint((stored - intercept) / slope).clip(0, 65535).astype("<u2")
    dataset.PixelData = np.ascontiguousarray(counts).tobytes()
    return dataset


def _add(dataset: Dataset, tag: int, value: Any, implicit: bool) -> None:
    """In implicit VR as bytes of unknown representation: so pydicom writes what no dictionary of it has."""
    group = tag >> 16
    dataset.add_new((group, 0x0010), "LO", _CREATORS[group])
    if tag in _TEXT:
        dataset.add_new(tag, "CS", value)
        return
    vr = _VR.get(tag, "FL")
    if vr == "DS":
        dataset.add_new(tag, "DS", f"{value[0]:.6g}")
    elif implicit:
        code = "H" if vr == "US" else "f"
        dataset.add_new(tag, "UN", struct.pack(f"<{len(value)}{code}", *value))
    else:
        dataset.add_new(tag, vr, list(value) if len(value) > 1 else value[0])
