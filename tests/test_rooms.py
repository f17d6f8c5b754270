"""What is decided in one place stays there."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
KINDS = "ParallelBeam|FanBeam|ConeBeam|DivergingBeam|ImageGrid|VolumeGrid"


def test_few_ask_which_beam_it_is():
    """Elsewhere than in their own folders the beams and grids are asked for what they know."""
    own = {ROOT / "ctresample" / name for name in ("geometry", "operators", "pipelines", "data_tools")}
    asked = {}
    for top in ("ctresample", "pipelines", "data_tools", "benchmarks"):
        for path in sorted((ROOT / top).rglob("*.py")):
            if not own & set(path.parents):
                found = re.findall(rf"isinstance\([^)]*\b(?:{KINDS})\b", path.read_text(encoding="utf-8"))
                asked[path.relative_to(ROOT)] = len(found)
    assert len(asked) > 100
    assert sum(asked.values()) <= 10, {path: n for path, n in asked.items() if n}


def sources() -> Iterator[Path]:
    links = {ROOT / "ctresample" / "pipelines", ROOT / "ctresample" / "data_tools"}
    for top in ("ctresample", "pipelines", "data_tools"):
        found = sorted((ROOT / top).rglob("*.py"))
        yield from (path for path in found if not (links | {ROOT / "ctresample" / "testing"}) & set(path.parents))


def names_in(path: Path) -> set[str]:
    """All names and texts of the code, without comments and docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            found.add(node.value)
        for attribute in ("id", "attr", "arg", "name"):
            found.update(str(getattr(node, attribute, "")).split("."))
    return found


@pytest.fixture(scope="module")
def names():
    return {path.relative_to(ROOT).as_posix(): names_in(path) for path in sources()}


def table() -> list[tuple[set[str], set[str]]]:
    """The names of the examples, and the files that have them."""
    rows = re.findall(r"^\| an? [^|]*\|([^|]+)\|([^|]+)\|$", (ROOT / "CONTRIBUTING.md").read_text(), flags=re.M)
    return [(set(re.findall(r"`([^`]+)`", words)), set(re.findall(r"`([^`]+)`", places))) for words, places in rows]


def test_the_table_has_rows():
    assert [len(places) for _, places in table()] == [3, 2, 1, 3, 2, 8]


@pytest.mark.parametrize(("words", "places"), table(), ids=lambda found: min(found))
def test_what_an_addition_touches(names, words, places):
    assert {path for path, found in names.items() if words & found} == places
