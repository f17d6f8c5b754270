"""A small folder to work through, and a way to run a batch in this process."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks" / "batch"))  # scripts, no package


@pytest.fixture(scope="package", autouse=True)
def one_thread(in_one_thread):
    """Images this small only make threads wait for each other."""
    with in_one_thread():
        yield


@pytest.fixture(autouse=True)
def same_moment(monkeypatch):
    """All batches of these tests begin at one moment, so that their results can be compared."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")


@pytest.fixture(scope="session")
def source(tmp_path_factory) -> Path:
    """Four good series, and one with a gap."""
    from corpus import change_of_place, write_series

    folder = tmp_path_factory.mktemp("source")
    for number in range(4):
        write_series(folder / f"Planted^Name {number}", f"good{number}", n=1 + number)
    write_series(folder / "gap", "gap", n=4, change=change_of_place(3, 40.0))
    return folder


@pytest.fixture(scope="session")
def settings():
    from ctresample.pipelines.batch.settings import BatchSettings
    from ctresample.pipelines.scan.scan import Scan

    return BatchSettings(scan=Scan(n_views=8, size=32, photons=1e5), method="fbp")


@pytest.fixture
def run(source, settings):
    """Run the batch in a folder; returns the rows of its summary."""
    from ctresample.pipelines.batch.inputs import find_inputs
    from ctresample.pipelines.batch.plan import make_plan
    from ctresample.pipelines.batch.run import open_batch, run_batch
    from ctresample.pipelines.batch.select import Selection

    def work(out, settings=settings, place=source, words=(), trust_sizes=False, **more):
        found = find_inputs(place, settings)
        with open_batch(out, settings.record(), threads=1) as manifest:
            plan = make_plan(found, out, manifest.events, Selection(list(words)), trust_sizes=trust_sizes)
            return run_batch(out, plan, settings, manifest, **more)

    return work


@pytest.fixture(scope="session")
def contents():
    """Every file of the results, by name."""

    def read(out: Path) -> dict[str, bytes]:
        files = sorted(path for path in (out / "series").rglob("*") if path.is_file())
        return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}

    return read
