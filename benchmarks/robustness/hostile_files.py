"""Files of a few kilobytes that take minutes, gigabytes or the stack of whoever reads them, and the command to read."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from dicom_samples import ct_image, encode

_ITEM, _ITEM_END, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0" + bytes(4), b"\xfe\xff\xdd\xe0" + bytes(4)
_OPEN = b"\xff" * 4
_READINGS = {
    "quantity": "line_integral",
    "axes": "view,detector",
    "geometry": {
        "type": "parallel",
        "angles_deg": {"start_deg": 0, "stop_deg": 180, "n_views": 8, "endpoint": False},
        "detector_pitch_mm": 2.0,
    },
    "mu_water_per_mm": 0.02,
    "photons": 1e4,
    "slice_step_mm": 3.0,
    "image": {"rows": 32, "columns": 32, "pixel_size_mm": 1.5},
}
"""A sidecar that is sound: the attacks change one value of it."""


def _sequence(content: bytes, *, closed: bool = False) -> bytes:
    length = struct.pack("<I", len(content)) if closed else _OPEN
    return b"\x06\x30\x39\x00SQ\0\0" + length + content + (b"" if closed else _END)


def _item(content: bytes, *, closed: bool = False) -> bytes:
    return _ITEM + (struct.pack("<I", len(content)) if closed else _OPEN) + content + (b"" if closed else _ITEM_END)


def _nested(depth: int, *, closed: bool) -> bytes:
    content = b""
    for _ in range(depth):
        content = _sequence(_item(content, closed=closed), closed=closed)
    return content


def dicom_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Zip files of one image with something before its pixels."""
    sound = encode(ct_image(0))
    pixels = sound.index(b"\xe0\x7f\x10\x00")
    for name, more in {
        "a million empty items": _sequence((_ITEM + bytes(4)) * 1_000_000),
        "a million empty items of known length": _sequence((_ITEM + bytes(4)) * 1_000_000, closed=True),
        "a million elements in an item": _sequence(_item(b"\x08\0\x60\0CS\2\0CT" * 1_000_000)),
        "sequences 1,000 deep": _nested(1000, closed=False),
        "sequences 1,000 deep of known length": _nested(1000, closed=True),
        "a number of 16 MiB": b"\x18\0\x50\0DS\xfe\xff" + b"1\\" * 32767,
        "an address of 2 MiB": b"\x08\0\x19\1UR\0\0" + struct.pack("<I", 2**21) + b"a" * 2**21,
    }.items():
        path = folder / f"{name}.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.dcm", sound[:pixels] + more + sound[pixels:])
        yield name, path
    path = folder / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for number in range(11):
            archive.writestr(f"{number}.dcm", bytes(100 * 2**20))
    yield "1.1 GB in 1 MB of zip", path
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("a.dcm", sound)
    with zipfile.ZipFile(folder / "nested.zip", "w") as archive:
        archive.writestr("b.zip", inner.getvalue())
    yield "a zip file in another", folder / "nested.zip"
    content = bytearray(path.read_bytes()[:3000])
    (folder / "cut.zip").write_bytes(content)
    yield "a zip file without its end", folder / "cut.zip"


def sidecars(folder: Path) -> Iterator[tuple[str, Path]]:
    """Descriptions of a scan beside an array that is sound."""
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 9))
    whole = json.dumps(_READINGS)
    for number, (name, text) in enumerate(
        {
            "600 kB of 1:1:1": f"quantity: {'1:' * 300_000}1\n",
            "a billion laughs": f"l0: &l0 [a]\n{levels}",
            "lists 400,000 deep": "[" * 400_000,
            "half a million values": f"[{'1,' * 500_000}]",
            "a tag that starts a program": "!!python/object/apply:os.system [id]",
            "a number of 100,000 digits": f"pitch: {'9' * 100_000}",
            "2 MiB": " " * 2**21,
            "a pitch of 1e300": whole.replace('"detector_pitch_mm": 2.0', '"detector_pitch_mm": 1.0e+300'),
            "a grid of 1e9 x 1e9": whole.replace("32,", "1000000000,"),
            "1e12 views": whole.replace('"n_views": 8', '"n_views": 1000000000000'),
        }.items()
    ):
        path = folder / f"scan{number}.npy"
        np.save(path, np.ones((8, 32), np.float32))
        path.with_suffix(".yaml").write_text(text)
        yield name, path


def priors(folder: Path, sound: Path) -> Iterator[tuple[str, Path]]:
    """Folders of a prior with one file changed."""
    for number, (name, (file, change)) in enumerate(
        {
            "layers_per_block of 1e7": ("unet/config.json", {"layers_per_block": 10**7}),
            "block_out_channels of 1e9": ("unet/config.json", {"block_out_channels": [10**9] * 3}),
            "layers that the weights lack": ("vae/config.json", {"layers_per_block": 500}),
            "num_train_timesteps of 1e10": ("scheduler/scheduler_config.json", {"num_train_timesteps": 10**10}),
            "an image_size of 1e400": ("prior.json", {"image_size": float("inf")}),
            "JSON 100,000 deep": ("unet/config.json", None),
            "weights whose header claims 1 TB": ("unet/diffusion_pytorch_model.safetensors", 10**12),
        }.items()
    ):
        place = folder / f"prior{number}"
        for path in sorted(sound.rglob("*")):
            if path.is_file():
                copy = place / path.relative_to(sound)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(path.read_bytes())
        target = place / file
        if isinstance(change, dict):
            target.write_text(json.dumps(json.loads(target.read_text()) | change))
        elif change is None:
            target.write_text('{"a": ' * 100_000)
        else:
            target.write_bytes(change.to_bytes(8, "little") + target.read_bytes()[8:])
        yield name, place
