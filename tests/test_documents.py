"""Every block of code in the README and the pages is run, or stands below with the reason why not.

A block is named by its page and its first words. It runs in a folder of its own, with the files that it takes.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

import ctresample

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "ctresample" / "docs").glob("*.md"))]

NOT_RUN = {
    "README.md: make demo": "sets up an environment from the package index; the demo has tests of its own",
    "README.md: .venv/bin/python -m pip": "installs from the package index and trains; tests/cli/test_train.py trains",
    "CONTRIBUTING.md: make test": "runs all tests",
    "batch.md: ctresample batch export/ -o results --views 25 --photons 1e5 --select": "needs a series of 20 slices",
    "batch.md: dask scheduler": "needs several machines",
    'batch.md: """Start dask workers by SLURM': "needs a SLURM cluster",
    "batch.md: python slurm_batch.py": "needs a SLURM cluster",
    "measured.md: .venv/bin/python benchmarks": "measures for minutes; tests/benchmarks has the script",
    "pacs.md: pip install": "installs from the package index",
    "pacs.md: ctresample fetch hospital --patient-id": "needs an image archive; tests/data_tools/pacs have some",
    "pacs.md: study 1.2": "is output",
    "pacs.md: ctresample fetch hospital --series": "needs an image archive",
    "pacs.md: ctresample send": "needs an image archive",
    "start.md: pip install .": "installs from package indexes; tests/test_packaging.py reads the recipes",
    "start.md: ctresample doctor\nctresample demo": "tests/test_demo.py runs it",
    "priors.md: ctresample prior import MODEL_DIR": "needs a model of others; see tests/pipelines/prior_import",
    "priors.md: ctresample prior import ldm.ckpt": "needs a model of others",
    "priors.md: ctresample prior import ddpm-folder": "needs a model of others",
    "trust.md: ctresample calibrate": "needs several patients; tests/cli/test_calibrate.py has some",
    "speed.md: make bench-speed": "measures for many minutes; tests/benchmarks have the scripts",
    "tasks.md: ctresample lesions": "takes a minute a slice; tests/cli/test_lesions.py runs it on little",
    "training.md: ctresample train autoencoder": "trains; tests/cli/test_train.py does so on little",
    "training.md: ctresample dataset": "needs scans of several patients",
    "training.md: ctresample train prior": "needs training data",
    "training.md: accelerate launch": "needs several GPUs",
    "training.md: ctresample train coarse": "trains",
    "training.md: ctresample train pixel-prior": "trains",
    "training.md: ctresample finetune": "trains",
}

SLOW = (
    "README.md: mkdir -p my_ct",
    "README.md: from ctresample import reconstruct",
    "README.md: .venv/bin/ctresample import",
    "batch.md: ctresample batch export/ -o results --views 25 --photons 1e5 --dry-run",
    "python.md: from ctresample import PRESETS",
    "python.md: import torch\n\nfrom ctresample import ReSamplePipeline",
    "batch.md: SOURCE_DATE_EPOCH",
    "batch.md: ctresample batch export/ -o results --views 25 --photons 1e5 --workers 2",
    "export.md: ctresample simulate chest_ct/ -o scan.h5 --views 25 --photons",
    "export.md: ctresample simulate chest_ct/ -o scan.h5 --views 25 --deidentify",
    "measured-or-invented.md: ctresample simulate chest_ct/ -o scan.h5 --views 25 --photons 1e5\n",
    "measured.md: .venv/bin/ctresample import",
    "measured.md: .venv/bin/ctresample reconstruct",
    "scanners.md: ctresample info",
    "scanners.md: ctresample align",
    "scanners.md: ctresample simulate",
    "sinograms.md: ctresample import",
    "start.md: ctresample info chest_ct/",
    "trust.md: ctresample reconstruct",
    "volumes.md: ctresample simulate",
    "volumes.md: ctresample benchmark",
)


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    code: str

    @property
    def title(self):
        return f"{self.page}: {self.code.strip()}"

    def is_one_of(self, titles):
        return any(self.title.startswith(title) for title in titles)


