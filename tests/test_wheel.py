"""The wheel holds all that the package reads when it runs, and a fresh import of it works without the clone."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
READ_AT_RUN_TIME = ("*.j2", "*.css", "*.js", "*.json", "*.yaml", "*.tsv", "*.dcm", "*.npz", "*.safetensors", "*.md")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built in a copy: a build leaves folders beside the sources."""
    copy = tmp_path_factory.mktemp("sources") / "ctresample"
    shutil.copytree(
        ROOT,
        copy,
        symlinks=True,
        ignore=shutil.ignore_patterns(
            ".git", ".venv*", "tests", "benchmarks", "docs-site", "build", "*.egg-info", "shared"
        ),
    )
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet", "-w", out, copy]
    done = subprocess.run(build, capture_output=True, text=True)
    if "setuptools" in done.stderr and "No module" in done.stderr:
        pytest.skip("setuptools, which builds wheels, is not installed")
    assert done.returncode == 0, done.stderr
    (built,) = out.iterdir()
    return built


@pytest.mark.slow
def test_it_has_every_file_that_is_read(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    wanted = {
        f"ctresample/{name}" if name.startswith(("pipelines/", "data_tools/")) else name
        for name in tracked
        if name.startswith(("ctresample/", "pipelines/", "data_tools/"))
        and any(Path(name).match(pattern) for pattern in (*READ_AT_RUN_TIME, "*.py"))
    }
    assert wanted - names == set()


@pytest.mark.slow
def test_it_works_without_the_clone(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path / "site")!r})
import ctresample
assert ctresample.__file__.startswith({str(tmp_path)!r}), ctresample.__file__
from pathlib import Path
from ctresample import reconstruct, simulate
ct = Path(ctresample.__file__).parent / "demo_data" / "slice-11.dcm"
reconstruct(simulate(ct, n_views=20, size=64, photons=1e5), method="fbp").save("out")
assert "viewer" in Path("out/report.html").read_text(encoding="utf-8")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
