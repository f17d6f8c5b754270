"""Names to choose among are spelt once, and every table knows all of them."""

import ast
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest
import torch

from ctresample.choices import BEAMS, VOLUME_BEAMS, VOLUME_SUFFIXES, WINDOWS
from ctresample.geometry import ImageGrid, VolumeGrid
from ctresample.pipelines.scan.geometry import scan_geometry
from ctresample.solvers.ramp import ramp_filter

ROOT = Path(__file__).parents[1]


def literals(path: Path) -> Iterator[frozenset[str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "Literal":
            names = [one.value for one in ast.walk(node.slice) if isinstance(one, ast.Constant)]
            yield frozenset(name for name in names if isinstance(name, str))


def test_no_list_of_names_stands_twice():
    """Lists that share two names are one list."""
    places = ("ctresample", "pipelines", "data_tools")
    sources = [path for place in places for path in sorted((ROOT / place).glob("**/*.py"))]
    found = [(path.relative_to(ROOT), names) for path in sources for names in literals(path)]
    assert len(found) > 20
    twice = [(a, b) for a, b in combinations(found, 2) if len(a[1] & b[1]) > 1]
    assert not twice


@pytest.mark.parametrize("beam", BEAMS)
def test_every_beam_can_be_scanned(beam):
    grid = VolumeGrid((4, 16, 16), 1.0, 1.0) if beam in VOLUME_BEAMS else ImageGrid((16, 16), 1.0)
    assert scan_geometry(grid, beam=beam, n_views=3).n_views >= 3


@pytest.mark.parametrize("window", WINDOWS)
def test_every_window_has_a_filter(window):
    assert ramp_filter(torch.ones(8), 1.0, window=window).isfinite().all()


def test_every_format_has_an_ending_of_its_own():
    assert len(set(VOLUME_SUFFIXES.values())) == len(VOLUME_SUFFIXES)
