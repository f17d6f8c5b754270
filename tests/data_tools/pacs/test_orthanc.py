"""Against a real archive: what is sent comes back, by every way."""

import socket

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import RLELossless

WAYS = ("get", "move", "web")


def uids(folder):
    first = dcmread(sorted(folder.glob("*.dcm"))[0])
    return first.StudyInstanceUID, first.SeriesInstanceUID


def by_uid(folder):
    return {(dataset := dcmread(path)).SOPInstanceUID: dataset for path in folder.rglob("*.dcm")}


@pytest.fixture(scope="module")
def sent(cli, config, derived):
    """The derived series in the archive."""
    done = cli("send", "get", derived, "--config", config)
    assert done.exit_code == 0, done.output
    assert "has 4 of 4 files" in done.stdout
    return derived


@pytest.mark.parametrize("way", WAYS)
def test_what_is_sent_comes_back(cli, config, sent, tmp_path, way):
    study, series = uids(sent)
    done = cli("fetch", way, "-o", tmp_path / "out", "--study", study, "--series", series, "--config", config)
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.dcm")) == [f"000{n}.dcm" for n in range(1, 5)]
    before, after = by_uid(sent), by_uid(tmp_path / "out")
    assert before.keys() == after.keys()
    for uid, dataset in before.items():
        assert after[uid].file_meta.TransferSyntaxUID == dataset.file_meta.TransferSyntaxUID
        assert after[uid] == dataset  # every element
        assert np.array_equal(after[uid].pixel_array, dataset.pixel_array)


def test_sending_twice_does_no_harm(cli, config, sent, orthanc):
    for way in WAYS[::2]:
        done = cli("send", way, sent, "--config", config)
        assert done.exit_code == 0, done.output
        assert "has 4 of 4 files" in done.stdout
    listed = cli("fetch", "get", "--study", uids(sent)[0], "--config", config).stdout
    assert listed.count("4 images") == listed.count("series") == 1


@pytest.mark.parametrize("way", WAYS)
def test_compressed_images_come_as_they_are(cli, config, dicom, tmp_path, way):
    dicom.make_series(tmp_path / "ct", n=3, series="77", edit=lambda ds, z: z and ds.compress(RLELossless))
    assert cli("send", "web" if way == "web" else "get", tmp_path / "ct", "--config", config).exit_code == 0
    done = cli("fetch", way, "-o", tmp_path / "out", "--series", "1.2.3.77.1", "--config", config)
    assert done.exit_code == 0, done.output
    before, after = by_uid(tmp_path / "ct"), by_uid(tmp_path / "out")
    for uid, dataset in before.items():
        assert after[uid].file_meta.TransferSyntaxUID == dataset.file_meta.TransferSyntaxUID
        assert np.array_equal(after[uid].pixel_array, dataset.pixel_array)


@pytest.fixture(scope="module")
def two_studies(cli, config, dicom, tmp_path_factory):
    """Series 81 and 82 of one patient, each its own study."""
    folder = tmp_path_factory.mktemp("two")
    for series, date in (("81", "20240301"), ("82", "20240302")):

        def edit(ds, z, date=date):
            ds.StudyDate, ds.PatientID, ds.PatientName = date, "PLANTED-ID", "PLANTED^NAME"
            ds.StudyDescription, ds.SeriesDescription, ds.AccessionNumber = (
                "PLANTED STUDY",
                "PLANTED SERIES",
                f"A{date}",
            )

        dicom.make_series(folder / series, n=2, series=series, edit=edit)
    assert cli("send", "get", folder, "--config", config).exit_code == 0


@pytest.mark.parametrize("way", WAYS[::2])
def test_search(cli, config, two_studies, way):
    def listed(*words):
        done = cli("fetch", way, *words, "--config", config)
        assert done.exit_code == 0, done.output
        assert "1.2.3.8" in done.stdout
        return "1.2.3.81.1 " in done.stdout, "1.2.3.82.1 " in done.stdout

    assert listed("--patient-id", "PLANTED-ID") == (True, True)
    assert listed("--patient-id", "PLANTED*", "--modality", "CT") == (True, True)
    assert listed("--patient-id", "PLANTED-ID", "--date", "20240301") == (True, False)
    assert listed("--date", "20240302-20240302") == (False, True)
    assert listed("--accession", "A20240302") == (False, True)
    assert listed("--series", "1.2.3.81.1") == (True, False)
    for words in (("--patient-id", "PLANTED-ID", "--modality", "MR"), ("--study", "1.2.3.4.5.6"), ("--series", "1.2")):
        done = cli("fetch", way, *words, "--config", config)
        assert done.exit_code == 1
        assert "has no such series" in done.stderr


