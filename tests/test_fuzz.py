"""Some dozens of damaged files through the loaders; and that the watch over them sees what it is there for.

The whole: python benchmarks/robustness/fuzz.py
"""

import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[1] / "benchmarks" / "robustness"


def fuzz(folder, keep, *words):
    command = [sys.executable, folder / "fuzz.py", "--keep", keep, *words]
    return subprocess.run([str(word) for word in command], capture_output=True, text=True)


@pytest.mark.parametrize(("kind", "n"), [("dicom", 30), ("sinograms", 30), ("priors", 10)])
def test_damaged_files(kind, n, tmp_path):
    done = fuzz(FUZZ, tmp_path / "keep", "--kinds", kind, "--cases", n)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{n} cases" in done.stdout
    assert "refused" in done.stdout
    assert "faults 0" in done.stdout
    assert not (tmp_path / "keep").exists()


@pytest.mark.slow  # two processes that make samples of every kind
def test_cases_can_be_made_again(tmp_path):
    code = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from cases import KINDS, Cases
import hashlib, warnings
warnings.simplefilter("ignore")
for kind in KINDS:
    cases = Cases(kind, 5, Path(sys.argv[2]))
    for number in (3, 4, 5):
        folder = Path(sys.argv[2]) / f"{kind}{number}"
        folder.mkdir()
        print(cases.make(number, folder))
        for path in sorted(one for one in folder.rglob("*") if one.is_file()):
            print(path.relative_to(folder), hashlib.sha256(path.read_bytes()).hexdigest())
"""
    said = []
    for run in "ab":
        (tmp_path / run).mkdir()
        command = [sys.executable, "-c", code, str(FUZZ), str(tmp_path / run)]
        said.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert said[0] == said[1]
    assert len(set(said[0].splitlines())) > 12


FAULTS = """
import os, pickle, signal, sys
from pathlib import Path

class Cases:
    def __init__(self, kind, seed, scratch):
        self.scratch = scratch

    def make(self, number, folder):
        (folder / "a").write_text(str(number))
        return f"case {number}"

    def load(self, folder, out):
        (out / "allowed").write_text("x")
        match int((folder / "a").read_text()):
            case 1:
                raise ValueError
            case 2:
                os.kill(os.getpid(), signal.SIGSEGV)
            case 3:
                while True:
                    pass
            case 4:
                (self.scratch.parent / "evil").write_text("x")
            case 5:
                pickle.loads(pickle.dumps(Path("x")))
            case 6:
                return "read", ["PLANTED^NAME"]
            case 7:
                b"x" * 2**27
            case 8:
                return "read", ["two\\nlines"]
        return "read", ["one line"]
"""


def test_the_watch_sees_faults(tmp_path):
    """The same supervisor over loaders that do everything wrong."""
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "fuzz.py").write_text((FUZZ / "fuzz.py").read_text())
    watched = (FUZZ / "watched.py").read_text()
    for limit, less in (("MAX_CPU_S = 5.0", "MAX_CPU_S = 0.2"), ("MAX_BYTES = 300 * 2**20", "MAX_BYTES = 2**26")):
        assert limit in watched
        watched = watched.replace(limit, less)
    (copy / "watched.py").write_text(watched)
    (copy / "cases.py").write_text(FAULTS)
    keep = tmp_path / "keep"
    done = fuzz(copy, keep, "--kinds", "sinograms", "--cases", 10, "--workers", 2)
    assert done.returncode == 1, done.stderr
    assert "faults 8" in done.stdout
    for number, fault in enumerate(
        (
            "crash: ValueError",
            "died (exit status -11)",
            "hangs",
            "wrote outside (open)",
            "pickle.find_class",
            "told of the patient",
            "MiB",
            "said more than one line",
        ),
        1,
    ):
        assert fault in (keep / f"sinograms-0-{number}" / "what.txt").read_text()
        assert (keep / f"sinograms-0-{number}" / "a").read_text() == str(number)
        assert fault in done.stdout
    assert len(list(keep.iterdir())) == 8
