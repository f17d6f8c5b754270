"""The main path, called from Python: a sinogram, options and a folder to a finished result."""

import json

import numpy as np
import pytest

from ctresample.data_tools.deidentify import Deidentifier, new_key
from ctresample.data_tools.dicom.read import read_ct_series
from ctresample.errors import UsageError
from ctresample.pipelines.results.options import ResultOptions
from ctresample.pipelines.results.run import make_result
from ctresample.pipelines.scan.measure import scanned
from ctresample.pipelines.scan.simulate import simulate
from ctresample.volume import Volume


@pytest.fixture(scope="module")
def volume():
    y, x = np.mgrid[:32, :32] - 15.5
    disk = np.where(np.hypot(x, y) < 10, 0.0, -1000.0).astype(np.float32)
    return Volume(np.stack([disk] * 3), np.diag([8.0, 8.0, 2.0, 1.0]))


@pytest.fixture(scope="module")
def sinogram(volume):
    return simulate(volume, n_views=16, size=32, photons=1e5)


def test_a_whole_result_in_one_call(tmp_path, sinogram, volume):
    seen = []
    options = ResultOptions(method="fbp", formats=("nrrd", "dicom"), residual_map=True)
    result = make_result(
        sinogram,
        options,
        str(tmp_path / "out"),
        truth_hu=scanned(volume, 32).hu,
        progress=lambda share, step: seen.append((share, step)),
    )
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "dicom",
        "dicom-residual-map",
        "reconstruction.nrrd",
        "residual-map.nrrd",
        "run.json",
        "report.html",
    }
    page = (tmp_path / "out" / "report.html").read_text()
    assert [page.count(f'alt="Truth{plane}, lung window"') for plane in ("", ", coronal", ", sagittal")] == [1, 1, 1]
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["metrics"]["mean"] == result.metrics["mean"]
    assert "seconds" not in record  # equal runs give equal files
    written = read_ct_series(tmp_path / "out" / "dicom").hu
    assert np.abs(written - result.reconstruction.image_hu).max() <= 0.5
    assert seen[0] == (0, "fbp, 3 slices, 16 views")
    assert seen[-1] == (1, "writing")


def test_the_page_says_what_slices_did_for_each_other(tmp_path, sinogram):
    coupled = "coupled, strength 0.5: slices are 2 mm apart"
    for method, z_coupling, said in (("wls", "0.5", coupled), ("wls", "none", "not coupled: not asked for")):
        place = tmp_path / z_coupling
        make_result(sinogram, ResultOptions(method=method, formats=("nrrd",), z_coupling=z_coupling), place)
        assert f"<dt>Neighbours</dt><dd>{said}</dd>" in (place / "report.html").read_text()
    make_result(sinogram.part([0]), ResultOptions(method="fbp", formats=("nrrd",)), tmp_path / "one")
    assert "<dt>Neighbours</dt>" not in (tmp_path / "one" / "report.html").read_text()


@pytest.mark.parametrize("parts", ["out", "out/parts"])
def test_parts_are_not_kept_where_the_result_will_be(tmp_path, sinogram, parts):
    """After a stop the folder would not be empty, and the result takes its place."""
    with pytest.raises(UsageError, match=f"{parts} lies in the folder of the result"):
        make_result(sinogram, ResultOptions(method="fbp"), tmp_path / "out", parts_folder=tmp_path / parts)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_nothing(tmp_path, sinogram):
    with pytest.raises(UsageError, match="batch_size is 0"):
        make_result(sinogram, ResultOptions(method="fbp"), tmp_path / "out", batch_size=0)
    assert list(tmp_path.iterdir()) == []


def test_deidentified(tmp_path, sinogram):
    result = make_result(sinogram, ResultOptions(method="fbp"), tmp_path / "out", deidentifier=Deidentifier(new_key()))
    assert "de-identified" in result.note
    assert (tmp_path / "out" / "deidentification.json").is_file()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"method": "magic"}, "method is 'magic'"),
        ({"formats": ("dicom", "png")}, "expected some of dicom, nifti, nrrd"),
        ({"formats": ()}, "expected some of dicom"),
        ({"method": "fbp", "uncertainty": 2}, "fbp draws none; expected one of resample"),
        ({"uncertainty": 1}, "expected 2 or more"),
        ({"method": "tv", "tv_difference_map": True}, "but the method is tv"),
    ],
)
def test_options_that_cannot_be(options, complaint):
    with pytest.raises(UsageError, match=complaint):
        ResultOptions(**options)
