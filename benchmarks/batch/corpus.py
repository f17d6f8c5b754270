"""A folder as an archive might export it: good, broken, mixed and compressed series, and sinogram files.

Run: python benchmarks/batch/corpus.py FOLDER
Made from the demo slices, shrunk so that a batch of all takes seconds.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

import ctresample
from ctresample.data_tools.dicom.discovery import find_series
from ctresample.data_tools.dicom.series import load_series
from ctresample.data_tools.sinogram.writing import write_sinogram
from ctresample.pipelines.scan.simulate import simulate

SLICES = sorted((Path(ctresample.__file__).parent / "demo_data").glob("*.dcm"))
SIZE = 48
PIXEL_MM = 8.5
STEP_MM = 2.5

Change = Callable[[int, Dataset], None]


def shrunk(path: Path) -> Dataset:
    """A demo slice of `SIZE` x `SIZE` pixels."""
    dataset = dcmread(path)
    hu = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    factor = len(hu) // SIZE
    hu = hu[: factor * SIZE, : factor * SIZE].reshape(SIZE, factor, SIZE, factor).mean(axis=(1, 3))
    dataset.decompress(generate_instance_uid=False)
    dataset.Rows = dataset.Columns = SIZE
    dataset.PixelSpacing = [PIXEL_MM, PIXEL_MM]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
    dataset.PixelData = (np.clip(hu, -1024, 3000) + 1024).round().astype("<i2").tobytes()
    return dataset


def write_series(folder: Path, name: str, *, n: int = 3, first: int = 0, change: Change | None = None) -> None:
    """Write slices of the demo as a series of its own.

    Args:
        folder: existing or not.
        name: of the series: its UIDs follow from it.
        n: slices.
        first: the demo slice to begin with.
        change: told each slice's number, to spoil its data set before it is written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for z in range(n):
        dataset = shrunk(SLICES[0])  # the others are of other patients: their headers would part the series
        dataset.PixelData = shrunk(SLICES[(first + z) % len(SLICES)]).PixelData
        dataset.SeriesInstanceUID = generate_uid(entropy_srcs=[name])
        dataset.StudyInstanceUID = generate_uid(entropy_srcs=[name, "study"])
        dataset.FrameOfReferenceUID = generate_uid(entropy_srcs=[name, "frame"])
        dataset.SOPInstanceUID = generate_uid(entropy_srcs=[name, str(z)])
        dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = "Planted^Name", "PLANTED-ID", "19340506"
        dataset.ImageOrientationPatient, dataset.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, STEP_MM * z]
        for keyword in ("SpacingBetweenSlices", "SliceLocation"):
            dataset.pop(keyword, None)
        if change:
            change(z, dataset)
        dataset.save_as(folder / f"{name}-{z:03d}", enforce_file_format=True)


def make_corpus(folder: Path, *, n_good: int = 14) -> dict[str, list[str]]:
    """Make the folder.

    Returns:
        Of each place, as ``sources.csv`` has it, the statuses that its series must get.
    """
    expected: dict[str, list[str]] = {}

    def series(place: str, name: str, status: str, *, n: int = 3, first: int = 0, change: Change | None = None) -> None:
        write_series(folder / place, name, n=n, first=first, change=change)
        expected[place] = sorted([*expected.get(place, []), status])

    for number in range(n_good):
        series(f"study {number // 3}/good {number}", f"good{number}", "done", n=2 + number % 4, first=number)
    for number in range(3):
        series("mixed", f"mixed{number}", "done", first=number)
    for syntax in (RLELossless, JPEG2000Lossless, JPEGLSLossless):
        series(f"compressed/{syntax.keyword}", f"packed{syntax[-2:]}", "done", change=_compressed(syntax))
    for syntax in (ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian):
        series(f"compressed/{syntax.keyword}", f"packed{syntax[-4:]}", "done", change=_written_as(syntax))
    series("one slice", "lone", "done", n=1)
    series("localizer beside", "beside", "done")
    write_series(folder / "localizer beside", "scout", n=1, change=_localizer)
    series("oblique", "oblique", "done", change=_oblique)
    series("gap", "gap", "skipped", n=5, change=change_of_place(3, 40.0))
    series("duplicate", "duplicate", "skipped", n=4, change=change_of_place(3, 2 * STEP_MM))
    series("tilt", "tilt", "skipped", n=4, change=_tilted)
    series("no rescale", "norescale", "failed", change=_without_rescale)
    series("cut off", "cutoff", "failed")
    _cut(folder / "cut off" / "cutoff-001", 0.6)
    series("unknown coding", "coding", "failed", change=_garbage)
    write_series(folder / "damaged header", "header", n=1)
    _cut(folder / "damaged header" / "header-000", 0.15)
    (folder / "notes.txt").write_text("no image")
    (folder / "empty.dcm").touch()
    expected |= _sinograms(folder)
    return expected


def _sinograms(folder: Path) -> dict[str, list[str]]:
    volume = load_series(find_series(folder / "one slice").series[0])
    for number in range(2):
        write_sinogram(simulate(volume, n_views=30, size=SIZE, photons=1e5, seed=number), folder / f"scan {number}.h5")
    whole = (folder / "scan 0.h5").read_bytes()
    (folder / "scan cut off.h5").write_bytes(whole[: len(whole) // 2])
    return {"scan 0.h5": ["done"], "scan 1.h5": ["done"], "scan cut off.h5": ["skipped"]}


def _compressed(syntax: str) -> Change:
    return lambda _, dataset: dataset.compress(syntax, generate_instance_uid=False)


def _written_as(syntax: str) -> Change:
    def change(_: int, dataset: Dataset) -> None:
        dataset.file_meta.TransferSyntaxUID = syntax

    return change


def _localizer(_: int, dataset: Dataset) -> None:
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]


def _oblique(z: int, dataset: Dataset) -> None:
    cosine, sine = np.cos(0.2), np.sin(0.2)
    dataset.ImageOrientationPatient = [1, 0, 0, 0, float(f"{cosine:.8f}"), float(f"{sine:.8f}")]
    dataset.ImagePositionPatient = [0, float(f"{-sine * STEP_MM * z:.6f}"), float(f"{cosine * STEP_MM * z:.6f}")]


def change_of_place(number: int, z_mm: float) -> Change:
    """Puts one slice at another height."""

    def change(z: int, dataset: Dataset) -> None:
        if z == number:
            dataset.ImagePositionPatient = [0, 0, z_mm]

    return change


def _tilted(z: int, dataset: Dataset) -> None:
    dataset.ImagePositionPatient = [0, PIXEL_MM / 3 * z, STEP_MM * z]


def _without_rescale(_: int, dataset: Dataset) -> None:
    del dataset.RescaleSlope, dataset.RescaleIntercept


def _garbage(z: int, dataset: Dataset) -> None:
    dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
    if z == 1:
        dataset.PixelData = dataset.PixelData[:60] + bytes(len(dataset.PixelData) - 60)


def _cut(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


def main() -> None:
    """Make it and print what to expect."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="new")
    for place, statuses in make_corpus(parser.parse_args().folder).items():
        print(f"{place}: {', '.join(statuses)}")


if __name__ == "__main__":
    main()
