"""A folder as archives export it: several series, one of them with a gap; from its place to the derived series."""

import shutil

import pytest
from pydicom import dcmread


@pytest.fixture
def export(tmp_path, make_series):
    """A zip file of two series, the first without its third slice."""
    folder = make_series(tmp_path / "export", n=5)
    (folder / "1-002.dcm").unlink()
    make_series(folder / "other", series="2")
    return shutil.make_archive(str(tmp_path / "export"), "zip", folder)


def test_gap_from_zip_to_derived_series(tmp_path, export, cli):
    scan, out = tmp_path / "scan.h5", tmp_path / "out"
    simulate = ("simulate", export, "-o", scan, "--views", 12, "--size", 32)
    refused = cli(*simulate)
    assert refused.exit_code == 1
    assert "choose one with --series: 1.2.3.1.1 (4 axial slices" in refused.stderr
    refused = cli(*simulate, "--series", "1.2.3.1.1")
    assert refused.exit_code == 1
    assert "--allow-gaps" in refused.stderr
    assert not scan.exists()
    done = cli(*simulate, "--series", "1.2.3.1.1", "--allow-gaps")
    assert done.exit_code == 0, done.output
    assert "(median), uneven" in cli("info", scan).output
    done = cli("reconstruct", scan, "-o", out, "--method", "fbp", "--against", export)
    assert done.exit_code == 0, done.output
    assert "PSNR" in done.output
    places = [dcmread(path).ImagePositionPatient[2] for path in sorted((out / "dicom").iterdir())]
    assert places == pytest.approx([30 + 2.5 * z for z in (0, 1, 3, 4)])


def test_info_lists_what_is_wrong_and_how_to_go_on(export, cli):
    done = cli("info", export)
    assert done.exit_code == 0
    told = " ".join(done.output.split())
    assert "2 CT series" in told
    assert "1.2.3.1.1, key" in told
    assert "a gap or uneven step" in told
    assert "--allow-gaps" in told
    assert "choose with --series UID" in told
