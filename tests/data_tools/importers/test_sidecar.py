"""Sidecars: which one counts, and that none can do harm."""

import json

import pytest
import yaml

from ctresample.bounded_files import MAX_BYTES
from ctresample.data_tools.importers.sidecar import find_sidecar, read_sidecar
from ctresample.errors import SinogramError


def test_found_beside_the_file(tmp_path):
    path = tmp_path / "scan.npy"
    assert find_sidecar(path) is None
    for name in ("geometry.yaml", "scan.yml"):  # the more special one wins
        (tmp_path / name).touch()
        assert find_sidecar(path) == tmp_path / name
    (tmp_path / "scan.json").touch()
    with pytest.raises(SinogramError, match=r"two sidecars, scan.json and scan.yml; name one with --geometry"):
        find_sidecar(path)


def test_found_for_a_folder(tmp_path):
    folder = tmp_path / "pages"
    folder.mkdir()
    for place in (tmp_path / "geometry.json", tmp_path / "pages.json"):
        place.touch()
        assert find_sidecar(folder) == place
    (tmp_path / "pages.json").unlink()
    (folder / "geometry.json").touch()
    with pytest.raises(SinogramError, match="two sidecars"):
        find_sidecar(folder)


def test_json_and_yaml_say_the_same(tmp_path, scan):
    (tmp_path / "a.json").write_text(json.dumps(scan.facts))
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(scan.facts))
    assert read_sidecar(tmp_path / "a.json") == read_sidecar(tmp_path / "a.yaml") == scan.facts


def test_numbers_as_people_write_them(tmp_path):
    (tmp_path / "a.yaml").write_text("a: 1e5\nb: -2.5e-3\nc: .5E+1\nd: 1e5x\ne: 12\n")
    assert read_sidecar(tmp_path / "a.yaml") == {"a": 1e5, "b": -2.5e-3, "c": 5.0, "d": "1e5x", "e": 12}


BOMB = "a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{f'*{a}, ' * 9}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.yaml", BOMB, "aliases are not allowed"),
        ("a.yaml", "!!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("a.yaml", "a: 1\na: 2", "a key is there twice"),
        ("a.yaml", "a: {b: 1, b: 2}", "a key is there twice"),
        ("a.yaml", "? [1, 2]\n: 3", "a key is no word"),
        ("a.yaml", "[" * 5000, "no valid JSON or YAML"),
        ("a.yaml", "\t- a", "no valid JSON or YAML"),
        ("a.yaml", "just words", "holds no keys"),
        ("a.json", '{"a": 1, "a": 2}', "a key is there twice"),
        ("a.json", "[" * 100_000, "no valid JSON or YAML"),
        ("a.json", "{", "no valid JSON"),
        ("a.json", "[1]", "holds no keys"),
        ("a.json", " " * (MAX_BYTES + 1), "larger than 1 MiB"),
    ],
)
def test_refused(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(SinogramError, match=message) as caught:
        read_sidecar(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_no_text(tmp_path):
    (tmp_path / "a.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SinogramError, match="no valid JSON"):
        read_sidecar(tmp_path / "a.json")
    with pytest.raises(SinogramError, match=r"cannot be read \(No such file"):
        read_sidecar(tmp_path / "b.json")
