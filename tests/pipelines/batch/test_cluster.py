"""The same batch on several processes: same results, and no series lost with a worker."""

import os
import signal
import site
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from corpus import write_series

from ctresample.errors import CTResampleError, PriorError
from ctresample.pipelines.batch import cluster as clusters
from ctresample.pipelines.batch import machine, watch
from ctresample.pipelines.batch.inputs import find_inputs
from ctresample.pipelines.batch.machine import Machine
from ctresample.pipelines.batch.manifest import read_events
from ctresample.pipelines.batch.plan import make_plan
from ctresample.pipelines.batch.select import Selection

pytest.importorskip("distributed")

TIMES = {"at", "seconds"}
_find_tests = partial(site.addsitedir, str(Path(__file__).parents[3]))
"""For workers, started anew ones too: what they run here is imported from this file."""


@pytest.fixture(scope="module")
def client():
    with clusters.cluster(workers=2) as client:
        client.register_worker_callbacks(_find_tests)
        yield client


def endings(out):
    """The events of a manifest, whatever their order and times."""
    kept = [{k: v for k, v in event.items() if k not in TIMES} for event in read_events(out)]
    return sorted(map(str, kept))


def test_results_and_manifest_are_those_of_one_process(run, client, tmp_path, contents):
    run(tmp_path / "one")
    rows = run(tmp_path / "two", client=client)
    assert sorted(row.status for row in rows) == ["done"] * 4 + ["skipped"]
    assert contents(tmp_path / "two") == contents(tmp_path / "one")
    assert endings(tmp_path / "two") == endings(tmp_path / "one")


@pytest.mark.parametrize("fails", [False, True])
def test_workers_share_the_slices_of_one_series(run, settings, client, tmp_path, contents, monkeypatch, fails):
    """The result is that of one process; also where a share fails, whose part the last job then does."""
    write_series(tmp_path / "source", "long", n=7)
    of_series = replace(settings, method="cgls", scan=replace(settings.scan, size=16))
    shared = {"settings": of_series, "place": tmp_path / "source", "batch_size": 1}
    run(tmp_path / "one", **shared)
    jobs, submit = [], client.submit

    def noted(function, job, *rest, **how):
        jobs.append(job.share)
        broken = replace(job, source=tmp_path / "gone.h5") if fails and job.share else job
        return submit(function, broken, *rest, **how)

    monkeypatch.setattr(client, "submit", noted)
    (row,) = run(tmp_path / "two", client=client, **shared)
    assert row.status == "done"
    assert jobs == [(0, 2), (1, 2), None]
    assert contents(tmp_path / "two") == contents(tmp_path / "one")
    assert [place.name for place in (tmp_path / "two" / "series").iterdir()] == [row.key]


def test_workers_that_see_other_files_are_refused(client, tmp_path, monkeypatch):
    assert clusters.check_workers(client, tmp_path) == 2
    clusters.check_shared(client, tmp_path)
    monkeypatch.setattr(Path, "touch", lambda _path: None)  # a file that the workers never see
    with pytest.raises(CTResampleError, match="does not see .* share"):
        clusters.check_shared(client, tmp_path)
    with pytest.raises(CTResampleError, match="does not see"):
        clusters.check_workers(client, tmp_path / "elsewhere")


def test_a_prior_that_does_not_fit_is_told_once(source, settings, client, tmp_path, monkeypatch):
    """No job ends in an error, which dask would print with its traceback."""
    futures, submit = [], client.submit
    monkeypatch.setattr(client, "submit", lambda *job, **how: futures.append(submit(*job, **how)) or futures[-1])
    inputs = find_inputs(source, replace(settings, method="resample"))
    plan = make_plan(inputs, tmp_path, [], Selection([]))
    wrong = replace(settings, method="resample", scan=replace(settings.scan, size=33))
    with pytest.raises(PriorError, match="multiples of 32"):
        Machine(2, 1, "cpu").pace(plan, [], wrong, 8, client)
    assert [future.status for future in futures] == ["finished"]


def test_a_key_that_workers_do_not_have(client, tmp_path):
    key = tmp_path / "key"
    key.write_text("secret")
    clusters.check_key(client, key)

    class Elsewhere:
        def run(self, function, path):
            return {"tcp://w:1": function(path)} | {"tcp://w:2": "another"}

    with pytest.raises(CTResampleError, match="worker tcp://w:2 does not see .*keys must lie"):
        clusters.check_key(Elsewhere(), key)


