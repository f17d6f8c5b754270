"""Volumes to train on: what lies at even steps, and is thin."""

from __future__ import annotations

import numpy as np
import pytest

from ctresample.data_tools import training_volumes
from ctresample.data_tools.training_volumes import TrainingVolumes
from ctresample.errors import UsageError
from ctresample.volume import Volume


def volume(positions_mm: list[float]) -> Volume:
    hu = np.arange(len(positions_mm), dtype=np.float32)[:, None, None] * np.ones((1, 4, 4), np.float32)
    offsets = tuple(z - positions_mm[0] for z in positions_mm)
    step = offsets[1]
    even = np.allclose(np.diff(positions_mm), step)
    return Volume(hu, np.diag([1.0, 1.0, step, 1.0]), slice_offsets_mm=None if even else offsets)


def read(monkeypatch, *found: Volume, least: int = 3) -> list[list[int]]:
    monkeypatch.setattr(training_volumes, "read_ct_volumes", lambda place: list(found))
    used = TrainingVolumes.read("place", least=least, thickest_mm=3.0)
    return [v.hu[:, 0, 0].astype(int).tolist() for v in used.volumes]


@pytest.mark.parametrize(
    ("positions_mm", "expected"),
    [
        ([0, 2, 4, 6], [[0, 1, 2, 3]]),
        ([0, 2, 4, 10, 12, 14], [[0, 1, 2], [3, 4, 5]]),
        ([0, 2, 4, 5, 6, 7], [[0, 1, 2], [2, 3, 4, 5]]),
        ([0, 9, 11, 13, 15, 30], [[1, 2, 3, 4]]),
        ([0, 5, 10, 15, 17, 19], [[3, 4, 5]]),
    ],
)
def test_slices_in_a_row_at_even_steps(monkeypatch, positions_mm, expected):
    assert read(monkeypatch, volume(positions_mm)) == expected


def test_what_is_left_out_is_said(monkeypatch):
    monkeypatch.setattr(training_volumes, "read_ct_volumes", lambda place: [volume([0, 2, 4]), volume([0, 5, 10])])
    said = []
    used = TrainingVolumes.read("place", least=3, thickest_mm=3.0, on_warning=said.append)
    assert used.summary == "1 volumes of 3 slices"
    assert said == [
        "place: left out 3 of 6 slices, which are not among 3 slices or more in a row at even steps of 3 mm or less"
    ]


def test_where_nothing_serves(monkeypatch):
    with pytest.raises(UsageError, match="place: none of 1 volumes has 7 slices or more.*add thin series"):
        read(monkeypatch, volume([0, 2, 4]), least=7)
