"""What DICOM files of a wrong or hostile writer look like: elements that lie about others, or about themselves."""

from __future__ import annotations

import io
import struct
from copy import deepcopy

import numpy as np
from byte_mutations import NUMBERS
from dicom_samples import encode
from pydicom import Dataset, dcmread
from pydicom.dataelem import DataElement
from pydicom.uid import UID_dictionary

_SYNTAXES = [uid for uid, entry in UID_dictionary.items() if entry[1] == "Transfer Syntax"] + ["1.2.3", ""]
_LIES = {
    "Rows": [0, 1, 33, 65535],
    "Columns": [0, 1, 33, 65535],
    "BitsAllocated": [0, 1, 8, 12, 32, 64, 65535],
    "BitsStored": [0, 1, 12, 17, 65535],
    "HighBit": [0, 11, 65535],
    "PixelRepresentation": [0, 2, 65535],
    "SamplesPerPixel": [0, 3, 65535],
    "PlanarConfiguration": [1, 7],
    "NumberOfFrames": ["0", "-1", "2", "100000", "2147483647", "x"],
    "PhotometricInterpretation": ["RGB", "PALETTE COLOR", "YBR_FULL_422", ""],
    "RescaleSlope": ["0", "nan", "1e308", "-1e-308", "inf", ""],
    "RescaleIntercept": ["nan", "1e308", "x", ""],
    "RescaleType": ["ED", "\x1b[2J"],
    "PixelSpacing": [["0", "0"], ["-1", "1"], ["nan", "1"], ["1e-300", "1e300"], ["1"], "1"],
    "ImageOrientationPatient": [["0"] * 6, ["nan"] * 6, ["1", "0", "0", "1", "0", "0"], ["1"] * 5],
    "ImagePositionPatient": [["nan"] * 3, ["1e300"] * 3, ["0", "0"], ["x", "y", "z"]],
    "SliceThickness": ["0", "-1", "nan", "1e300"],
    "SpacingBetweenSlices": ["0", "-2.5", "inf"],
    "PixelPaddingValue": [0, 65535, 32768],
    "PixelPaddingRangeLimit": [0, 65535],
    "SmallestImagePixelValue": [65535],
    "ImageType": ["", ["ORIGINAL", "PRIMARY", "LOCALIZER"], ["A"] * 200],
    "SOPInstanceUID": ["../../x", "", "1" * 200, "1..2"],
    "SeriesInstanceUID": ["../../x", "", "\x00", "1" * 200],
    "StudyInstanceUID": ["../../x", "/etc/passwd"],
    "SOPClassUID": ["1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2", "1.2.840.10008.1.3.10", "x"],
    "SpecificCharacterSet": ["ISO 2022 IR 87", "NONSENSE", ["", "ISO 2022 IR 149"], "GB18030"],
    "PatientName": ["PLANTED" * 1000, "\udcff", "a=b=c=d=e"],
    "StudyDate": ["PLANTED", "99999999"],
    "InstanceNumber": ["99999999999", "x"],
    "FrameOfReferenceUID": ["", "../x"],
}
_VRS = (b"UN", b"SQ", b"OB", b"OW", b"US", b"FD", b"DS", b"IS", b"PN", b"UI", b"AT", b"OL", b"UT", b"XX", b"\0\0")
_MARK = b"\xfe\xff\x00\xe0"  # an item of a sequence


def lie(content: bytes, random: np.random.Generator) -> bytes:
    """Elements that decide how pixels are read, with values that they should never have."""
    ds = dcmread(io.BytesIO(content))
    for _ in range(int(random.integers(1, 3))):
        keyword = list(_LIES)[int(random.integers(len(_LIES)))]
        values = _LIES[keyword]
        target = _somewhere(ds, keyword)
        setattr(target, keyword, values[int(random.integers(len(values)))])
    return encode(ds)


def delete_element(content: bytes, random: np.random.Generator) -> bytes:
    """One to three elements, of the image or of an item in it."""
    ds = dcmread(io.BytesIO(content))
    for _ in range(int(random.integers(1, 4))):
        place = _any_item(ds, random)
        if tags := list(place.keys()):
            del place[tags[int(random.integers(len(tags)))]]
    return encode(ds)


def change_values(content: bytes, random: np.random.Generator) -> bytes:
    """An element takes another's value, or one of another type."""
    ds = dcmread(io.BytesIO(content))
    place, other = _any_item(ds, random), _any_item(ds, random)
    if len(place) and len(other):
        tag, source = (list(one.keys())[int(random.integers(len(one)))] for one in (place, other))
        place[tag] = DataElement(tag, other[source].VR, deepcopy(other[source].value))
    return encode(ds)


