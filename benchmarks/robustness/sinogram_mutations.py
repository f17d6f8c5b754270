"""What files of a wrong or hostile writer look like: zip, NPY, MATLAB, JSON and YAML that lie about themselves."""

from __future__ import annotations

import io
import json
import struct
import warnings
import zipfile
import zlib
from typing import Any

import numpy as np
from byte_mutations import BYTES, Mutation

_NUMBERS = [0, -1, 1e308, -1e308, 1e-320, 2**31, 2**63, 10**400, True, None, "x", "", [], {}, [[]], "estimate", "nan"]


# ---------------------------------------------------------------- text


def change_json(content: bytes, random: np.random.Generator) -> bytes:
    """A value replaced, left out, doubled or nested too deep; or the text itself damaged."""
    try:
        whole = json.loads(content)
    except ValueError:
        return BYTES["a part overwritten"](content, random)
    places = list(_places(whole))
    holder, key = places[int(random.integers(len(places)))]
    match int(random.integers(8)):
        case 0 if isinstance(holder, dict):
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[f"{key}x"] = holder.pop(key)
        case 2:
            return json.dumps(whole).replace(":", f": {'[' * 3000}", 1).encode()
        case 3:
            text = json.dumps(whole)
            name = text[1 : text.find(":")]
            return text.replace(name, f"{name}: 1, {name}", 1).encode()
        case 4:
            holder[key] = [1.5] * int(random.choice([10, 100_000]))
        case _:
            holder[key] = _NUMBERS[int(random.integers(len(_NUMBERS)))]
    return json.dumps(whole).encode()


def change_yaml(content: bytes, random: np.random.Generator) -> bytes:
    """Tags that make objects, aliases that multiply, nesting without end; or one line damaged."""
    harm = [
        b"!!python/object/apply:os.system ['touch evil']\n",
        b"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n",
        b"[" * 5000,
        b"? [a, b]\n: 1\n",
        b"photons: 1e999\n",
        b"photons: 2001-01-01\n",
        b"<<: {photons: 1}\n",
        b"photons: 0x" + b"f" * 5000 + b"\n",
        b"photons: " + b"9" * 5000 + b"\n",
        b"photons: 1:2:3:4:5\n",
    ]
    piece = harm[int(random.integers(len(harm)))]
    return content + piece if random.random() < 0.5 else piece + content


def _places(value: Any) -> list[tuple[Any, Any]]:
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    return [(value, key) for key in keys] + [place for key in keys for place in _places(value[key])]


# ---------------------------------------------------------------- NPY, NPZ, MATLAB


def change_npy(content: bytes, random: np.random.Generator) -> bytes:
    """A header that lies about type, order and shape, or is a program."""
    headers = [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (6, 5), }",
        "{'descr': '<f4', 'fortran_order': True, 'shape': (6, 5), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (6, -5), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 5), }",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6, 5), }",
        "{'descr': '<f4', 'fortran_order': 1, 'shape': 30, }",
        "{'descr': '<f4', 'shape': (6, 5), }",
        "{'descr': '<c8', 'fortran_order': False, 'shape': (3, 5), }",
        "{'descr': '<f16', 'fortran_order': False, 'shape': (6, 5), }",
        "{'descr': '<M8[s]', 'fortran_order': False, 'shape': (3, 5), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (6L, 5L), }",
        "__import__('os').system('touch evil')",
        "(" * 4000,
        "{" + "'a':{" * 200,
        "{'descr': '<f4', 'fortran_order': False, 'shape': (6, 5), 'x': " + "9" * 5000 + "}",
    ]
    header = headers[int(random.integers(len(headers)))].encode() + b"\n"
    version = int(random.choice([1, 2, 3]))
    size = struct.pack("<H" if version == 1 else "<I", len(header))
    values = content[128:] if random.random() < 0.8 else b"\x80\x04\x95" + random.bytes(100)
    return b"\x93NUMPY" + bytes([version, 0]) + size + header + values


def change_zip(content: bytes, random: np.random.Generator) -> bytes:
    """Members that lead out of the folder, come twice, unpack to much more, or are pickles."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that come twice
        members = {name: old.read(name) for name in old.namelist()}
        name = list(members)[int(random.integers(len(members)))]
        packing = int(random.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]))
        match int(random.integers(8)):
            case 0:
                members["../../../evil.npy"] = members[name]
            case 1:
                members[name] = change_npy(members[name], random)
            case 2:
                members[name] = members[name][:128] + bytes(2**25)
            case 3:
                pickled = io.BytesIO()
                np.save(pickled, np.array([{"a": 1}, print], object), allow_pickle=True)
                members[name] = pickled.getvalue()
            case 4:
                members[name] = BYTES["bits flipped"](members[name], random)
            case 5:
                members[f"{name}/x"] = b""
            case 6:
                del members[name]
        with zipfile.ZipFile(stream, "w", packing) as new:
            for member, inside in members.items():
                new.writestr(member, inside)
            if random.random() < 0.2:
                new.writestr(name, members.get(name, b""))
    return stream.getvalue()


def change_inside_mat(content: bytes, random: np.random.Generator) -> bytes:
    """Damage behind the compression of a MATLAB file."""
    size = struct.unpack("<I", content[132:136])[0]
    inside = zlib.decompress(content[136 : 136 + size])
    names = ("bits flipped", "a size that lies", "an early size that lies", "a part missing", "a part twice")
    changed = BYTES[names[int(random.integers(len(names)))]](inside, random)
    if random.random() < 0.1:
        changed = struct.pack("<II", 14, 2**28) + bytes(2**25)
    packed = zlib.compress(changed)
    return content[:128] + struct.pack("<II", 15, len(packed)) + packed


BY_FORMAT: dict[str, dict[str, Mutation]] = {
    "NPY": {"a header that lies": change_npy},
    "NPZ": {"members that lie": change_zip},
    "packed MATLAB": {"damage inside": change_inside_mat},
    "JSON sidecar": {"JSON that lies": change_json},
    "YAML sidecar": {"YAML that does harm": change_yaml},
}
"""Beside those of bytes."""