def test_workers_may_run_in_another_folder(run, source, client, tmp_path, monkeypatch):
    """A scheduler's workers do: what a job names must not depend on where they stand."""
    client.run(os.chdir, "/")
    monkeypatch.chdir(source.parent)
    rows = run(tmp_path / "out", place=Path(source.name), client=client)
    assert sorted(row.status for row in rows) == ["done"] * 4 + ["skipped"]


def test_ctrl_c_is_left_to_the_parent_and_strangers_are_kept_out(client):
    assert set(client.run(signal.getsignal, signal.SIGINT).values()) == {signal.SIG_IGN}
    assert client.scheduler.address.startswith("tls://127.0.0.1:")


def test_a_scheduler_that_is_gone(run, tmp_path, monkeypatch):
    """Dask then calls every job cancelled."""
    import distributed

    class Gone:
        def nthreads(self):
            return {"tcp://w:1": 1}

        def submit(self, *_job, **_options):
            return self

        def result(self):
            raise distributed.client.FutureCancelledError("key", "scheduler-connection-lost")

        def cancel(self, _futures):
            """Nobody is there to be told."""

    class Ended(list):
        add = list.append
        has_ready = list.__len__
        __next__ = list.pop

    monkeypatch.setattr(distributed, "as_completed", Ended)
    with pytest.raises(CTResampleError, match="scheduler is gone; .* repeat"):
        run(tmp_path / "out", client=Gone())
    assert "waiting" in (tmp_path / "out" / "summary.csv").read_text()


def test_no_worker_is_left(run, tmp_path, monkeypatch):
    """Dask waits for ever."""
    from distributed import Client

    monkeypatch.setattr(watch, "NO_WORKER_S", 0.5)
    with (
        Client(processes=False, n_workers=0, dashboard_address=None) as nobody,
        pytest.raises(CTResampleError, match="no worker has been there for 0 s; what is finished is kept"),
    ):
        run(tmp_path / "out", client=nobody)
    assert "waiting" in (tmp_path / "out" / "summary.csv").read_text()


def test_workers_that_were_given_up_are_started_anew():
    def keeper(status):
        return SimpleNamespace(status=SimpleNamespace(name=status))

    asked = []
    local = SimpleNamespace(
        workers={0: keeper("running"), 1: keeper("closed"), 2: keeper("failed"), 3: keeper("init")},
        worker_spec=dict.fromkeys(range(4)),
        scale=asked.append,
    )
    watch._replace_lost(local)
    assert (list(local.workers), asked) == ([0, 3], [4])
    watch._replace_lost(local)
    assert asked == [4]


def test_workers_have_torch_before_they_count(client):
    assert all(client.run(lambda: "torch" in __import__("sys").modules).values())


@pytest.mark.slow
def test_a_measurement_that_takes_its_worker_with_it(source, settings, client, tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "_on_worker", _die)
    plan = make_plan(find_inputs(source, settings), tmp_path, [], Selection([]))
    pace = Machine(2, 1, "cpu").pace(plan, [], settings, 8, client)
    assert pace.seconds_per_slice is None
    client.wait_for_workers(2, timeout=120)


def _die(*_job):
    os.kill(os.getpid(), signal.SIGKILL)


def test_no_scheduler_at_the_address(monkeypatch):
    monkeypatch.setattr(clusters, "ANSWER_WITHIN_S", 0.5)
    with (
        pytest.raises(CTResampleError, match="no dask scheduler answers at tcp://127.0.0.1:9"),
        clusters.cluster(scheduler="tcp://127.0.0.1:9"),
    ):
        pass


@pytest.mark.slow
def test_a_series_whose_worker_is_killed_is_done_again(run, client, tmp_path, contents, monkeypatch):
    run(tmp_path / "calm")
    killed = []

    def kill_one(*_args):
        if not killed:
            killed.append(next(iter(client.run(os.getpid).values())))
            os.kill(killed[0], signal.SIGKILL)

    # a worker dies while both have work
    monkeypatch.setattr(clusters, "_on_worker", _slowly)
    rows = run(tmp_path / "killed", client=client, on_outcome=kill_one)
    assert killed
    assert sorted(row.status for row in rows) == ["done"] * 4 + ["skipped"]
    assert contents(tmp_path / "killed") == contents(tmp_path / "calm")


def _slowly(job, _mask):
    from ctresample.pipelines.batch.run_one import run_one

    time.sleep(1.0)
    return run_one(job)
