"""What importing costs, what the top level offers, and what is installed."""

import os
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest

import ctresample

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

HELP = """
import sys
from ctresample.cli import main
sys.argv = ["ctresample", "--help"]
try:
    main()
except SystemExit as stop:
    assert stop.code in (0, None), f"--help exits with {stop.code}"
"""


@pytest.mark.parametrize("code", ["import ctresample", "import ctresample; ctresample.__version__", HELP])
def test_loads_no_heavy_package(code):
    heavy = "{'torch', 'diffusers', 'astra', 'scipy', 'SimpleITK'}"
    check = f"import sys; loaded = {heavy} & set(sys.modules); assert not loaded, loaded"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{check}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


SOLVE = """
import torch
from ctresample import ImageGrid, ParallelBeam, make_projector, tv
grid = ImageGrid((8, 8), pixel_size_mm=10.0)
A = make_projector(ParallelBeam.for_grid(grid, n_views=4), grid)
tv(torch.ones(1, 1, *A.range_shape), A, sigma=torch.ones(1, 1, *A.range_shape), max_iterations=1)
import ctresample.pipelines.reconstruction.reconstruct
import sys
loaded = {"diffusers", "transformers"} & set(sys.modules)
assert not loaded, loaded
"""


def test_methods_without_a_prior_do_not_wait_for_diffusers():
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", SOLVE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None")],
    ids=str,
)
def test_threads_do_not_spin_for_long_unless_asked_to(given, expected):
    names = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    environment = {name: value for name, value in os.environ.items() if name not in names} | given
    code = "import ctresample, os; print(os.environ.get('GOMP_SPINCOUNT'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == expected


@pytest.mark.parametrize("name", sorted(ctresample._EXPORTS))
def test_every_name_is_there_and_no_module(name):
    assert not isinstance(getattr(ctresample, name), ModuleType)  # a solver's name is also that of its module
    assert name in dir(ctresample)


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        ctresample.nonsense  # noqa: B018


def test_version():
    assert ctresample.__version__ == version("ctresample") == PROJECT["project"]["version"]


def test_every_package_is_installed():
    folders = {"ctresample": ROOT / "ctresample", "ctresample.pipelines": ROOT / "pipelines"}
    folders["ctresample.data_tools"] = ROOT / "data_tools"
    found = {
        ".".join((name, *init.parent.relative_to(folder).parts))
        for name, folder in folders.items()
        for init in folder.rglob("__init__.py")
    }
    assert found == set(PROJECT["tool"]["setuptools"]["packages"])
