"""How many threads a verb computes with."""

import os

import pytest
import torch

from ctresample.cli.threads import without_threads
from ctresample.errors import UsageError


@pytest.fixture
def as_before(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("words", [["--threads", "3", "doctor"], ["doctor", "--threads=3"]])
def test_at_any_place(cli, words, as_before):
    done = cli(*words)
    assert "3 CPU threads" in done.stdout
    assert os.environ["OMP_NUM_THREADS"] == "3"


def test_words_without_it_stay():
    assert without_threads(["reconstruct", "a b", "--seed", "2"]) == (["reconstruct", "a b", "--seed", "2"], None)


@pytest.mark.parametrize("words", [["--threads"], ["--threads", "0"], ["--threads=two"], ["--threads", "-1"]])
def test_no_such_number(cli, words):
    with pytest.raises(UsageError):
        without_threads(words)
    done = cli("doctor", *words)
    assert done.exit_code == 2
    assert "--threads is" in done.stderr and "whole number" in done.stderr
