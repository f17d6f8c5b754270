"""What containers of a wrong or hostile writer look like: HDF5, zip, NPY, MATLAB and text that lie about themselves."""

from __future__ import annotations

import io
import json
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
from byte_mutations import BYTES, Mutation

_NUMBERS = [0, -1, 1e308, -1e308, 1e-320, 2**31, 2**63, 10**400, True, None, "x", "", [], {}, [[]], "estimate", "nan"]
_HUGE = (1 << 20, 1 << 16, 1 << 10)
_DTYPES = ["f2", "f4", "f8", ">f4", "i1", "u8", "?", "c8", "S5", "V7", [("a", "f4"), ("b", "i2")]]


# ---------------------------------------------------------------- HDF5


def _in_hdf5(change: Callable[[h5py.File, str, np.random.Generator], None]) -> Mutation:
    """A change of one data set of a file, chosen by chance."""

    def mutate(content: bytes, random: np.random.Generator) -> bytes:
        start = content.find(b"\x89HDF\r\n\x1a\n")  # MATLAB leaves a block of its own before it
        stream = io.BytesIO(content)
        with h5py.File(stream, "r+") as file:
            names: list[str] = []
            file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
            change(file, names[int(random.integers(len(names)))], random)
        changed = stream.getvalue()
        return changed if start >= 0 else content

    return mutate


def _retype(file: h5py.File, name: str, random: np.random.Generator) -> None:
    shape, dtype = file[name].shape, np.dtype(_DTYPES[int(random.integers(len(_DTYPES)))])
    del file[name]
    file.create_dataset(name, data=np.zeros(shape, dtype))


def _reshape(file: h5py.File, name: str, random: np.random.Generator) -> None:
    values = file[name][()]
    if not isinstance(values, np.ndarray):
        values = np.array([values] * int(random.integers(4)))
    else:
        values = [values.T, values[None], values[:0], values[..., :1], values.ravel(), np.concatenate([values] * 3)][
            int(random.integers(6))
        ]
    del file[name]
    file[name] = values


def _declare_much(file: h5py.File, name: str, random: np.random.Generator) -> None:
    dtype, ndim = file[name].dtype, max(1, file[name].ndim)
    del file[name]
    packed = {"compression": "gzip"} if random.random() < 0.5 else {}
    chunks = tuple([256, 256, 64][:ndim]) if random.random() < 0.7 else None
    kind = dtype if dtype.kind in "fiu" else np.dtype("f4")
    made = file.create_dataset(name, shape=_HUGE[:ndim], dtype=kind, chunks=chunks, **(packed if chunks else {}))
    if chunks and random.random() < 0.5:
        made[(slice(0, 1),) * ndim] = 1


def _poison(file: h5py.File, name: str, random: np.random.Generator) -> None:
    if file[name].dtype.kind == "f" and file[name].size:
        values = np.array(file[name][()])
        values.flat[int(random.integers(values.size))] = random.choice([np.nan, np.inf, -np.inf, 1e38, -1e38])
        file[name][...] = values
    elif file[name].dtype.kind in "iu":
        file[name][...] = np.iinfo(file[name].dtype).max


def _link(file: h5py.File, name: str, random: np.random.Generator) -> None:
    shape, dtype = file[name].shape, file[name].dtype
    del file[name]
    match int(random.integers(6)):
        case 0:
            file[name] = h5py.ExternalLink("/etc/passwd", "/")
        case 1:
            file[name] = h5py.SoftLink(f"/{name}")
        case 2:
            layout = h5py.VirtualLayout(shape or (1,), "f4")
            layout[...] = h5py.VirtualSource("elsewhere.h5", "data", shape or (1,))
            file.create_virtual_dataset(name, layout)
        case 3:
            kind = dtype if dtype.kind in "fiu" else np.dtype("f4")
            file.create_dataset(name, shape or (1,), kind, external=[("/etc/hostname", 0, h5py.h5f.UNLIMITED)])
        case 4:
            file.create_group(name)[name.rsplit("/", 1)[-1]] = 1
        case _:
            parent = file[name.rsplit("/", 1)[0]] if "/" in name else file
            parent[name.rsplit("/", 1)[-1]] = parent  # a hard link to itself: a circle


def _odd_storage(file: h5py.File, name: str, random: np.random.Generator) -> None:
    values = file[name][()]
    del file[name]
    match int(random.integers(5)):
        case 0:
            file.create_dataset(name, data=np.zeros((8, 8, 8), "f4"), compression="lzf")
        case 1:
            file.create_dataset(name, data=np.zeros((8, 8, 8), "i4"), scaleoffset=2)
        case 2:
            file.create_dataset(name, data=["text"] * 3, dtype=h5py.string_dtype())
        case 3:
            file.create_dataset(name, data=h5py.Empty("f4"))
        case _:
            made = file.create_dataset(name, (3,), h5py.vlen_dtype(np.float32))
            made[0] = np.ravel(values).astype(np.float32) if np.asarray(values).dtype.kind in "fiu" else [1.0]


def _attributes(file: h5py.File, name: str, random: np.random.Generator) -> None:
    attributes = file[name].attrs
    odd = ["parsec", "", b"\xff\xfe", 3.5, np.zeros(4), "m" * 5000, h5py.Empty("f4")]
    attributes["units"] = odd[int(random.integers(len(odd)))]
    if "NX_class" in file.attrs or random.random() < 0.5:
        for other in ("NX_class", "definition"):
            file.attrs[other] = odd[int(random.integers(len(odd)))]


def _remove(file: h5py.File, name: str, random: np.random.Generator) -> None:
    parts = name.split("/")
    del file["/".join(parts[: int(random.integers(1, len(parts) + 1))])]


def _text_inside(file: h5py.File, name: str, random: np.random.Generator) -> None:
    """The JSON texts of ctresample's own files."""
    texts = [one for one in ("entry/ctresample/geometry", "entry/ctresample/headers") if one in file]
    if not texts:
        return _poison(file, name, random)
    name = texts[int(random.integers(len(texts)))]
    found = file[name][()]
    first = found if isinstance(found, bytes) else found[0]
    changed = change_json(bytes(first).rstrip(b"\0"), random)
    shape = file[name].shape
    del file[name]
    file[name] = np.bytes_(changed or b" ") if shape == () else np.array([changed or b" "] * shape[0])
    return None


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


HDF5: dict[str, Mutation] = {
    "another type": _in_hdf5(_retype),
    "another shape": _in_hdf5(_reshape),
    "a declared giant": _in_hdf5(_declare_much),
    "values not finite": _in_hdf5(_poison),
    "links out and in circles": _in_hdf5(_link),
    "odd storage": _in_hdf5(_odd_storage),
    "attributes that lie": _in_hdf5(_attributes),
    "data sets missing": _in_hdf5(_remove),
    "JSON inside that lies": _in_hdf5(_text_inside),
}
BY_FORMAT: dict[str, dict[str, Mutation]] = {
    "NPY": {"a header that lies": change_npy},
    "NPZ": {"members that lie": change_zip},
    "packed MATLAB": {"damage inside": change_inside_mat},
    "JSON sidecar": {"JSON that lies": change_json},
    "YAML sidecar": {"YAML that does harm": change_yaml},
}
"""Beside those of bytes; files of HDF5 have `HDF5`."""
