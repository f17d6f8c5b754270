"""The documentation site: what is made when it is built follows the program, and every page is in it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.fixture(scope="module")
def hooks() -> Any:
    spec = importlib.util.spec_from_file_location("docs_hooks", ROOT / "benchmarks" / "docs" / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_is_in_the_site() -> None:
    def pages(entry: Any) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        parts = entry if isinstance(entry, list) else list(entry.values())
        return [page for part in parts for page in pages(part)]

    listed = pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    written = {page.name for page in (ROOT / "ctresample" / "docs").glob("*.md")}
    assert set(listed) == written | {"index.md", "gallery.md", "commands.md", "reference.md"}


def test_commands_come_from_the_program(hooks: Any) -> None:
    page = hooks.commands_page()
    for words in ("ctresample reconstruct", "ctresample train prior", "ctresample prior card"):
        assert f"## {words}\n" in page
    reconstruct = page.partition("## ctresample reconstruct\n")[2].partition("\n## ")[0]
    for option in ("--method", "--views", "--residual-map", "--size"):
        assert f"<code>{option}" in reconstruct
    assert "[bold]" not in page


def test_the_reference_has_every_public_name(hooks: Any) -> None:
    import ctresample

    page = hooks.reference_page()
    named = {line.rpartition(".")[2] for line in page.splitlines() if line.startswith("::: ")}
    assert named == set(ctresample._EXPORTS)


def test_the_gallery_has_what_is_promised() -> None:
    assert len(EXAMPLES) >= 12


def test_what_an_example_prints_is_shown(hooks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "ROOT", tmp_path)
    (tmp_path / "a.py").write_text('"""Title: what it shows."""\n\n# %% A cell\nprint(6 * 7)\n')
    page = hooks.example_page(tmp_path / "a.py", None)
    assert page.startswith("## Title\n\nWhat it shows.")
    assert "```\n42\n```" in page


def test_links_that_leave_the_site_become_names(hooks: Any) -> None:
    links = {
        "[the script](../../benchmarks/quality/search.py)": "the script (`benchmarks/quality/search.py`)",
        "[here](batch.md#size)": "[here](batch.md#size)",
        "[`a.py`](../a.py)": "`a.py`",
        "[steps](../../examples/volume.py)": "[steps](gallery.md#a-volume)",
    }
    assert hooks.on_page_markdown(", ".join(links), None, None, None) == ", ".join(links.values())


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(one, marks=() if one.stem in ("own_data", "volume") else pytest.mark.slow, id=one.stem)
        for one in EXAMPLES
    ],
)
def test_every_example_runs_and_draws(hooks: Any, script: Path) -> None:
    pictures: dict[str, bytes] = {}
    page = hooks.example_page(script, pictures.__setitem__)
    assert pictures
    assert all(content.startswith(b"\x89PNG") for content in pictures.values())
    assert all(f"]({name})" in page for name in pictures)
    assert page.startswith("## ")
