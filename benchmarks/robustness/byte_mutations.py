"""What happens to any file: flipped bits, cuts, parts that are missing, twice, elsewhere, or from another file."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Mutation = Callable[[bytes, np.random.Generator], bytes]

NUMBERS = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF, 1 << 40, (1 << 64) - 1)
"""What a length, count or offset should never be, and what it is when a program takes it with a sign."""


def flip_bits(content: bytes, random: np.random.Generator) -> bytes:
    """One to eight bits."""
    changed = bytearray(content)
    for _ in range(int(random.integers(1, 9))):
        changed[int(random.integers(len(changed)))] ^= 1 << int(random.integers(8))
    return bytes(changed)


def truncate(content: bytes, random: np.random.Generator) -> bytes:
    """Leave off the end."""
    return content[: int(random.integers(len(content)))]


def number(content: bytes, random: np.random.Generator) -> bytes:
    """Put one of `NUMBERS` somewhere, of two, four or eight bytes in either order."""
    size = int(random.choice([2, 4, 8]))
    value = NUMBERS[int(random.integers(len(NUMBERS)))] & ((1 << 8 * size) - 1)
    place = int(random.integers(max(1, len(content) - size)))
    return content[:place] + value.to_bytes(size, random.choice(["little", "big"])) + content[place + size :]


def early_number(content: bytes, random: np.random.Generator) -> bytes:
    """As `number`, in the first 512 bytes, where formats keep their sizes."""
    return number(content[:512], random) + content[512:]


def delete(content: bytes, random: np.random.Generator) -> bytes:
    """A part of up to 256 bytes."""
    start, end = _part(content, random)
    return content[:start] + content[end:]


def duplicate(content: bytes, random: np.random.Generator) -> bytes:
    """A part of up to 256 bytes, beside itself."""
    start, end = _part(content, random)
    return content[:end] + content[start:]


def overwrite(content: bytes, random: np.random.Generator) -> bytes:
    """A part, with noise or one value."""
    start, end = _part(content, random)
    noise = random.bytes(end - start) if random.random() < 0.5 else bytes([int(random.integers(256))]) * (end - start)
    return content[:start] + noise + content[end:]


def move(content: bytes, random: np.random.Generator) -> bytes:
    """A part, to another place."""
    start, end = _part(content, random)
    rest = content[:start] + content[end:]
    place = int(random.integers(len(rest) + 1))
    return rest[:place] + content[start:end] + rest[place:]


def append(content: bytes, random: np.random.Generator) -> bytes:
    """Noise, or the file once more."""
    return content + (random.bytes(int(random.integers(1, 4096))) if random.random() < 0.5 else content)


def _part(content: bytes, random: np.random.Generator) -> tuple[int, int]:
    start = int(random.integers(max(1, len(content))))
    return start, min(len(content), start + int(random.integers(1, 257)))


BYTES: dict[str, Mutation] = {
    "bits flipped": flip_bits,
    "cut short": truncate,
    "a size that lies": number,
    "an early size that lies": early_number,
    "a part missing": delete,
    "a part twice": duplicate,
    "a part overwritten": overwrite,
    "a part moved": move,
    "something behind the end": append,
}
