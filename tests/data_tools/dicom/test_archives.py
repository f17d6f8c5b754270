"""Zip files of images: nothing is unpacked to disk, and nothing swells beyond all bounds."""

import os
import zipfile

import numpy as np
import pytest

from ctresample.data_tools.dicom import archives as dicom_archives
from ctresample.data_tools.dicom.discovery import find_series
from ctresample.data_tools.dicom.errors import GapError
from ctresample.data_tools.dicom.read import read_ct_series
from ctresample.errors import DicomError


@pytest.fixture
def series(tmp_path, dicom):
    """The HU of a series, and the content of its files."""
    hu = dicom.make_series(tmp_path / "plain")
    return hu, [path.read_bytes() for path in sorted((tmp_path / "plain").iterdir())]


def pack(path, contents, names=None, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for number, content in enumerate(contents):
            archive.writestr(names[number] if names else f"study/series/IM{number}", content)
    return path


def test_as_the_place_or_inside_a_folder(tmp_path, series):
    hu, contents = series
    (tmp_path / "zips").mkdir()
    place = pack(tmp_path / "zips" / "no extension", contents)
    for where in (place, place.parent):
        np.testing.assert_array_equal(read_ct_series(where).hu, hu)
    keys = {find_series(where).series[0].key for where in (place, tmp_path / "plain")}
    assert len(keys) == 1


def test_no_member_is_written_or_followed(tmp_path, series, monkeypatch):
    hu, contents = series
    names = ["../../evil", "/etc/evil", "a/../../b", "x\x1b[31m\nname", "x\x1b[31m\nname"]
    with pytest.warns(UserWarning, match="Duplicate name"):
        place = pack(tmp_path / "p.zip", contents, names)
    before = sorted(tmp_path.rglob("*"))
    np.testing.assert_array_equal(read_ct_series(place).hu, hu)
    assert sorted(tmp_path.rglob("*")) == before
    assert not (tmp_path.parent / "evil").exists()
    with zipfile.ZipFile(place) as archive:
        kept = [info.filename for info in archive.infolist()]
    pack(tmp_path / "gap.zip", [contents[0], contents[1], contents[4]], [kept[0], kept[3], kept[2]])
    with pytest.raises(GapError) as caught:
        read_ct_series(tmp_path / "gap.zip")
    assert str(caught.value).isprintable()


def test_junk_and_zips_inside_are_counted(tmp_path, series):
    hu, contents = series
    inner = pack(tmp_path / "inner.zip", contents[:1]).read_bytes()
    pack(tmp_path / "p.zip", [*contents, inner, b"hello", b""])
    notes = []
    np.testing.assert_array_equal(read_ct_series(tmp_path / "p.zip", on_warning=notes.append).hu, hu)
    assert "2 files not DICOM" in notes[0]
    assert "1 file a zip file inside another" in notes[0]


def encrypted(path, contents):
    pack(path, contents, method=zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.find(mark)
        while place >= 0:
            content[place + at] |= 1
            place = content.find(mark, place + 1)
    path.write_bytes(content)


def cut(path, contents):
    pack(path, contents)
    path.write_bytes(path.read_bytes()[:-200])


def scrambled(path, contents):
    pack(path, contents)
    content = bytearray(path.read_bytes())
    content[100:160] = os.urandom(60)
    path.write_bytes(content)


def bomb(path, contents):
    pack(path, [bytes(1 << 20)] * 20)


def lies_about_its_size(path, contents):
    pack(path, [contents[0] + bytes(1 << 20)])
    content = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = content.find(mark) + at
        content[place : place + 4] = (1000).to_bytes(4, "little")
    path.write_bytes(content)


def too_many(path, contents):
    pack(path, [b""] * 40)


def too_large(path, contents):
    pack(path, [bytes(9000)], method=zipfile.ZIP_STORED)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (encrypted, r"p.zip is a zip file with 5 encrypted member\(s\); unpack it with its password first"),
        (cut, "p.zip is no whole zip file"),
        (scrambled, "p.zip is no whole zip file"),
        (bomb, "p.zip is a zip file that would swell to 20 MiB"),
        (lies_about_its_size, "p.zip is no whole zip file"),
        (too_many, "p.zip is a zip file of 40 members; expected at most 30"),
        (too_large, "p.zip holds a member of .* unpack it first"),
    ],
)
def test_refused(tmp_path, series, build, message, monkeypatch):
    monkeypatch.setattr(dicom_archives, "MAX_MEMBERS", 30)
    monkeypatch.setattr(dicom_archives, "HARMLESS_BYTES", 10 << 20)
    if build is too_large:
        monkeypatch.setattr(dicom_archives, "MAX_MEMBER_BYTES", 8000)
    build(tmp_path / "p.zip", series[1])
    with pytest.raises(DicomError, match=message) as caught:
        read_ct_series(tmp_path / "p.zip")
    assert "\n" not in str(caught.value)
    assert find_series(tmp_path / "p.zip").damaged  # told of, not raised, beside other files
