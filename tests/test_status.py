"""Who may stop a solver."""

from __future__ import annotations

import pytest

from ctresample.status import Status, report


@pytest.mark.parametrize(("answer", "goes_on"), [(None, True), (True, True), (0, True), (False, False)])
def test_only_false_stops(answer, goes_on):
    heard = []
    assert report(lambda status: heard.append(status) or answer, "tv", 3, 10, 1.5) is goes_on
    assert heard == [Status("tv", 3, 10, 1.5)]


def test_nobody_listens():
    assert report(None, "tv", 1, 1, 0.0)
