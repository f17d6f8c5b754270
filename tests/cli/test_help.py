"""Help, version, and what they cost."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ctresample.pipelines.reconstruction.methods import METHODS

VERBS = (
    "demo",
    "simulate",
    "import",
    "align",
    "lower-dose",
    "reconstruct",
    "calibrate",
    "batch",
    "benchmark",
    "lesions",
    "dataset",
    "finetune",
    "fetch",
    "send",
    "info",
    "doctor",
)
PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_help_lists_every_verb(cli):
    done = cli("--help")
    assert done.exit_code == 0
    for verb in (*VERBS, "--version", "--debug"):
        assert verb in done.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb(cli, verb):
    done = cli(verb, "--help")
    assert done.exit_code == 0
    assert f"Example: ctresample {verb}" in done.stdout


def test_every_verb_names_its_page():
    import typer.main

    from ctresample.cli import app, pages

    def verbs(group, path=()):
        if not hasattr(group, "commands"):
            return {" ".join(path): group}
        return {k: v for name, one in group.commands.items() for k, v in verbs(one, (*path, name)).items()}

    found = verbs(typer.main.get_command(app))
    assert found.keys() == pages.PAGES.keys()
    for verb, command in found.items():
        page = pages.DOCS / pages.PAGES[verb]
        assert command.epilog.endswith(f"More: {page}")
        assert f"ctresample {verb}" in page.read_text(encoding="utf-8"), verb  # and the page knows the verb
        assert pages.example_of(command.epilog).startswith(f"ctresample {verb}")


def test_rare_options_stand_last(cli):
    text = cli("reconstruct", "--help").stdout
    places = [text.index(words) for words in ("--out ", "--method ", "--views ", "--allow-gaps ", "--batch-size ")]
    assert places == sorted(places)


def test_options_named_in_messages_exist():
    """Whatever option a message advises, some verb has; `elsewhere` says which where the called one has not."""
    import ast

    import typer.main

    from ctresample.cli import app, elsewhere

    def options(command):
        own = {name for parameter in command.params for name in parameter.opts}
        return own.union(*map(options, getattr(command, "commands", {}).values()))

    known = options(typer.main.get_command(app))
    others = {"--help", "--raw", "--nthreads"}  # of every verb, of gdcmconv, of dask
    for folder in ("data_tools", "pipelines", "ctresample/cli"):
        for file in (PROJECT.parent / folder).rglob("*.py"):
            texts = [
                node.value
                for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
                if isinstance(node, ast.Constant) and isinstance(node.value, str)
            ]
            named = {name for text in texts for name in elsewhere._OPTION.findall(text)}
            assert named <= known | others, (file, named - known)


@pytest.mark.parametrize("verb", ["reconstruct", "benchmark", "lesions"])
def test_help_lists_every_method(cli, verb):
    lines = " ".join(cli(verb, "--help").stdout.split())
    for name, method in METHODS.items():
        assert f"{name}: {method.title}" in lines


def test_no_verb(cli):
    done = cli()
    assert done.exit_code == 2
    commands = re.findall(r"^  ctresample (\w+)", done.stdout, re.MULTILINE)
    assert commands == ["demo", "reconstruct", "info"]  # three to begin with


def test_version(cli):
    assert cli("--version").stdout == f"ctresample {tomllib.loads(PROJECT.read_text())['project']['version']}\n"


@pytest.mark.parametrize(
    "words",
    [["--help"], ["benchmark", "--help"], ["reconstruct", "--help"], ["--version"], ["info", "none"], ["nonsense"]],
)
def test_loads_no_torch(words):
    code = f"""
import sys
from ctresample.cli import main
sys.argv = ["ctresample", *{words!r}]
try:
    main()
except SystemExit:
    pass
loaded = {{"torch", "diffusers", "scipy", "SimpleITK"}} & set(sys.modules)
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_info_loads_no_torch(scan, series, prior):
    code = f"""
import sys
from ctresample.cli import app
for path in {[str(scan), str(series), str(prior)]!r}:
    try:
        app(["info", path])
    except SystemExit as stop:
        assert stop.code == 0, path
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_presets_are_those_of_the_library():
    from ctresample.pipelines.reconstruction import methods
    from ctresample.solvers.resample import PRESETS

    assert set(methods.PRESETS) == set(PRESETS)