@pytest.mark.parametrize("way", WAYS[::2])
def test_names_only_when_asked_for(cli, config, two_studies, way, caplog):
    with caplog.at_level("DEBUG"):
        done = cli("fetch", way, "--patient-id", "PLANTED-ID", "--config", config)
    assert "2 images" in done.stdout
    said = done.output + caplog.text
    for planted in ("PLANTED", "20240301", "A2024"):
        assert planted not in said
    told = cli("fetch", way, "--patient-id", "PLANTED-ID", "--details", "--config", config).stdout
    for planted in ("PLANTED^NAME", "20240301", "A20240302", "PLANTED STUDY", "PLANTED SERIES"):
        assert planted in told


def test_fetch_all_that_match(cli, config, two_studies, tmp_path):
    done = cli("fetch", "get", "--patient-id", "PLANTED-ID", "-o", tmp_path / "out", "--config", config)
    assert done.exit_code == 0, done.output
    assert "2 series, 4 images" in done.stdout
    names = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.dcm"))
    assert names == [f"series-00{s}/000{n}.dcm" for s in (1, 2) for n in (1, 2)]


def test_wrong_password(fails, config, derived, tmp_path, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("CTRESAMPLE_WEB_PASSWORD", "wr0ng")
    line = fails("fetch", "web", "--study", "1.2", "-o", tmp_path / "out", "--config", config)
    assert "refused the user or password" in line
    assert "wr0ng" not in line
    assert "refused the user or password" in fails("send", "web", derived, "--config", config)


def test_password_from_the_environment(cli, config, two_studies, tmp_path, monkeypatch):
    other = tmp_path / "pacs.toml"
    other.write_text(config.read_text().replace('password = "s3cret"\n', ""))
    assert "expected user and password" in cli("fetch", "web", "--date", "20240301", "--config", other).stderr
    monkeypatch.setenv("CTRESAMPLE_WEB_PASSWORD", "s3cret")
    assert cli("fetch", "web", "--date", "20240301", "--config", other).exit_code == 0


def test_wrong_titles_and_addresses(fails, config, orthanc, derived, tmp_path):
    def changed(old, new):
        path = tmp_path / "pacs.toml"
        path.write_text(config.read_text().replace(old, new))
        path.chmod(0o600)
        return path

    out = ("--study", uids(derived)[0], "-o", tmp_path / "out", "--config")
    line = fails("fetch", "get", *out, changed('ae_title = "ORTHANC"', 'ae_title = "ARCHIVE"'))
    assert "is not called 'ARCHIVE'" in line
    line = fails("fetch", "move", *out, changed('retrieve = "move"', 'retrieve = "move"\nown_ae_title = "NOBODY"'))
    assert "registered there as 'NOBODY'" in line
    line = fails("fetch", "web", *out, changed("/dicom-web", "/elsewhere"))
    assert "no DICOMweb service at this address" in line
    http_port = orthanc.url.rpartition(":")[2]
    line = fails("fetch", "get", *out, changed(f"port = {orthanc.dicom_port}", f"port = {http_port}"))
    assert "is no DICOM archive" in line
    with socket.socket() as other:
        other.bind(("", 0))
        other.listen()
        taken = other.getsockname()[1]
        line = fails("fetch", "move", *out, changed(f"own_port = {orthanc.own_port}", f"own_port = {taken}"))
    assert f"own_port {taken}" in line


def test_output_that_is_taken(fails, config, derived, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "note.txt").touch()
    out = ("-o", tmp_path / "out", "--study", uids(derived)[0], "--config", config)
    assert "is not empty" in fails("fetch", "get", *out)
