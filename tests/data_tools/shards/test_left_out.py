"""What does not get into shards, and what the summary says of it."""

import zipfile

import numpy as np
import pytest

from ctresample.data_tools.shards.summary import summary_lines
from ctresample.data_tools.shards.tissues import TISSUES, tissue_counts
from ctresample.data_tools.shards.write import write_dataset
from ctresample.data_tools.training_data import TrainingSlices
from ctresample.errors import DicomError


def reasons(folder):
    manifest, rejected = write_dataset([folder / "in"], folder, validation_share=0)
    assert manifest.left_out == rejected.counts
    return manifest.splits["train"].slices, rejected.counts


def test_series_with_mixed_scaling_is_left_out_whole(make_slice, tmp_path, body):
    for z in range(3):
        make_slice(tmp_path / "in", "Ann", z, body(z))
        make_slice(tmp_path / "in", "Bob", z, body(10 + z), RescaleIntercept="-1024" if z else "0")
        # the same number in other digits
        make_slice(tmp_path / "in", "Cyd", z, body(20 + z), RescaleSlope="1.00" if z else "1")
    assert reasons(tmp_path) == (6, {"of a series with mixed HU scaling": 3})


@pytest.mark.parametrize(
    ("elements", "values"),
    [
        ({"RescaleIntercept": "0"}, [24, 1000, 1064, 2000]),  # stored values taken for HU
        ({"RescaleIntercept": "0"}, [-2000, 1000, 1064, 2000]),  # with padding in them
        ({"RescaleIntercept": "0", "PixelPaddingValue": -50}, [-50, 1000, 1064, 2000]),  # which is declared
        ({"RescaleIntercept": "-1024"}, [-3072, -3072, -1074, -2000]),  # the intercept twice
    ],
)
def test_values_that_are_not_hu_are_left_out(make_slice, dicom, tmp_path, elements, values, body):
    make_slice(tmp_path / "in", "Ann", 0, body(0))
    ds = dicom.ct_dataset(np.resize(values, (64, 64)), (0, 0, 0), series="66")
    for name, value in elements.items():
        ds.add_new(name, "SS" if name == "PixelPaddingValue" else "DS", value)
    dicom.save(ds, tmp_path / "in" / "bob.dcm")
    n_slices, left_out = reasons(tmp_path)
    assert n_slices == 1
    assert [("not in HU" in reason, n) for reason, n in left_out.items()] == [(True, 1)]


def test_copies_and_strangers_are_left_out(make_slice, dicom, tmp_path, body):
    path = make_slice(tmp_path / "in", "Ann", 0, body(0))
    (tmp_path / "in" / "again.dcm").write_bytes(path.read_bytes())
    (tmp_path / "in" / "cut.dcm").write_bytes(path.read_bytes()[:-1000])
    (tmp_path / "in" / "text.dcm").write_text("no DICOM")
    make_slice(tmp_path / "in", "Bob", 0, body(1), PatientID="")
    make_slice(tmp_path / "in", "Cyd", 0, body(2), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    make_slice(tmp_path / "in", "Dan", 0, body(3), ImageOrientationPatient=[1, 0, 0, 0, 0, 1])
    n_slices, left_out = reasons(tmp_path)
    assert n_slices == 1
    assert sum(left_out.values()) == 6
    for words in ("copies of another image", "not DICOM", "without PatientID", "localizer", "not axial"):
        assert any(words in reason for reason in left_out)
    assert not any(str(tmp_path) in reason or ".dcm" in reason for reason in left_out)


def test_folder_without_ct(tmp_path):
    (tmp_path / "readme.txt").write_text("nothing here")
    for attempt in (lambda: write_dataset([tmp_path], tmp_path), lambda: TrainingSlices.read(tmp_path)):
        with pytest.raises(DicomError, match=r"no axial CT image to train on.* 1 not DICOM \(readme.txt\)"):
            attempt()


def test_folder_without_hu_is_refused_with_the_reason(make_slice, tmp_path, body):
    for z in range(2):
        make_slice(tmp_path / "in", "Ann", z, body(z).clip(0), RescaleIntercept="0")
    with pytest.raises(DicomError, match="2 not in HU"):
        write_dataset([tmp_path / "in"], tmp_path, validation_share=0)
    warnings = []
    make_slice(tmp_path / "in", "Bob", 0, body(5))
    TrainingSlices.read(tmp_path / "in", on_warning=warnings.append)
    assert len(warnings) == 1
    assert "left out 2 not in HU" in warnings[0]


def test_tissues_are_counted_once_each():
    hu = np.array([[-2000, -1000, -1000, -800], [-100, 0, 60, 149.9], [150, 2999, 3000, 3071]], np.float32)
    counts = tissue_counts(hu, n_padding=1)
    assert dict(zip(TISSUES, counts.tolist(), strict=True)) == {
        "below air": 2,
        "air": 1,
        "lung": 1,
        "fat": 1,
        "soft tissue": 3,
        "bone": 2,
        "metal": 2,
    }


def test_summary_says_what_there_is(made):
    text = "\n".join(summary_lines(made.manifest, made.rejected, made.out))
    assert "6 slices of 3 patients" in text
    assert "1 not DICOM (notes.txt)" in text
    # a quarter of the pixels each; one row of 512 is padding
    assert made.manifest.hu_share["below air"] == pytest.approx(1 / 512, abs=1e-6)
    assert made.manifest.hu_share["fat"] == pytest.approx(0.25 * 511 / 512, abs=1e-5)
    assert "fat          24.95%  ##########" in text
    assert "what lies below air (padding, mostly) is kept as -1000 HU" in text


def test_bad_frames_count_as_one_file(make_slice, dicom, tmp_path, body):
    make_slice(tmp_path / "in", "Ann", 0, body(0))
    path = tmp_path / "in" / "cut"
    dicom.make_multi_frame(path, finish=lambda ds: setattr(ds, "PixelData", ds.PixelData[:-400]))
    dicom.make_multi_frame(tmp_path / "in" / "mixed", series="2", intercepts=(-1024, -1024, -1000, -1024, -1024))
    with zipfile.ZipFile(tmp_path / "in" / "b.zip", "w") as archive:
        archive.write(path, "image")
    (tmp_path / "in" / "a.zip").write_bytes((tmp_path / "in" / "b.zip").read_bytes()[:-100])
    n_slices, left_out = reasons(tmp_path)
    assert n_slices == 1
    assert left_out["of a series with mixed HU scaling"] == 1
    assert left_out["copies of another image"] == 1  # in the zip file that is whole
    assert sorted(left_out.values()) == [1, 1, 1, 1]
    assert any("is no whole zip file" in reason for reason in left_out)
