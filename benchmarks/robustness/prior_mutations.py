"""Prior folders by somebody else: configs of any values, safetensors files whose headers lie."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from byte_mutations import NUMBERS, Mutation

from ctresample.testing.priors import random_prior

_ODD = (
    None,
    True,
    -1,
    0,
    1,
    3,
    7,
    10**7,
    10**10,
    1e300,
    float("inf"),
    float("nan"),
    "",
    "x",
    "../../x",
    [],
    [10**9],
    {},
)


def sound_prior(folder: Path) -> dict[str, bytes]:
    """The files of a small prior, by their place."""
    random_prior().save_pretrained(folder)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.*"))}


def change_config(content: bytes, random: np.random.Generator) -> bytes:
    """An entry with another value, one less, one more, or far too many levels."""
    config = json.loads(content)
    for _ in range(int(random.integers(1, 3))):
        name = list(config)[int(random.integers(len(config)))]
        what = int(random.integers(4))
        if what == 0:
            config[name] = _ODD[int(random.integers(len(_ODD)))]
        elif what == 1 and isinstance(config[name], list) and config[name]:
            config[name] = config[name] * int(random.choice([0, 2, 1000]))
        elif what == 2:
            del config[name]
        else:
            return b'{"a": ' * int(random.choice([10, 100_000])) + content
    return json.dumps(config).encode()


def change_safetensors(content: bytes, random: np.random.Generator) -> bytes:
    """Its header with another length, type, shape or place of a tensor."""
    length = int.from_bytes(content[:8], "little")
    header, rest = json.loads(content[8 : 8 + length]), content[8 + length :]
    names = [name for name in header if name != "__metadata__"]
    entry = header[names[int(random.integers(len(names)))]]
    what = int(random.integers(5))
    if what == 0:
        return NUMBERS[int(random.integers(len(NUMBERS)))].to_bytes(8, "little") + content[8:]
    if what == 1:
        entry["dtype"] = str(random.choice(["F64", "I8", "BOOL", "F4", ""]))
    elif what == 2:
        entry["shape"] = [int(random.choice([0, 1, 2**31, 2**62])) for _ in range(int(random.integers(1, 5)))]
    elif what == 3:
        entry["data_offsets"] = [int(random.choice([0, 8, 2**40, 2**62])) for _ in range(2)]
    else:
        header["one more"] = entry
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + rest


CONFIG: dict[str, Mutation] = {"a config that lies": change_config}
SAFETENSORS: dict[str, Mutation] = {"weights that lie": change_safetensors}
