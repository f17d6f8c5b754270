"""What a hostile writer does with sequences: deep, many, of wrong lengths; and frames that do not fit their image."""

from __future__ import annotations

import io
import struct
from copy import deepcopy

import numpy as np
from byte_mutations import Mutation
from dicom_samples import encode
from pydicom import Dataset, dcmread

_PIXELS = b"\xe0\x7f\x10\x00"
_ITEM, _ITEM_END, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0" + bytes(4), b"\xfe\xff\xdd\xe0" + bytes(4)
_INSIDE = (
    b"",
    b"\x08\0\x60\0CS\2\0CT",
    b"\x10\0\x10\0PN\x08\0PLANTED ",
    b"\x20\0\x32\0DS\6\0" + b"1\\2\\3 ",
    bytes(20),
)
_TAGS = (b"\x06\x30\x39\x00", b"\x00\x52\x30\x92", b"\x08\x00\x40\x11", b"\x40\x00\x75\x02", b"\x09\x00\x10\x10")


def insert_sequence(content: bytes, random: np.random.Generator) -> bytes:
    """One more sequence before the pixels: many items, many levels, known lengths or none, some of them wrong."""
    place = content.rfind(_PIXELS)
    inside = _INSIDE[int(random.integers(len(_INSIDE)))] * int(random.choice([1, 1, 3, 1000]))
    for _ in range(int(random.choice([1, 2, 5, 30, 300]))):
        closed = random.random() < 0.5
        length = struct.pack("<I", len(inside) + int(random.choice([0, 0, 0, 0, 1, -1, 8])) & 0xFFFFFFFF)
        item = _ITEM + (length + inside if closed else b"\xff" * 4 + inside + _ITEM_END)
        item *= int(random.choice([1, 1, 1, 2, 2000])) if len(item) < 10_000 else 1
        tag = _TAGS[int(random.integers(len(_TAGS)))]
        inside = tag + b"SQ\0\0" + (struct.pack("<I", len(item)) + item if closed else b"\xff" * 4 + item + _END)
    return content[:place] + inside + content[place:]


def change_frames(content: bytes, random: np.random.Generator) -> bytes:
    """Functional groups of an enhanced image that are missing, too many, at odds, or in each other."""
    ds = dcmread(io.BytesIO(content))
    frames = ds.PerFrameFunctionalGroupsSequence
    which, one = int(random.integers(7)), int(random.integers(len(frames)))
    if which == 0:
        del frames[one]
    elif which == 1:
        frames.extend([deepcopy(frames[one])] * int(random.choice([1, 50])))
    elif which == 2:
        ds.NumberOfFrames = int(random.choice([0, 1, 2, 4, 10**6]))
    elif which == 3:
        frames[one] = Dataset()
    elif which == 4:
        frames[one].PlanePositionSequence = []
    elif which == 5:
        ds.SharedFunctionalGroupsSequence[0] = frames[one]
    else:
        frames[one].SharedFunctionalGroupsSequence = [deepcopy(ds.SharedFunctionalGroupsSequence[0])]
        frames[one].PerFrameFunctionalGroupsSequence = [deepcopy(frame) for frame in frames]
    return encode(ds)


SEQUENCES: dict[str, Mutation] = {"one more sequence": insert_sequence}
FRAMES: dict[str, Mutation] = {"frames that do not fit": change_frames}
