"""Work that goes on where it was stopped: lines that survive, settings that must not change, one process."""

import subprocess
import sys

import pytest

from ctresample.errors import OutputError
from ctresample.journal import Journal, only_one, read_journal, same_settings


def test_torn_last_line_is_taken_off(tmp_path):
    path = tmp_path / "x.jsonl"
    with Journal(path) as journal:
        assert journal.add({"psnr": float("inf"), "name": "ä"}) == {"psnr": None, "name": "ä"}
    with path.open("ab") as file:
        file.write(b'{"half": ')
    assert read_journal(path) == [{"psnr": None, "name": "ä"}]
    with Journal(path) as journal:
        journal.add({"n": 2})
    assert path.read_text(encoding="utf-8").splitlines() == ['{"psnr": null, "name": "ä"}', '{"n": 2}']


def test_damaged_line_is_named(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"n": 1}\n{"n": \n{"n": 3}\n')
    with pytest.raises(OutputError, match="line 2: .*delete this line"):
        read_journal(path)


def test_settings_may_grow_where_that_is_said(tmp_path):
    before, now = {"runs": {"a": 1, "b": 2}, "size": 64}, {"runs": {"b": 2, "c": 3}, "size": 64}
    merged = same_settings(tmp_path, "benchmark", before, now, grows=("runs",))
    assert merged == {"runs": {"a": 1, "b": 2, "c": 3}, "size": 64}
    with pytest.raises(OutputError, match="a benchmark of another runs a: 1 there, nothing now"):
        same_settings(tmp_path, "benchmark", before, now)
    with pytest.raises(OutputError, match="a batch of another runs b: 2 there, 5 now"):
        same_settings(tmp_path, "batch", before, {"runs": {"b": 5}, "size": 64}, grows=("runs",))


def test_one_process_at_a_time(tmp_path):
    code = f"""
from pathlib import Path
from ctresample.journal import only_one
with only_one(Path({str(tmp_path)!r})):
    print("held", flush=True)
    input()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(OutputError, match="another process"), only_one(tmp_path):
            pass
        other.kill()  # the system lets go of it
    with only_one(tmp_path):
        pass
