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


@pytest.mark.parametrize("verb", ["reconstruct", "benchmark"])
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
