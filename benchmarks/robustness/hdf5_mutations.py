"""What HDF5 files of a wrong or hostile writer look like: data sets that lie about themselves, or are elsewhere."""

from __future__ import annotations

import io
from collections.abc import Callable

import h5py
import numpy as np
from byte_mutations import Mutation
from sinogram_mutations import change_json

_HUGE = (1 << 20, 1 << 16, 1 << 10)
_DTYPES = ["f2", "f4", "f8", ">f4", "i1", "u8", "?", "c8", "S5", "V7", [("a", "f4"), ("b", "i2")]]


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
