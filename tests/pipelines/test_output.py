"""Output folders that hold a whole result or nothing."""

import pytest

from ctresample.errors import OutputError
from ctresample.pipelines.output import check_new_file, new_folder


def test_appears_at_the_end(tmp_path):
    out = tmp_path / "a" / "b"
    with new_folder(out) as folder:
        (folder / "x").write_text("1")
        assert not out.exists()
    assert [path.name for path in out.iterdir()] == ["x"]
    assert [path.name for path in out.parent.iterdir()] == ["b"]


def test_empty_folder_is_kept_and_filled(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    inode = out.stat().st_ino
    with new_folder(out) as folder:
        (folder / "x").mkdir()
    assert [path.name for path in out.iterdir()] == ["x"]
    assert out.stat().st_ino == inode  # it may be a mounted volume


@pytest.mark.parametrize("exists", [False, True])
def test_failure_leaves_nothing(tmp_path, exists):
    out = tmp_path / "a" / "out"
    if exists:
        out.mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(KeyboardInterrupt), new_folder(out) as folder:
        (folder / "x").touch()
        raise KeyboardInterrupt
    assert sorted(tmp_path.rglob("*")) == before


def test_replaces_an_earlier_result_and_nothing_else(tmp_path):
    names = frozenset({"table", "images"})
    for text in ("old", "new"):
        with new_folder(tmp_path / "out", replaces=names) as folder:
            (folder / "images").mkdir()
            (folder / "images" / text).touch()
            (folder / "table").write_text(text)
        (tmp_path / "out" / "mine").touch()
    assert (tmp_path / "out" / "table").read_text() == "new"
    assert [path.name for path in (tmp_path / "out" / "images").iterdir()] == ["new"]
    assert (tmp_path / "out" / "mine").exists()
    (tmp_path / "out" / "table").unlink()
    with pytest.raises(OutputError, match="not empty"), new_folder(tmp_path / "out", replaces=names):
        pass


def test_earlier_result_survives_a_failure(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "table").write_text("old")
    with pytest.raises(ZeroDivisionError), new_folder(out, replaces=frozenset({"table"})):
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
