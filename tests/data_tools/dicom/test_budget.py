"""Files of a few kilobytes that would take minutes to read, or overflow the stack: each is refused by name."""

import struct
import zipfile

import pytest
from pydicom import Dataset, dcmread

from ctresample.data_tools.dicom import budget as dicom_budget
from ctresample.data_tools.dicom.discovery import find_series
from ctresample.data_tools.dicom.series import load_series
from ctresample.errors import DicomError

ITEM, ITEM_END, SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0" + bytes(4), b"\xfe\xff\xdd\xe0" + bytes(4)
OPEN = b"\xff" * 4
EMPTY = ITEM + bytes(4)
ELEMENT = b"\x08\0\x60\0CS\2\0CT"


def sequence(content, *, closed):
    """An explicit little endian element, by its length or by a delimiter."""
    length = struct.pack("<I", len(content)) if closed else OPEN
    return b"\x06\x30\x39\x00SQ\0\0" + length + content + (b"" if closed else SEQUENCE_END)


def item(content, *, closed):
    return ITEM + (struct.pack("<I", len(content)) if closed else OPEN) + content + (b"" if closed else ITEM_END)


def nested(depth, *, closed):
    content = b""
    for _ in range(depth):
        content = sequence(item(content, closed=closed), closed=closed)
    return content


@pytest.fixture
def place(tmp_path, dicom):
    """Write a zip file of one CT image with more bytes before its pixels."""
    dicom.make_series(tmp_path / "sound", n=1, shape=(16, 16))
    content = next((tmp_path / "sound").iterdir()).read_bytes()
    pixels = content.index(b"\xe0\x7f\x10\x00")

    def write(more):
        path = tmp_path / "hostile.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.dcm", content[:pixels] + more + content[pixels:])
        return path

    return write


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (lambda: sequence(EMPTY * 100_000, closed=False), "over 20,000 elements"),
        (lambda: sequence(item(ELEMENT * 400_000, closed=False), closed=False), "over 20,000 elements"),
        (lambda: sequence(item(ELEMENT, closed=True) * 60_000, closed=False), "over 20,000 elements"),
        (lambda: nested(300, closed=False), "sequences over 20 levels deep"),
        (lambda: b"\x08\0\x19\1UR\0\0" + struct.pack("<I", 2**21) + b"a" * 2**21, "1 MiB"),
    ],
)
def test_too_much_at_once(place, more, message):
    found = find_series(place(more()))
    assert not found.series
    assert message in found.damaged[0]
    assert "expected one CT image" in found.damaged[0]


def test_sequences_that_are_read_when_asked_for(place, monkeypatch):
    """Those with a length are left as bytes at first."""
    found = find_series(place(sequence(EMPTY * 10_000, closed=True)))
    with pytest.raises(DicomError, match="over 20,000 elements"):
        load_series(found.series[0])


@pytest.mark.parametrize(("n_frames", "most"), [(40, "30,000"), (10**9, "320,000")])
def test_an_image_of_many_frames_may_have_more(place, n_frames, most):
    stated = str(n_frames).encode().ljust(10)
    number = b"\x28\0\x08\0IS" + struct.pack("<H", len(stated)) + stated
    found = find_series(place(number + sequence(EMPTY * 5_000, closed=False)))
    assert not any("elements" in reason for reason in found.damaged)
    found = find_series(place(number + sequence(EMPTY * 70_000, closed=False)))
    assert f"over {most} elements" in found.damaged[0]


def test_levels_that_are_copied_again_and_again(monkeypatch, place):
    monkeypatch.setattr(dicom_budget, "MAX_SEQUENCE_BYTES", 2**24)
    deep = b"\0" * 2**21
    for _ in range(20):
        deep = sequence(item(deep, closed=True), closed=True)
    found = find_series(place(deep))
    with pytest.raises(DicomError, match="over 16 MiB in sequences"):
        load_series(found.series[0])


def test_what_is_read_elsewhere_is_not_counted(monkeypatch):
    monkeypatch.setattr(dicom_budget, "MAX_ELEMENTS", 0)
    image = Dataset()
    image.ReferencedImageSequence = [Dataset()]
    assert Dataset.from_json(image.to_json()) == image


def test_each_file_has_a_budget_of_its_own(monkeypatch, dicom, tmp_path):
    dicom.make_series(tmp_path / "ct", n=5, shape=(16, 16))
    n_elements = len(dcmread(tmp_path / "ct" / "000.dcm"))
    monkeypatch.setattr(dicom_budget, "MAX_ELEMENTS", 2 * n_elements)
    assert not find_series(tmp_path / "ct").damaged
