"""The moment that results bear."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from ctresample.data_tools.dicom_export.provenance import Provenance
from ctresample.data_tools.dicom_export.write import write_ct_series
from ctresample.data_tools.moment import moment
from ctresample.errors import UsageError
from ctresample.volume import Volume


def test_stated(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert moment() == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_now(monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    before = datetime.now(UTC)
    assert before <= moment() <= datetime.now(UTC)


@pytest.mark.parametrize("stated", ["yesterday", "9" * 30, "-1", "1e9", "\u00b2"])
def test_none_at_all(monkeypatch, stated):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", stated)
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH is .*; expected whole seconds since 1970"):
        moment()


def test_two_exports_of_one_moment_are_equal_byte_for_byte(monkeypatch, tmp_path):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    volume = Volume(np.zeros((2, 8, 8), np.float32), np.diag([1.0, 1.0, 2.0, 1.0]))
    paths = [
        write_ct_series(volume, tmp_path / name, description="test", provenance=Provenance("0", "fbp"))
        for name in ("a", "b")
    ]
    assert [a.read_bytes() for a in paths[0]] == [b.read_bytes() for b in paths[1]]
