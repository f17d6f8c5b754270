"""Synthetic CT series, and independent programs to judge DICOM files."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

UPRIGHT = (1, 0, 0, 0, 1, 0)


def _decimal(value: float) -> str:
    return f"{value:.10g}"[:16]


def ct_dataset(stored: np.ndarray, position, orientation=UPRIGHT, spacing=(0.8, 0.7), series="1") -> Dataset:
    """A CT image as a scanner would write it, 16 bits signed; ``spacing`` is (row, column) in mm."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.SOPClassUID = CTImageStorage
    ds.SOPInstanceUID = generate_uid()
    ds.StudyInstanceUID = f"1.2.3.{series}"
    ds.SeriesInstanceUID = f"1.2.3.{series}.1"
    ds.FrameOfReferenceUID = f"1.2.3.{series}.2"
    ds.Modality = "CT"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "Doe^Jane", f"P{series}", "19600102", "F"
    ds.StudyDate, ds.StudyTime, ds.StudyID, ds.AccessionNumber = "20200304", "101112", "S1", "A1"
    ds.ReferringPhysicianName = "Roe^Richard"
    ds.Manufacturer, ds.ManufacturerModelName, ds.SoftwareVersions = "SCANNER WORKS", "Spiral 64", "v7"
    ds.SeriesNumber, ds.InstanceNumber, ds.AcquisitionNumber = 3, 1, 1
    ds.PatientPosition, ds.BodyPartExamined, ds.KVP, ds.SliceThickness = "HFS", "CHEST", "120", "2.5"
    ds.PositionReferenceIndicator = None
    ds.ImagePositionPatient = [_decimal(value) for value in position]
    ds.ImageOrientationPatient = [_decimal(value) for value in orientation]
    ds.PixelSpacing = [_decimal(value) for value in spacing]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = stored.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.RescaleSlope, ds.RescaleIntercept = "1", "-1024"
    ds.PixelData = stored.astype("<i2").tobytes()
    return ds


def save(ds: Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    return path


def make_series(
    folder: Path,
    *,
    n: int = 5,
    shape: tuple[int, int] = (12, 16),
    orientation=UPRIGHT,
    origin=(-10.5, 20.25, 30.0),
    step_mm: float = 2.5,
    spacing: tuple[float, float] = (0.8, 0.7),
    series: str = "1",
    edit: Callable[[Dataset, int], None] = lambda ds, z: None,
    name: Callable[[int], str] = lambda z: f"{z:03d}.dcm",
) -> np.ndarray:
    """Write ``n`` slices of distinct values upwards along the normal; returns stored values - 1024, [z, y, x]."""
    normal = np.cross(orientation[:3], orientation[3:])
    stored = np.random.default_rng(7).integers(0, 3000, (n, *shape))
    for z in range(n):
        ds = ct_dataset(stored[z], np.add(origin, z * step_mm * normal), orientation, spacing, series)
        ds.InstanceNumber = z + 1
        edit(ds, z)
        save(ds, folder / name(z))
    return stored - 1024


def make_multi_frame(
    path: Path,
    *,
    n: int = 5,
    order: Sequence[int] | None = None,
    intercepts: Sequence[float] = (-1024,),
    sop_class: str = EnhancedCTImageStorage,
    orientation=UPRIGHT,
    edit: Callable[[Dataset, int], None] = lambda frame, z: None,
    finish: Callable[[Dataset], None] = lambda ds: None,
    series: str = "1",
) -> np.ndarray:
    """Write one multi-frame image of ``n`` slices as in `make_series`, frames in any ``order`` of the slices.

    One intercept stands in the shared functional groups, several in those of each frame. ``edit`` is given the
    functional groups of each frame. Returns HU, [z, y, x], upwards along the normal.
    """
    normal = np.cross(orientation[:3], orientation[3:])
    stored = np.random.default_rng(7).integers(0, 3000, (n, 12, 16))
    order = list(range(n) if order is None else order)
    ds = ct_dataset(stored[0], (0, 0, 0), orientation, series=series)
    shared, own_rescale = Dataset(), len(intercepts) > 1

    def group(**elements):
        item = Dataset()
        for keyword, value in elements.items():
            setattr(item, keyword, value)
        return [item]

    def rescale(intercept):
        return group(RescaleIntercept=f"{intercept:g}", RescaleSlope="1", RescaleType="HU")

    shared.PixelMeasuresSequence = group(PixelSpacing=ds.PixelSpacing, SliceThickness="2.5")
    shared.PlaneOrientationSequence = group(ImageOrientationPatient=ds.ImageOrientationPatient)
    shared.CTImageFrameTypeSequence = group(FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"])
    if not own_rescale:
        shared.PixelValueTransformationSequence = rescale(intercepts[0])
    frames = []
    for number, z in enumerate(order, 1):
        frame = Dataset()
        position = [_decimal(value) for value in np.add((-10.5, 20.25, 30.0), z * 2.5 * normal)]
        frame.PlanePositionSequence = group(ImagePositionPatient=position)
        frame.FrameContentSequence = group(StackID="1", InStackPositionNumber=z + 1, DimensionIndexValues=[1, number])
        if own_rescale:
            frame.PixelValueTransformationSequence = rescale(intercepts[z])
        edit(frame, z)
        frames.append(frame)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(ds, keyword)
    del ds.RescaleSlope, ds.RescaleIntercept
    ds.SOPClassUID, ds.NumberOfFrames, ds.ImageType = sop_class, n, ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    ds.SharedFunctionalGroupsSequence, ds.PerFrameFunctionalGroupsSequence = [shared], frames
    ds.PixelData = stored[order].astype("<i2").tobytes()
    finish(ds)
    save(ds, path)
    return stored + np.resize(intercepts, n)[:, None, None]


def read_with_simpleitk(place: Path) -> SimpleNamespace:
    """Values [z, y, x] and the affine of a folder or of one file, as an independent reader sees them."""
    import SimpleITK

    names = [str(place)]
    if place.is_dir():
        reader = SimpleITK.ImageSeriesReader()
        names = reader.GetGDCMSeriesFileNames(str(place))
        reader.SetFileNames(names)
        image = reader.Execute()
    else:
        image = SimpleITK.ReadImage(names[0])
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return SimpleNamespace(hu=SimpleITK.GetArrayFromImage(image), affine=affine, names=names)


@pytest.fixture(scope="session")
def dicom(dicom_complaints) -> SimpleNamespace:
    """The functions above: pytest imports this file under no name that a test could import."""
    return SimpleNamespace(
        ct_dataset=ct_dataset,
        save=save,
        make_series=make_series,
        make_multi_frame=make_multi_frame,
        read_with_simpleitk=read_with_simpleitk,
        complaints=dicom_complaints,
    )
