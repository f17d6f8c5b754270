"""JSON and YAML files that are made to do harm, and words that YAML 1.1 takes for something else."""

import math

import pytest

from ctresample.bounded_files import MAX_BYTES, read_json, read_yaml


@pytest.fixture
def yaml(tmp_path):
    def read(text):
        (tmp_path / "a.yaml").write_text(text)
        return read_yaml(tmp_path / "a.yaml")

    return read


def test_words_of_yaml_1_2(yaml):
    said = "[1:30, 1:1:1, yes, no, on, 2024-03-01, 017, 0o17, 0x1F, 1e5, -2.5E-3, .5, 5., 1_000, .inf, -.inf, ~, true]"
    expected = ["1:30", "1:1:1", "yes", "no", "on", "2024-03-01", 17, 15, 31, 1e5, -2.5e-3, 0.5, 5.0, "1_000"]
    assert yaml(said) == [*expected, math.inf, -math.inf, None, True]
    assert math.isnan(yaml("[.nan]")[0])
    assert yaml("a: {b: [1, 'x']}\nc: text") == {"a": {"b": [1, "x"]}, "c": "text"}
    assert yaml("") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x 1\nb: *x", "aliases are not allowed"),
        ("[" * 60 + "]" * 60, "nested too deeply"),
        ("[" * 400_000, "nested too deeply"),
        ("[" + "1," * 250_000 + "]", "over 200,000 values"),
        ("a" * (MAX_BYTES + 1), "larger than 1 MiB"),
        ("a: 1\na: 2", "twice"),
        ("1: 2", "a key is no word"),
        ("a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("a: [", "(did not find )?expected (the )?node content"),
        ("9" * 5000, "4300 digits"),
    ],
)
def test_harm_in_yaml(yaml, text, message):
    with pytest.raises(ValueError, match=message):
        yaml(text)


def test_sexagesimal_numbers_are_words(yaml):
    """They took 26 s in YAML 1.1: quadratic in their length."""
    assert yaml("1:" * 300_000 + "1") == "1:" * 300_000 + "1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 500_000, "nested too deeply"),
        ('{"a": 1, "a": 2}', "twice"),
        (" " * (MAX_BYTES + 1), "larger than 1 MiB"),
        ("{", "Expecting property name"),
        ("\udcff", "utf-8"),
    ],
)
def test_harm_in_json(tmp_path, text, message):
    (tmp_path / "a.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=message):
        read_json(tmp_path / "a.json")
