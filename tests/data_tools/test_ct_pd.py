"""DICOM-CT-PD: what is written is read again, by another path, too; and what is no whole series is refused."""

from __future__ import annotations

import math
import shutil
import struct
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from ctresample.data_tools.ct_pd.importing import import_projections
from ctresample.data_tools.ct_pd.series import find_projections, is_projection_folder
from ctresample.data_tools.ct_pd.write import write_projections
from ctresample.data_tools.describing import describe
from ctresample.data_tools.sinogram.reading import read_sinogram
from ctresample.errors import CTResampleError, SinogramError
from ctresample.geometry import HelicalBeam

MU = 0.0193
N = 24


def helix(n_views: int = 66, feed_mm: float = 12.0, **changes) -> HelicalBeam:
    """Coarse, and of a detector off the centre in both directions."""
    view = np.arange(n_views)
    parts = {
        "angles_rad": 2.0 - view * 2 * math.pi / N,
        "n_detectors": 24,
        "detector_pitch_mm": 20.0,
        "detector_offset_mm": 7.0,
        "source_to_axis_mm": 595.0,
        "source_to_detector_mm": 1085.6,
        "centre_z_mm": 300.0 + view * feed_mm / N,
        "n_detector_rows": 6,
        "detector_row_pitch_mm": 6.0,
        "detector_row_offset_mm": 1.5,
    }
    return HelicalBeam(**(parts | changes))


def flying(scan: HelicalBeam) -> HelicalBeam:
    odd = np.arange(scan.n_views) % 2
    return replace(scan, spot_z_mm=-0.66 * odd, spot_radial_mm=5.45 * odd, spot_angle_rad=3.4e-4 * odd)


@pytest.fixture(scope="module")
def series(tmp_path_factory, phantoms):
    """A folder of views, and what was written into it."""
    scan = helix()
    values = phantoms.helical_integrals(scan, [phantoms.Sphere(MU, (30.0, -20.0, 315.0), 60.0)])
    header = Dataset()
    header.PatientName, header.PatientID, header.StudyInstanceUID = "Nobody^None", "12", "1.2.3.4"
    folder = tmp_path_factory.mktemp("pd") / "views"
    write_projections(values, scan, folder, mu_water_per_mm=MU, photons=np.linspace(1e5, 2e5, 24), header=header)
    return folder, scan, values


def close(found: HelicalBeam, scan: HelicalBeam) -> bool:
    names = ("angles_rad", "centre_z_mm", "detector_offset_mm", "detector_row_offset_mm", "detector_pitch_mm")
    spots = np.allclose(found.spots, scan.spots, atol=1e-6)
    return spots and all(np.allclose(getattr(found, name), getattr(scan, name), atol=1e-4) for name in names)


@pytest.mark.parametrize("maker", ["SIEMENS", "GE MEDICAL SYSTEMS"])
@pytest.mark.parametrize("implicit", [True, False])
def test_geometry_and_order_survive(tmp_path, maker, implicit):
    scan = flying(helix(12))
    values = np.random.default_rng(1).uniform(0, 4, scan.shape)
    names = [f"{k:03d}.bin" for k in np.random.default_rng(2).permutation(12)]
    write_projections(values, scan, tmp_path / "pd", mu_water_per_mm=MU, maker=maker, implicit=implicit, names=names)
    (tmp_path / "pd" / "README").write_text("no projection")
    found = find_projections(tmp_path / "pd")
    assert close(found.geometry, scan)
    assert found.scanner.spot_mode == "FFSXYZ"
    assert found.left_out == {"not DICOM": 1}
    from ctresample.data_tools.ct_pd.view import read_values

    read = np.stack([found.ordered(read_values(view)[0]) for view in found.views], axis=1)
    np.testing.assert_allclose(read, values, atol=1e-4)


def test_stored_values_are_line_integrals_in_the_axes_of_the_format(series):
    """By pydicom and the formulas of the format's manual alone."""
    folder, _, _ = series
    sphere, radius = np.array([-30.0, -20.0, 315.0]), 60.0  # x of the scanner points to the right of one feet first
    for path in sorted(folder.iterdir())[::13]:
        view = pydicom.dcmread(path)

        def number(group, element, view=view):
            return np.array(struct.unpack(f"<{len(view[group, element].value) // 4}f", view[group, element].value))

        phi, z0, rho = (number(0x7031, element)[0] for element in (0x1001, 0x1002, 0x1003))
        d0, (column, row) = number(0x7031, 0x1031)[0], number(0x7031, 0x1033)
        du, dv = number(0x7029, 0x1002)[0], number(0x7029, 0x1006)[0]
        stored = np.frombuffer(view.PixelData, "<u2").reshape(view.Rows, view.Columns)
        found = stored * float(view.RescaleSlope) + float(view.RescaleIntercept)
        assert found.shape == (24, 6)
        angle = phi + (np.arange(1, 25)[:, None] - column) * du / d0
        source = np.array([-rho * math.sin(phi), rho * math.cos(phi), z0])
        towards = np.empty((24, 6, 3))
        towards[..., 0], towards[..., 1] = d0 * np.sin(angle), -d0 * np.cos(angle)
        towards[..., 2] = -(np.arange(1, 7) - row) * dv
        towards /= np.linalg.norm(towards, axis=-1, keepdims=True)
        near = (sphere - source) - towards * (towards @ (sphere - source))[..., None]
        chord = 2 * np.sqrt(np.maximum(radius**2 - (near**2).sum(-1), 0))
        np.testing.assert_allclose(found, MU * chord, atol=2e-4)