def lie_about_encoding(content: bytes, random: np.random.Generator) -> bytes:
    """Another transfer syntax in the file meta information than the file has."""
    ds = dcmread(io.BytesIO(content))
    old, new = str(ds.file_meta.TransferSyntaxUID), _SYNTAXES[int(random.integers(len(_SYNTAXES)))]
    size = len(old) + len(old) % 2
    value = new.encode().ljust(size, b"\0")
    place = content.find(b"\x02\x00\x10\x00UI") + 6
    meta = content[:place] + struct.pack("<H", len(value)) + value + content[place + 2 + size :]
    group = 140 if meta[128:132] == b"DICM" else None
    if group:
        length = struct.unpack("<I", meta[group : group + 4])[0] + len(value) - size
        meta = meta[:group] + struct.pack("<I", length) + meta[group + 4 :]
    return meta


def swap_vr(content: bytes, random: np.random.Generator) -> bytes:
    """The type of an element of an explicit file."""
    places = [at for vr in (b"US", b"DS", b"UI", b"SQ", b"OW", b"CS", b"PN", b"IS") for at in _all(content, vr)]
    if not places:
        return content
    place = places[int(random.integers(len(places)))]
    return content[:place] + _VRS[int(random.integers(len(_VRS)))] + content[place + 2 :]


def lie_about_length(content: bytes, random: np.random.Generator) -> bytes:
    """The length of an element, pixels and items among them."""
    marks = (b"\xe0\x7f\x10\0", _MARK, b"\xfe\xff\x0d\xe0", b"\xfe\xff\xdd\xe0", b"\x28\0", b"\x20\0", b"\x08\0")
    places = [at + 4 for at in _all(content, marks[int(random.integers(len(marks)))])]
    if not places:
        return content
    place = places[int(random.integers(len(places)))] + int(random.choice([0, 2, 4]))
    value = NUMBERS[int(random.integers(len(NUMBERS)))] & 0xFFFFFFFF
    return content[:place] + struct.pack("<I", value) + content[place + 4 :]


def nest(content: bytes, random: np.random.Generator) -> bytes:
    """Sequences in sequences, far deeper than any program's stack."""
    depth = int(random.choice([10, 100, 1000, 20000]))
    opening = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + _MARK + b"\xff\xff\xff\xff"
    closing = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    place = max(content.find(b"\x08\x00\x40\x11"), content.find(b"\x10\x00\x10\x00"))
    return content[:place] + opening * depth + closing * (depth if random.random() < 0.7 else 0) + content[place:]


def repeat_elements(content: bytes, random: np.random.Generator) -> bytes:
    """Elements a second time, with other values, behind the first ones or in front."""
    ds = dcmread(io.BytesIO(content))
    part = Dataset()
    part.file_meta = ds.file_meta
    for tag in list(ds.keys()):
        if random.random() < 0.3:
            part[tag] = ds[tag]
    part.Rows = int(random.choice([1, 32, 64, 65535]))
    extra = encode(part)
    start = 144 + int.from_bytes(extra[140:144], "little")
    place = start if random.random() < 0.5 else len(content)
    return content[:place] + extra[start:] + content[place:]


def inflate(content: bytes, random: np.random.Generator) -> bytes:
    """A small file that declares far more than it holds, or unpacks to it."""
    ds = dcmread(io.BytesIO(content))
    match int(random.integers(3)):
        case 0:
            ds.Rows = ds.Columns = int(random.choice([8192, 40000, 65535]))
        case 1:
            ds.NumberOfFrames = int(random.choice([1000, 10**6, 2**31 - 1]))
        case _:
            ds.PixelData = bytes(int(random.choice([2**20, 2**25])))
            ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
            ds["PixelData"].is_undefined_length = False
    return encode(ds)


def _somewhere(ds: Dataset, keyword: str) -> Dataset:
    """Where the element stands, in the image or deeper; the image where it is not there."""
    for place in _items(ds):
        if keyword in place:
            return place
    return ds


def _any_item(ds: Dataset, random: np.random.Generator) -> Dataset:
    places = list(_items(ds))
    return places[int(random.integers(len(places)))]


def _items(ds: Dataset) -> list[Dataset]:
    return [ds] + [item for element in ds if element.VR == "SQ" for inner in element.value for item in _items(inner)]


def _all(content: bytes, what: bytes) -> list[int]:
    found, at = [], content.find(what)
    while at >= 0 and len(found) < 1000:
        found.append(at)
        at = content.find(what, at + 1)
    return found


DICOM = {
    "elements that lie": lie,
    "elements missing": delete_element,
    "elements exchanged": change_values,
    "another transfer syntax": lie_about_encoding,
    "another VR": swap_vr,
    "a length that lies": lie_about_length,
    "nested sequences": nest,
    "elements twice": repeat_elements,
    "a bomb": inflate,
}
