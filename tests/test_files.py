"""Output files and folders that hold a whole result or nothing."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ctresample import files
from ctresample.errors import OutputError
from ctresample.files import (
    EVERYTHING,
    check_new_file,
    check_new_folder,
    overwriting,
    remove_unfinished,
    whole_file,
    whole_folder,
    write_file,
)


def test_appears_at_the_end(tmp_path):
    out = tmp_path / "a" / "b"
    with whole_folder(out) as folder:
        (folder / "x").write_text("1")
        assert not out.exists()
    assert [path.name for path in out.iterdir()] == ["x"]
    assert [path.name for path in out.parent.iterdir()] == ["b"]


def test_empty_folder_is_kept_and_filled(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    inode = out.stat().st_ino
    with whole_folder(out) as folder:
        (folder / "x").mkdir()
    assert [path.name for path in out.iterdir()] == ["x"]
    assert out.stat().st_ino == inode  # it may be a mounted volume


def test_overwriting_replaces_files_and_whole_results_alone(tmp_path):
    out, file = tmp_path / "out", tmp_path / "scan.h5"
    with whole_folder(out) as folder:
        for name in ("run.json", "report.html", "residual-map.nii.gz"):
            (folder / name).write_text("old")
        (folder / "dicom-residual-map").mkdir()
    file.touch()
    with pytest.raises(OutputError, match="exists"):
        check_new_file(file)
    with overwriting(True):
        check_new_file(file)
        check_new_folder(out)
        with pytest.raises(ZeroDivisionError), whole_folder(out) as folder:
            _ = 1 / 0
        assert (out / "run.json").read_text() == "old"  # until the new one is whole
        with whole_folder(out) as folder:
            (folder / "run.json").write_text("new")
        assert {path.name: path.read_text() for path in out.iterdir()} == {"run.json": "new"}
        (out / "notes.txt").touch()
        with pytest.raises(OutputError, match=r"notes\.txt, which is no part"):
            check_new_folder(out)
        (out / "run.json").unlink()
        (out / "notes.txt").rename(out / "dicom")
        with pytest.raises(OutputError, match=r"has no run\.json"), whole_folder(out):
            pass
        with pytest.raises(OutputError, match="is a folder"):
            check_new_file(out)
    with pytest.raises(OutputError, match="not empty"):
        check_new_folder(out)


@pytest.mark.parametrize("exists", [False, True])
def test_failure_leaves_nothing(tmp_path, exists):
    out = tmp_path / "a" / "out"
    if exists:
        out.mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(KeyboardInterrupt), whole_folder(out) as folder:
        (folder / "x").touch()
        raise KeyboardInterrupt
    assert sorted(tmp_path.rglob("*")) == before


def test_replaces_an_earlier_result_and_nothing_else(tmp_path):
    names = frozenset({"table", "images"})
    for text in ("old", "new"):
        with whole_folder(tmp_path / "out", replaces=names) as folder:
            (folder / "images").mkdir()
            (folder / "images" / text).touch()
            (folder / "table").write_text(text)
        (tmp_path / "out" / "mine").touch()
    assert (tmp_path / "out" / "table").read_text() == "new"
    assert [path.name for path in (tmp_path / "out" / "images").iterdir()] == ["new"]
    assert (tmp_path / "out" / "mine").exists()
    (tmp_path / "out" / "table").unlink()
    with pytest.raises(OutputError, match="not empty"), whole_folder(tmp_path / "out", replaces=names):
        pass


def test_earlier_result_survives_a_failure(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "table").write_text("old")
    with pytest.raises(ZeroDivisionError), whole_folder(out, replaces=frozenset({"table"})):
        raise ZeroDivisionError
    assert (out / "table").read_text() == "old"
    assert len(list(out.iterdir())) == 1


def test_new_file(tmp_path):
    check_new_file(tmp_path / "x")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OutputError, match="cannot be written"):
        check_new_file(tmp_path / "none" / "x")
    (tmp_path / "x").touch()
    with pytest.raises(OutputError, match="exists"):
        check_new_file(tmp_path / "x")


def full(*_arguments):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def old_result(tmp_path):
    out = tmp_path / "prior"
    out.mkdir()
    (out / "weights").write_text("old")
    return out


@pytest.mark.parametrize("replaces", [EVERYTHING, frozenset({"weights"})])
@pytest.mark.parametrize("step", ["fsync", "rename"])
def test_full_disk_leaves_the_old_folder_whole(tmp_path, monkeypatch, step, replaces):
    out = old_result(tmp_path)
    rename = Path.rename

    def no_place(before, after):  # for the new one, when the old one is out of the way
        return full() if before.is_relative_to(folder) else rename(before, after)

    no_space = pytest.raises(OutputError, match="No space left on device")
    with no_space, whole_folder(out, replaces=replaces) as folder:
        (folder / "weights").write_text("new")
        monkeypatch.setattr(*(files.os, "fsync", full) if step == "fsync" else (Path, "rename", no_place))
    assert (out / "weights").read_text() == "old"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["prior", "weights"]


def test_old_folder_is_never_deleted_before_the_new_one_is_in_place(tmp_path, monkeypatch):
    out, seen = old_result(tmp_path), []
    rmtree = files.shutil.rmtree

    def watched(path, **options):
        seen.append((out / "weights").read_text())
        rmtree(path, **options)

    monkeypatch.setattr(files.shutil, "rmtree", watched)
    with whole_folder(out, replaces=EVERYTHING) as folder:
        (folder / "weights").write_text("new")
    assert set(seen) == {"new"}
    assert [path.name for path in tmp_path.iterdir()] == ["prior"]


def test_old_folder_that_cannot_go_back_is_kept(tmp_path, monkeypatch):
    out = old_result(tmp_path)
    rename, calls = Path.rename, []

    def only_once(old, new):
        calls.append(new)
        return rename(old, new) if len(calls) == 1 else full()

    with pytest.raises(OutputError), whole_folder(out, replaces=EVERYTHING) as folder:
        (folder / "weights").write_text("new")
        monkeypatch.setattr(Path, "rename", only_once)
    assert [path.read_text() for path in tmp_path.rglob("weights")] == ["old"]


def test_file_is_the_old_or_the_new_one(tmp_path, monkeypatch):
    path = tmp_path / "x"
    write_file(path, "old\r\n")
    assert path.read_bytes() == b"old\r\n"
    with pytest.raises(ZeroDivisionError), whole_file(path) as unfinished:
        unfinished.write_text("half")
        raise ZeroDivisionError
    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        with pytest.raises(OutputError, match=r"x cannot be written \(No space left on device\); make room"):
            write_file(path, b"new", advice="make room")
    with pytest.raises(OutputError, match="no Unicode"):
        write_file(path, "\udcff")
    assert path.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_kill_left_is_cleared(tmp_path):
    (tmp_path / ".ctresample-dead.partial").mkdir()
    (tmp_path / ".ctresample-gone.partial").touch()
    (tmp_path / "mine.partial").touch()
    remove_unfinished(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.partial"]


@pytest.mark.skipif(os.name == "nt", reason="processes cannot be asked for there")
def test_what_a_killed_process_has_left_is_cleared(tmp_path):
    """Of this machine's dead only: others may be at work in the same folder."""
    code = """
import os, signal, sys
from pathlib import Path
from ctresample.files import whole_file, whole_folder
with whole_folder(Path(sys.argv[1]) / "result") as folder, whole_file(Path(sys.argv[1]) / "file") as file:
    (folder / "patient").write_text("data")
    file.write_text("data")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code, tmp_path], check=False)
    assert len(list(tmp_path.iterdir())) == 2
    foreign = tmp_path / ".ctresample-00000000-1-00000000.partial"
    foreign.mkdir()
    with whole_folder(tmp_path / "other") as ours, whole_file(tmp_path / "third") as file:
        file.write_text("x")
        assert {entry.name for entry in tmp_path.iterdir()} == {foreign.name, ours.name, file.name}
    assert {entry.name for entry in tmp_path.iterdir()} == {foreign.name, "other", "third"}