def test_an_import_streams_into_a_sinogram_file(series, tmp_path):
    folder, scan, values = series
    notes: list[str] = []
    head = import_projections(folder, tmp_path / "scan.h5", on_note=notes.append)
    read = read_sinogram(tmp_path / "scan.h5")
    assert close(read.geometry, scan)
    np.testing.assert_allclose(read.values, values, atol=1e-4)
    assert (read.mu_water_per_mm, read.grid) == (pytest.approx(MU), head.grid)
    np.testing.assert_allclose(read.photons[5], np.linspace(1e5, 2e5, 24), rtol=1e-6)
    assert read.headers[0]["0020000D"]["Value"] == ["1.2.3.4"]
    assert "00080018" not in read.headers[0]
    assert not any("Nobody" in note for note in notes)
    facts = describe(tmp_path / "scan.h5")
    assert facts["helix"].endswith("12 mm a turn, pitch 0.608")


def test_info_names_no_patient(series):
    facts = describe(series[0])
    assert facts["maker"] == "SIEMENS"
    assert facts["views"] == "66 in 2.75 turns, 24 a turn"
    assert facts["focal spot"] == "FFSNONE"
    assert "Nobody" not in str(facts)
    assert is_projection_folder(series[0])


def changed(path, change):
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.save_as(path)


def put(element, value):
    def change(dataset):
        dataset[element].value = value

    return change


def without(element):
    def change(dataset):
        del dataset[element]

    return change


NAN = struct.pack("<f", math.nan)
BAD_VIEWS = {
    "another series": (put("SeriesInstanceUID", "1.2.3"), "2 series"),
    "a copy": (put("InstanceNumber", 4), "view 4 is there 2 times"),
    "NaN": (put((0x7031, 0x1001), NAN), r"DetectorFocalCenterAngularPosition \(7031,1001\)"),
    "another study": (put("StudyInstanceUID", "1.2.3.5"), "of another study"),
    "another patient": (put("PatientID", "13"), "of another patient"),
    "a leap": (put((0x7031, 0x1002), struct.pack("<f", -1.0)), "DetectorFocalCenterAxialPosition is -1 mm, between"),
    "turned": (put((0x7031, 0x1001), struct.pack("<f", 5.0)), "DetectorFocalCenterAngularPosition is .* neighbours"),
    "no height": (without((0x7031, 0x1002)), r"DetectorFocalCenterAxialPosition \(7031,1002\) is missing"),
    "another detector": (put((0x7031, 0x1031), struct.pack("<f", 900.0)), "to_detector_mm is 900"),
    "no order": (without("InstanceNumber"), "InstanceNumber"),
    "no logarithm": (put((0x7039, 0x1009), b"NO"), "LogFlag"),
    "flat": (put((0x7029, 0x100B), b"FLAT"), "DetectorShape is FLAT"),
    "cut short": (put("PixelData", b"\0" * 20), "holds 20 bytes of values; expected 288"),
    "no rescale": (without("RescaleSlope"), "RescaleSlope"),
    "odd rescale": (put("RescaleSlope", "1000"), "no line integrals"),
}


@pytest.mark.parametrize(("change", "said"), BAD_VIEWS.values(), ids=BAD_VIEWS.keys())
def test_a_bad_view_is_refused_and_nothing_left_behind(series, tmp_path, change, said):
    shutil.copytree(series[0], tmp_path / "views")
    changed(tmp_path / "views" / "00013.dcm", change)
    with pytest.raises(CTResampleError, match=said) as refused:
        import_projections(tmp_path / "views", tmp_path / "scan.h5")
    assert "\n" not in str(refused.value) and "Nobody" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["views"]


def test_missing_views_are_named(series, tmp_path):
    shutil.copytree(series[0], tmp_path / "views")
    for number in (20, 21, 40):
        (tmp_path / "views" / f"{number:05d}.dcm").unlink()
    with pytest.raises(CTResampleError, match="3 of 66 views are missing, the first after view 19"):
        find_projections(tmp_path / "views")


def test_a_helix_too_fast_for_its_detector(tmp_path):
    scan = helix(feed_mm=60.0)
    write_projections(np.zeros(scan.shape), scan, tmp_path / "views", mu_water_per_mm=MU)
    with pytest.raises(SinogramError, match="too fast for its detector"):
        import_projections(tmp_path / "views", tmp_path / "scan.h5")


def test_folders_of_something_else(tmp_path):
    assert not is_projection_folder(tmp_path)
    with pytest.raises(CTResampleError, match="no projections"):
        find_projections(tmp_path)
