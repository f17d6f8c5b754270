"""A small CT series, a prior with random weights, and a way to run the command line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from typer.testing import CliRunner, Result

SIZE = 32
PIXEL_MM = 10.0


def phantom_hu(z: int) -> np.ndarray:
    """A chest in ellipses: air, soft tissue, two lungs, a spine that moves with the slice."""
    y, x = (np.mgrid[:SIZE, :SIZE] - SIZE / 2) / SIZE
    hu = np.full((SIZE, SIZE), -1000)
    hu[(x / 0.42) ** 2 + (y / 0.3) ** 2 < 1] = 40
    for side in (-0.18, 0.18):
        hu[((x - side) / 0.12) ** 2 + (y / 0.18) ** 2 < 1] = -850
    hu[(x - 0.01 * z) ** 2 + (y - 0.15) ** 2 < 0.04**2] = 700
    return hu


def write_series(folder: Path, n: int = 3, series: str = "1", pixel_mm: float = PIXEL_MM) -> Path:
    """Write ``n`` slices of the phantom as a CT series."""
    folder.mkdir(parents=True, exist_ok=True)
    for z in range(n):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, f"1.2.3.{series}.9.{z + 1}"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = f"1.2.3.{series}", f"1.2.3.{series}.1"
        ds.FrameOfReferenceUID, ds.Modality = f"1.2.3.{series}.2", "CT"
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.PatientName, ds.PatientID, ds.StudyDate, ds.InstanceNumber = "Doe^Jane", "P1", "20200304", z + 1
        ds.ImagePositionPatient, ds.ImageOrientationPatient = [-160, -160, 30 + 2.5 * z], [1, 0, 0, 0, 1, 0]
        ds.PixelSpacing, ds.SliceThickness = [pixel_mm, pixel_mm], 2.5
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.Rows, ds.Columns = SIZE, SIZE
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
        ds.RescaleSlope, ds.RescaleIntercept = 1, -1024
        ds.PixelData = (phantom_hu(z) + 1024).astype("<i2").tobytes()
        ds.save_as(folder / f"{series}-{z:03d}.dcm", enforce_file_format=True)
    return folder


@pytest.fixture(scope="package", autouse=True)
def one_thread(in_one_thread):
    """Images this small only make threads wait for each other, for seconds where the machine is busy."""
    with in_one_thread():
        yield


@pytest.fixture(scope="session")
def make_series() -> Callable[..., Path]:
    return write_series


@pytest.fixture(scope="session")
def series(tmp_path_factory) -> Path:
    """A folder with one CT series of three slices."""
    return write_series(tmp_path_factory.mktemp("source") / "series")


@pytest.fixture(scope="session")
def prior(tmp_path_factory, toy_prior) -> Path:
    """A prior that fits 32 x 32 images and knows nothing."""
    folder = tmp_path_factory.mktemp("priors") / "toy"
    toy_prior.random_prior().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def cli() -> Callable[..., Result]:
    """Run the command line in this process: ``cli("info", path)``."""
    from ctresample.cli import app

    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="session")
def scan(tmp_path_factory, series, cli) -> Path:
    """The series scanned with 12 noisy views."""
    path = tmp_path_factory.mktemp("scans") / "scan.h5"
    done = cli("simulate", series, "-o", path, "--views", 12, "--size", SIZE, "--photons", "1e5")
    assert done.exit_code == 0, done.output
    return path
