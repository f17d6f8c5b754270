"""HU packed into a page come back as they were, to the whole number."""

from __future__ import annotations

import base64
import zlib

import numpy as np

from ctresample.pipelines.viewer.packing import NOTHING, packed, packed_size


def unpacked(text: str, shape: tuple[int, ...]) -> np.ndarray:
    """What viewer.js does."""
    low, high = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(2, -1)
    steps = (low.astype(np.uint16) | high.astype(np.uint16) << 8).view(np.int16).reshape(shape)
    return np.cumsum(steps, axis=-1, dtype=np.int16)


def test_whole_numbers_of_sixteen_bits_come_back() -> None:
    rng = np.random.default_rng(0)
    hu = rng.uniform(-40000, 40000, (3, 5, 7))
    hu[1, 2, 3], hu[2, 0, 0] = np.nan, np.inf
    wanted = np.where(np.isfinite(hu), np.clip(np.rint(hu), NOTHING + 1, 32767), NOTHING)
    assert (unpacked(packed(hu), hu.shape) == wanted).all()


def test_the_size_is_foreseen() -> None:
    hu = np.random.default_rng(0).normal(0, 30, (12, 64, 64))
    assert 0.9 < packed_size(hu) / len(packed(hu)) < 1.1