def blocks_of(page):
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^( *)```(\w*)\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE):
        indent, language, code = found.groups()
        code = re.sub(rf"^{indent}", "", code, flags=re.MULTILINE)
        yield Block(page.name, text[: found.start()].count("\n") + 1, language, code)


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def runs(language, *, but=()):
    """The blocks of a language, slow ones marked."""
    return [
        pytest.param(block, id=f"{block.page}:{block.line}", marks=[pytest.mark.slow] * block.is_one_of(SLOW))
        for block in BLOCKS
        if block.language == language and block.page not in but and not block.is_one_of(NOT_RUN)
    ]


def test_nothing_is_left_out_of_what_is_no_more():
    for title in [*NOT_RUN, *SLOW]:
        assert any(block.title.startswith(title) for block in BLOCKS), title


def test_every_language_is_known():
    assert {block.language for block in BLOCKS} == {"", "python", "json", "toml", "yaml"}


# ---------------------------------------------------------------- what blocks find in their folder


def series(place, n):
    place.mkdir()
    for number in range(11, 11 + n):
        shutil.copy(ROOT / "ctresample" / "demo_data" / f"slice-{number}.dcm", place)


def scan(place):
    import numpy as np

    water = ctresample.Volume(np.zeros((1, 32, 32), np.float32), np.eye(4))
    ctresample.write_sinogram(ctresample.simulate(water, n_views=12, size=32), place)


def disc(place):
    beside = ROOT / "ctresample" / "demo_data" / "htc2022_tb_stitched.json"
    file = ROOT / "ctresample" / "demo_data" / "htc2022_tb_stitched.npz"
    ctresample.write_sinogram(ctresample.import_sinogram(file, sidecar=beside), place)


def of_the_page(language):
    (block,) = (block for block in BLOCKS if block.page == "sinograms.md" and block.language == language)
    return block.code


def projections(place):
    (block,) = (block for block in BLOCKS if block.page == "scanners.md" and "write_projections" in block.code)
    exec(compile(block.code, block.title, "exec"), {})  # noqa: S102


def off_axis(place):
    (block,) = (block for block in BLOCKS if block.page == "scanners.md" and "detector_offset_mm" in block.code)
    exec(compile(block.code, block.title, "exec"), {})  # noqa: S102


FILES = {
    "projections": projections,
    "off.h5": off_axis,
    "my_ct": lambda place: series(place, 2),
    "chest_ct": lambda place: series(place, 1),
    "export": lambda place: series(place, 1),
    "scan.h5": scan,
    "disc.h5": disc,
    "geometry.json": lambda place: place.write_text(of_the_page("json")),
    "scan.npy": lambda place: exec(of_the_page("python"), {}),  # noqa: S102
}
"""Made where a block names them before it makes them itself (by -o or mkdir)."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("ctresample", "benchmarks"):
        (tmp_path / name).symlink_to(ROOT / name)

    def fill(code):
        for name, make in FILES.items():
            first = re.search(rf"(-o |mkdir -p )?(?<![\w/.-]){re.escape(name)}(?![\w.-])", code)
            if first and not first.group(1) and not re.search(rf'write_\w+\(.*"{re.escape(name)}"', code):
                make(tmp_path / name)

    return fill


# ---------------------------------------------------------------- run


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("block", runs("python", but=["geometry.md"]))  # whose test runs its blocks in a row
def test_python(block, folder, in_one_thread):
    folder(block.code)
    with in_one_thread():
        exec(compile(block.code, f"{block.page}, line {block.line}", "exec"), {})  # noqa: S102


def test_python_that_is_not_run_is_python():
    for block in BLOCKS:
        if block.language == "python":
            compile(block.code, block.title, "exec")


@pytest.mark.timeout(1800)  # the slow ones, where other programs run, too
@pytest.mark.parametrize("block", runs(""))
def test_shell(block, folder):
    folder(block.code)
    code = block.code.replace(".venv/bin/", "")
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", code], env=environment, capture_output=True, text=True, timeout=1800
    )
    assert done.returncode == 0, done.stdout + done.stderr


COMMANDS = sorted(
    {
        line.strip().removeprefix(".venv/bin/")
        for block in BLOCKS
        if block.language == ""
        for line in block.code.replace("\\\n", " ").splitlines()
        if re.match(r" *(\.venv/bin/)?ctresample ", line)
    }
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_one_that_there_is(command):
    """Its verb and options; those that run are seen to take their values, too."""
    import typer.main

    from ctresample.cli import app

    group, words = typer.main.get_command(app), shlex.split(command, comments=True)[1:]
    while hasattr(group, "commands"):
        name = words.pop(0)
        assert name in group.commands, name
        group = group.commands[name]
    group.make_context(name, words, resilient_parsing=True)


@pytest.mark.parametrize("block", runs("yaml"))
def test_recipes(block):
    assert isinstance(yaml.safe_load(block.code), dict)


def test_archives_of_the_page(tmp_path, monkeypatch):
    (block,) = (block for block in BLOCKS if block.language == "toml")
    from ctresample.data_tools.pacs.settings import read_node

    (tmp_path / "nodes.toml").write_text(block.code)
    for name in re.findall(r'"([\w-]+\.(?:pem|key))"', block.code):
        (tmp_path / name).touch()
    monkeypatch.setenv("CTRESAMPLE_RESEARCH_PASSWORD", "secret")
    for name in tomllib.loads(block.code)["nodes"]:
        assert read_node(name, tmp_path / "nodes.toml")
