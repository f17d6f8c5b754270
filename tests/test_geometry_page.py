"""The geometry page: its examples run, its figures are there and small, and no attribute is left out."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

import ctresample
from ctresample.geometry import ConeBeam, FanBeam, HelicalBeam, ImageGrid, ParallelBeam, VolumeGrid

DOCS = Path(ctresample.__file__).parent / "docs"
PAGE = (DOCS / "geometry.md").read_text(encoding="utf-8")


def test_examples_run():
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) > 5
    names = {}
    for number, block in enumerate(blocks, 1):  # one after the other, as a reader would
        exec(compile(block, f"geometry.md, example {number}", "exec"), names)  # noqa: S102


@pytest.mark.parametrize("kind", [ParallelBeam, FanBeam, ConeBeam, HelicalBeam, ImageGrid, VolumeGrid])
def test_every_attribute_is_explained(kind):
    for field in fields(kind):
        assert re.search(rf"`(\w+\.)?{field.name}`", PAGE), field.name


def test_every_figure_is_there_and_small():
    named = {DOCS / name for name in re.findall(r"!\[.+\]\((.+)\)", PAGE)}
    assert named == set((DOCS / "figures").glob("geometry-*.png"))
    sizes = [path.stat().st_size for path in named]
    assert max(sizes) < 120_000
    assert sum(sizes) < 600_000
