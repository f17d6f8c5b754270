"""The container and the conda recipe hold what the package needs; built they are where there is a builder."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base", "SimpleITK": "simpleitk"}


def instructions(text):
    """Of a Dockerfile: ``(instruction, arguments)``, lines that go on joined, comments left out."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


DOCKER = instructions((ROOT / "Dockerfile").read_text(encoding="utf-8"))
CONTEXT = [line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]


def test_the_container_has_known_instructions_in_order():
    names = [name for name, _ in DOCKER]
    assert set(names) <= {"ARG", "FROM", "WORKDIR", "RUN", "ENV", "COPY", "USER", "ENTRYPOINT", "CMD"}
    assert names[:2] == ["ARG", "FROM"]
    assert names.count("FROM") == 2  # what builds stays behind
    assert names.index("USER") > max(place for place, name in enumerate(names) if name == "RUN")  # not as root
    assert ("ENTRYPOINT", '["ctresample"]') in DOCKER


def test_what_the_container_copies_is_in_its_context():
    for name, arguments in DOCKER:
        if name == "COPY" and not arguments.startswith("--from"):
            *sources, _ = arguments.split()
            for source in sources:
                assert (ROOT / source).exists(), source
                assert source == "." or source in CONTEXT, source


def test_the_context_has_all_that_the_wheel_is_made_of():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    wanted = {PROJECT["readme"], *PROJECT["license-files"], *settings["package-dir"].values()}
    assert wanted <= set(CONTEXT)
    assert all((ROOT / place).exists() for place in CONTEXT)


@pytest.mark.parametrize("command", [arguments for name, arguments in DOCKER if name == "RUN"])
def test_the_shell_can_read_what_the_container_runs(command):
    done = subprocess.run(["sh", "-n", "-c", command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_recipe_needs_what_the_project_needs():
    recipe = yaml.safe_load((ROOT / "packaging" / "recipe.yaml").read_text(encoding="utf-8"))
    needed = {"python " + PROJECT["requires-python"]}
    for one in PROJECT["dependencies"]:
        name, bound = re.fullmatch(r"([\w-]+)(.*)", one).groups()
        needed.add(f"{CONDA_NAMES.get(name, name)} {bound}".strip())
    assert set(recipe["requirements"]["run"]) == needed
    assert recipe["context"]["version"] == PROJECT["version"]
    assert recipe["about"]["license"] == PROJECT["license"]
    assert set(recipe["about"]["license_file"]) == set(PROJECT["license-files"])
    assert all((ROOT / file).is_file() for file in recipe["about"]["license_file"])
    (point,) = recipe["build"]["python"]["entry_points"]
    assert point == f"ctresample = {PROJECT['scripts']['ctresample']}"
