"""``ctresample simulate`` and ``lower-dose``: every option arrives, and wrong ones leave nothing behind."""

import json

import numpy as np
import pytest

from ctresample.data_tools.sinogram.reading import read_sinogram
from ctresample.geometry import ConeBeam, FanBeam, HelicalBeam, ParallelBeam


@pytest.fixture
def simulated(cli, series, tmp_path):
    """Scan the series with some options; returns the sinogram."""

    def run(*words):
        out = tmp_path / "scan.h5"
        done = cli("simulate", series, "-o", out, "--views", 6, "--size", 32, *words)
        assert done.exit_code == 0, done.output
        return read_sinogram(out)

    return run


@pytest.fixture
def refused(cli, series, tmp_path):
    """Run a command that must fail; returns its complaint."""

    def run(status, *words):
        before = sorted(tmp_path.rglob("*"))
        done = cli(*words)
        assert done.exit_code == status, done.output
        assert sorted(tmp_path.rglob("*")) == before
        complaints = [line for line in done.stderr.splitlines() if "error: " in line]
        assert len(complaints) == 1
        return complaints[0]

    return run


def test_fan_with_everything(simulated):
    scan = simulated(
        *("--geometry", "fan-curved", "--arc-deg", "short", "--detector-offset-mm", 3, "--axis-offset-mm", -2),
        *("--source-to-axis-mm", 500, "--source-to-detector-mm", 900, "--blur-mm", 5, "--crosstalk", 0.02),
        *("--photons", 1e5, "--electronic-noise", 4, "--bow-tie", 300, "--tube-current-modulation", 0.5),
    )
    g = scan.geometry
    assert isinstance(g, FanBeam)
    assert (g.detector_shape, g.detector_offset_mm, g.axis_offset_mm) == ("curved", 3, -2)
    assert (g.source_to_axis_mm, g.source_to_detector_mm) == (500, 900)
    assert g.angles_rad[1] * 6 == pytest.approx(g.short_scan_rad)
    assert scan.photons.shape == g.shape
    assert scan.photons.min() < 0.1 * scan.photons.max()
    assert scan.electronic_noise == 4
    for fact in ("300 mm of water", "modulation 0.5", "blur 5 mm", "crosstalk 0.02"):
        assert fact in scan.origin


def test_one_slice_is_singular(cli, make_series, tmp_path):
    source, scan = make_series(tmp_path / "source", n=1), tmp_path / "scan.h5"
    done = cli("simulate", source, "-o", scan, "--views", 6, "--size", 32)
    assert ": 1 slice, 6 views" in done.stdout
    done = cli("reconstruct", scan, "-o", tmp_path / "out", "--method", "fbp")
    assert ": 1 slice by fbp" in done.stdout


def test_photons_of_each_ray_are_reconstructed_and_recorded(cli, simulated, tmp_path):
    scan = simulated("--photons", 1e5, "--bow-tie", 300, "--geometry", "fan")
    done = cli("reconstruct", tmp_path / "scan.h5", "-o", tmp_path / "out", "--method", "cgls", "--device", "cpu")
    assert done.exit_code == 0, done.output
    facts = json.loads((tmp_path / "out" / "run.json").read_text())["scan"]
    assert facts["photons"] == pytest.approx([scan.photons.min(), scan.photons.max()])
    assert facts["geometry"] == "fan"


def test_arc_in_degrees(simulated):
    scan = simulated("--arc-deg", 120)
    assert isinstance(scan.geometry, ParallelBeam)
    assert np.degrees(scan.geometry.angles_rad) == pytest.approx([0, 20, 40, 60, 80, 100])


def test_cone(simulated):
    scan = simulated("--geometry", "cone")
    assert isinstance(scan.geometry, ConeBeam)
    assert scan.grid.shape == (3, 32, 32)
    assert len(scan.headers) == 3


