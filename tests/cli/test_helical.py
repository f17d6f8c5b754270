"""Projections of a clinical scanner to images: the way of the page "From your scanner to an image"."""

from __future__ import annotations

import math

import numpy as np
import pydicom
import pytest

from ctresample.data_tools.ct_pd.write import write_projections
from ctresample.geometry import HelicalBeam

MU, WATER = 0.0192, (20.0, -15.0, 100.0)
N = 80


@pytest.fixture(scope="module")
def imported(tmp_path_factory, phantoms, cli):
    """A sphere of water with a denser one inside, on two and a half turns of a coarse scanner."""
    home = tmp_path_factory.mktemp("helix")
    view = np.arange(int(2.6 * N))
    odd = view % 2
    scan = HelicalBeam(
        angles_rad=1.0 - view * 2 * math.pi / N,
        n_detectors=96,
        detector_pitch_mm=6.0,
        detector_offset_mm=1.5,
        source_to_axis_mm=595.0,
        source_to_detector_mm=1085.6,
        centre_z_mm=80.0 + 16.0 * view / N,
        n_detector_rows=8,
        detector_row_pitch_mm=4.4,
        spot_z_mm=-0.66 * odd,
        spot_radial_mm=5.45 * odd,
    )
    spheres = [phantoms.Sphere(MU, WATER, 70.0), phantoms.Sphere(0.3 * MU, (45.0, -15.0, 100.0), 18.0)]
    header = pydicom.Dataset()
    header.PatientName, header.PatientID, header.StudyInstanceUID = "Doe^Jane", "P1", "1.2.3.77"
    values = phantoms.helical_integrals(scan, spheres)
    write_projections(values, scan, home / "views", mu_water_per_mm=MU, header=header, photons=[1e4] * 96)
    done = cli("import", home / "views", "-o", home / "scan.h5")
    assert done.exit_code == 0, done.output
    return home


def hu_of(folder):
    images = sorted((pydicom.dcmread(path) for path in folder.glob("*.dcm")), key=lambda ds: ds.ImagePositionPatient[2])
    hu = np.stack([ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept) for ds in images])
    return images, hu


def core(images, hu, centre, radius):
    """Values of a sphere given in the patient's axes, found by the positions that the images state."""
    found = []
    for ds, one in zip(images, hu, strict=True):
        x0, y0, z = map(float, ds.ImagePositionPatient)
        row, column = map(float, ds.PixelSpacing)
        x = x0 + column * np.arange(ds.Columns)
        y = (y0 + row * np.arange(ds.Rows))[:, None]
        inside = (x - centre[0]) ** 2 + (y + centre[1]) ** 2 + (z - centre[2]) ** 2 < radius**2
        found.append(one[inside])
    return np.concatenate(found)


def test_weighted_fbp_is_right_where_the_images_say_it_is(cli, imported, tmp_path):
    scan, out = imported / "scan.h5", tmp_path / "out"
    options = ("--method", "fbp", "--window", "ramp", "--device", "cpu", "--size", "96", "--z-range", "96:104")
    done = cli("reconstruct", scan, "-o", out, *options, "--slice-step", "2")
    assert done.exit_code == 0, done.output
    images, hu = hu_of(out / "dicom")
    assert [float(ds.ImagePositionPatient[2]) for ds in images] == [96, 98, 100, 102, 104]
    assert {(str(ds.PatientName), ds.PatientID, ds.StudyInstanceUID) for ds in images} == {
        ("Doe^Jane", "P1", "1.2.3.77")
    }
    assert core(images, hu, (0.0, -15.0, 100.0), 12).mean() == pytest.approx(0, abs=3)
    assert core(images, hu, (45.0, -15.0, 100.0), 8).mean() == pytest.approx(300, abs=3)
    # the edge, along x through the centre of the water: where the profile passes the middle between air and water
    middle = images[2]
    y0, step = float(middle.ImagePositionPatient[1]), float(middle.PixelSpacing[0])
    row = hu[2, round((15.0 - y0) / step)]
    x = float(middle.ImagePositionPatient[0]) + step * np.arange(middle.Columns)
    left = x < 0
    assert np.interp(-500, row[left], x[left]) == pytest.approx(20 - 70, abs=step / 2)


def test_a_preview_says_so(cli, imported, tmp_path):
    options = ("--method", "fbp", "--device", "cpu", "--size", "64", "--z-range", "98:102", "--slice-step", "4")
    done = cli("reconstruct", imported / "scan.h5", "-o", tmp_path / "out", "--rebin", *options)
    assert done.exit_code == 0, done.output
    images, hu = hu_of(tmp_path / "out" / "dicom")
    assert core(images, hu, (0.0, -15.0, 100.0), 15).mean() == pytest.approx(0, abs=10)
    assert "single-slice rebinning" in (tmp_path / "out" / "run.json").read_text()


def test_iterative_methods_use_the_true_rays_of_a_slab(cli, imported, tmp_path):
    options = ("--method", "tv", "--device", "cpu", "--size", "48", "--z-range", "98:102", "--slice-step", "4")
    done = cli("reconstruct", imported / "scan.h5", "-o", tmp_path / "out", "--every", "2", *options)
    assert done.exit_code == 0, done.output
    images, hu = hu_of(tmp_path / "out" / "dicom")
    assert len(images) == 2
    water = core(images, hu, (0.0, -15.0, 100.0), 20)
    # no checkerboard, either: voxels of 6 mm cannot explain what the rays of 3 mm saw up to its noise
    assert np.abs(water).max() < 5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--z-range", "20:60"), "reach beyond what the helix saw"),
        (("--z-range", "104:96"), "expected LOW:HIGH"),
        (("--z-range", "everything"), "is no range"),
        (("--pixel-size", "5"), "the scan's field of view"),
        (
            ("--residual-map",),
            "a residual map of a helical scan is not there; leave it out, or use",
        ),
        (("--origin-map",), "an origin map of a helical scan is not there"),
    ],
)
def test_bad_slices_in_one_line(cli, imported, tmp_path, options, said):
    done = cli("reconstruct", imported / "scan.h5", "-o", tmp_path / "out", "--method", "fbp", *options)
    assert done.exit_code in (1, 2)
    assert said in done.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_info(cli, imported):
    assert "DICOM-CT-PD" in cli("info", imported / "views").output
    said = cli("info", imported / "scan.h5").output
    assert "16 mm a turn" in said and "flies among 2 places" in said