def test_a_helix_and_its_projections(cli, simulated, tmp_path):
    """What is written as DICOM-CT-PD is the same scan, of the same patient, at the same heights."""
    scan = simulated("--geometry", "helical", "--photons", 1e4, "--bow-tie", 300, "--projections", tmp_path / "views")
    assert isinstance(scan.geometry, HelicalBeam)
    done = cli("import", tmp_path / "views", "-o", tmp_path / "again.h5")
    assert done.exit_code == 0, done.output
    again = read_sinogram(tmp_path / "again.h5")
    np.testing.assert_allclose(again.values, scan.values, atol=2e-4)
    np.testing.assert_allclose(again.photons, scan.photons, rtol=1e-5)
    heights = [np.array(one.geometry.centre_z_mm) + one.affine[2, 3] - one.grid.z_mm[0] for one in (scan, again)]
    np.testing.assert_allclose(*heights, atol=1e-3)
    assert again.headers[0]["00100020"] == scan.headers[0]["00100020"]
    done = cli("reconstruct", tmp_path / "scan.h5", "-o", tmp_path / "out", "--method", "fbp", "--device", "cpu")
    assert ": 3 slices by fbp" in done.stdout


def test_lower_dose(cli, scan, tmp_path):
    out = tmp_path / "low.h5"
    done = cli("lower-dose", scan, "-o", out, "--fraction", 0.25, "--seed", 3)
    assert done.exit_code == 0, done.output
    full, low = read_sinogram(scan), read_sinogram(out)
    assert low.photons == 0.25 * full.photons
    assert low.headers == full.headers
    assert "lowered to 0.25" in low.origin
    added = (low.values - full.values) / np.sqrt(low.sigma() ** 2 - full.sigma() ** 2)
    assert added.var() == pytest.approx(1, abs=0.2)


def test_lower_dose_of_a_scan_without_photons(cli, simulated, refused, tmp_path):
    simulated()
    words = ("lower-dose", tmp_path / "scan.h5", "-o", tmp_path / "low.h5", "--fraction", 0.5)
    assert "--photons" in refused(1, *words)
    assert "needs 1000 rays" in refused(1, *words, "--photons", "estimate")
    assert "'lots'" in refused(2, *words, "--photons", "lots")
    assert "photons is -1" in refused(2, *words, "--photons", -1)
    done = cli(*words, "--photons", 1e4)
    assert done.exit_code == 0, done.output
    assert read_sinogram(tmp_path / "low.h5").photons == 5000


def test_what_lower_dose_refuses(refused, scan, tmp_path):
    words = ("lower-dose", scan, "-o", tmp_path / "low.h5")
    assert "fraction is 1.5" in refused(2, *words, "--fraction", 1.5)
    assert "fraction is 0" in refused(2, *words, "--fraction", 0)
    assert "states its own" in refused(2, *words, "--fraction", 0.5, "--photons", 10)
    assert "exists" in refused(1, "lower-dose", scan, "-o", scan, "--fraction", 0.5)


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (("--geometry", "helix"), 2, "helix"),
        (("--projections", "views"), 2, "add --geometry helical"),
        (("--geometry", "helical", "--pitch", 9), 1, "pitch is 9"),
        (("--geometry", "helical", "--stagger", 2), 2, "the geometry is a helix"),
        (("--arc-deg", "long"), 2, "--arc-deg is 'long'"),
        (("--arc-deg", 0), 1, "arc_rad is 0"),
        (("--axis-offset-mm", 1), 2, "use detector_offset_mm"),
        (("--geometry", "fan", "--source-to-axis-mm", 10), 1, "past the source"),
        (("--bow-tie", 300), 2, "state photons"),
        (("--photons", 1e5, "--bow-tie", -300), 2, "bow_tie_mm is -300"),
        (("--photons", 1e5, "--tube-current-modulation", 2), 2, "tube_current_modulation is 2"),
        (("--blur-mm", -1), 2, "blur_mm is -1"),
        (("--crosstalk", 0.5), 2, "crosstalk is 0.5"),
    ],
    ids=str,
)
def test_what_simulate_refuses(refused, series, tmp_path, words, status, complaint):
    assert complaint in refused(status, "simulate", series, "-o", tmp_path / "scan.h5", "--views", 5, *words)
