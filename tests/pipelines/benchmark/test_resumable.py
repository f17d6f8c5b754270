"""A benchmark that is stopped, in any way, and goes on; and one that must not go on."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ctresample.errors import OutputError, UsageError
from ctresample.journal import LOCK_NAME
from ctresample.pipelines.benchmark import trial
from ctresample.pipelines.benchmark.conditions import Condition
from ctresample.pipelines.benchmark.outputs import device_name
from ctresample.pipelines.benchmark.records import open_records, row_from_record
from ctresample.pipelines.benchmark.resumable import run_benchmark
from ctresample.pipelines.benchmark.runs import Run
from ctresample.pipelines.benchmark.table import read_results_csv
from ctresample.pipelines.viewer.zoom import Zoom
from ctresample.volume import Volume

MEASURED = {"seconds", "peak_memory_mb"}  # of the machine
RUNS = (Run("fbp"), Run("cgls"), Run("sirt"))
SCAN = Condition(n_views=9, photons=1e4)


def volumes():
    """Five slices of two patients."""
    y, x = np.mgrid[:32, :32] - 15.5
    affine = np.diag([8.0, 8.0, 2.0, 1.0])
    return [
        Volume(
            np.where(np.hypot(x, y) < 8 + k, 0.0, -1000.0).astype(np.float32)[None],
            affine,
            ({"00100020": {"vr": "LO", "Value": [f"Secret^{k // 3}"]}},),
        )
        for k in range(5)
    ]


def run(folder, **changes):
    options = {"runs": RUNS, "conditions": [SCAN], "seeds": (0, 1), "size": 32, "batch_size": 2, "baseline": "cgls"}
    return run_benchmark(folder, changes.pop("volumes", volumes()), **(options | changes))


def figures(rows):
    """What must not depend on the machine, nor on where a run was stopped; exact."""
    return [{name: repr(value) for name, value in asdict(row).items() if name not in MEASURED} for row in rows]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "out"
    return run(folder), folder


def lines(folder: Path) -> int:
    path = folder / "results.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


SCRIPT = """
import importlib.util, sys, time
from pathlib import Path
spec = importlib.util.spec_from_file_location("stopped", sys.argv[1])
stopped = importlib.util.module_from_spec(spec)
spec.loader.exec_module(stopped)
stopped.run(Path(sys.argv[2]), on_row=lambda row: time.sleep(0.05))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_killed_and_gone_on_with_it_is_as_if_undisturbed(tmp_path, whole, number):
    folder = tmp_path / "out"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, __file__, folder], env=environment, stderr=subprocess.DEVNULL
    )
    while lines(folder) < 7 and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(number)
    assert process.wait() != 0  # it was at work still
    n_kept = lines(folder)
    assert 7 <= n_kept < len(whole[0])
    kept = (folder / "results.jsonl").read_bytes().splitlines(keepends=True)[:n_kept]
    settings = json.loads((folder / "settings.json").read_text())
    settings["threads"] = json.loads((whole[1] / "settings.json").read_text())["threads"]
    (folder / "settings.json").write_text(json.dumps(settings))
    new = []
    rows = run(folder, on_row=new.append)
    assert len(new) == len(rows) - n_kept
    assert figures(rows) == figures(whole[0])
    assert (folder / "results.jsonl").read_bytes().startswith(b"".join(kept))
    for name in ("results.csv", "results.json", "results.md", "report.html"):
        assert (folder / name).is_file()
    assert figures(read_results_csv(folder / "results.csv")) == figures(read_results_csv(whole[1] / "results.csv"))
    for picture in (whole[1] / "images").rglob("*.npy"):
        np.testing.assert_array_equal(
            np.load(folder / "images" / picture.relative_to(whole[1] / "images")), np.load(picture)
        )


def test_all_done_computes_nothing(whole, monkeypatch):
    monkeypatch.setattr(Condition, "scan", None)
    rows, folder = whole
    assert figures(run(folder)) == figures(rows)


@pytest.mark.parametrize("cut", [1, 100])
def test_a_torn_last_line_is_dropped_and_made_again(tmp_path, whole, cut):
    folder = tmp_path / "out"
    run(folder)
    path = folder / "results.jsonl"
    content = path.read_bytes()
    path.write_bytes(content[:-cut])
    new = []
    assert figures(run(folder, on_row=new.append)) == figures(whole[0])
    assert len(new) == 1
    assert all(json.loads(line) for line in path.read_text().splitlines())
    assert len(path.read_text().splitlines()) == len(content.splitlines())


def test_a_damaged_line_in_the_middle_is_named(tmp_path):
    run(tmp_path / "out", seeds=(0,))
    path = tmp_path / "out" / "results.jsonl"
    content = path.read_text().splitlines(keepends=True)
    path.write_text("".join([content[0], "{oops\n", *content[2:]]))
    with pytest.raises(OutputError, match="results.jsonl, line 2"):
        run(tmp_path / "out", seeds=(0,))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seeds": (0,)}, "seeds 1: 1 there, nothing now"),
        ({"size": 16}, "size: 32 there, 16 now"),
        ({"batch_size": 3}, "batch_size: 2 there, 3 now"),
        ({"runs": RUNS[:2], "baseline": ""}, "runs sirt"),
        ({"conditions": [Condition(n_views=9, photons=1e3)]}, "conditions 9 views, parallel, 10,000"),
        ({"volumes": volumes()[:4]}, "data slices: 5 there, 4 now"),
        ({"volumes": volumes()[::-1]}, "data sha256"),
        ({"runs": (Run("fbp", max_slices=2), *RUNS[1:])}, "runs fbp max_slices: nothing there, 2 now"),
    ],
)
def test_other_settings_or_data_are_refused(whole, changes, words):
    rows, folder = whole
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(OutputError) as refused:
        run(folder, **changes)
    assert f"another {words}" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_another_config_beside_the_same_weights_is_refused(tmp_path, toy_prior):
    """Such as a newly measured error of the denoiser, which solvers go by."""
    prior = toy_prior.random_prior()
    options = {"runs": RUNS[:1], "baseline": "", "models": {"latent prior": prior}}
    run(tmp_path / "out", **options)
    run(tmp_path / "out", **options)
    prior.config = replace(prior.config, denoising_rmse_hu=((0.5, 60.0),))
    with pytest.raises(OutputError, match="another models latent prior config denoising_rmse_hu: "):
        run(tmp_path / "out", **options)


def test_one_gpu_is_not_another(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"model of {device}")
    assert device_name("cpu") == "cpu"
    assert device_name(torch.device("cuda:1")) == "model of cuda:1"


def test_runs_may_be_added_where_that_is_asked_for(tmp_path):
    first = run(tmp_path / "out", runs=RUNS[:2], grows=("runs",))
    new = []
    both = run(tmp_path / "out", runs=RUNS[1:], baseline="", grows=("runs",), on_row=new.append)
    assert {row.method for row in new} == {"sirt"}
    assert {row.method for row in both} == {"cgls", "sirt"}
    assert figures(row for row in both if row.method == "cgls") == figures(r for r in first if r.method == "cgls")
    with pytest.raises(OutputError, match="another runs fbp max_slices"):
        run(tmp_path / "out", runs=[Run("fbp", max_slices=1)], baseline="", grows=("runs",))


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "letters.txt").touch()
    with pytest.raises(OutputError, match="holds no benchmark"):
        run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letters.txt"]
    with pytest.raises(OutputError, match="cannot be written"):
        run(tmp_path / "letters.txt" / "out")


def test_wrong_wishes_leave_no_folder(tmp_path):
    for changes, words in (
        ({"baseline": "tv"}, "expected one of the methods that run: fbp, cgls, sirt"),
        ({"zoom": Zoom(30, 0, 4)}, "32 x 32 pixels"),
        ({"conditions": [SCAN, SCAN]}, "a condition is there twice"),
        ({"runs": (Run("resample", "fast"),), "baseline": ""}, "needs a latent prior"),
    ):
        with pytest.raises(UsageError, match=words):
            run(tmp_path / "out", **changes)
        assert not (tmp_path / "out").exists()


def test_what_is_written(whole):
    rows, folder = whole
    assert [(r.seed, r.slice, r.method) for r in rows[:4]] == [
        (0, "slice-001", "fbp"), (1, "slice-001", "fbp"), (0, "slice-001", "cgls"), (1, "slice-001", "cgls"),
    ]  # fmt: skip
    assert [row.patient for row in rows[::6]] == [0, 0, 0, 1, 1]
    text, html = ((folder / name).read_text() for name in ("results.md", "report.html"))
    record = json.loads((folder / "results.json").read_text())
    assert len(record["rows"]) == 30
    fbp = next(row for row in record["summary"] if row["method"] == "fbp")
    difference = fbp["differences"]["psnr_db"]
    psnr = {method: np.mean([r.psnr_db for r in rows if r.method == method]) for method in ("fbp", "cgls")}
    assert difference["mean"] == pytest.approx(psnr["fbp"] - psnr["cgls"])
    assert (difference["n_slices"], difference["n_patients"], fbp["n_seeds"]) == (5, 2, 2)
    shown = f"{difference['mean']:+.2f} [{difference['low']:+.2f}, {difference['high']:+.2f}]".replace("-", "−")
    for page in (text, html):
        assert shown in page
        assert "5 of 2 patients" in page
        assert "2 noise draws" in page
        assert "3000 HU" in page
    assert "slice-003" in html
    for path in folder.rglob("*"):
        assert not path.is_file() or b"Secret" not in path.read_bytes()


def test_failures_are_kept_and_tried_again_on_request(tmp_path, whole, monkeypatch):
    def fragile(sinogram, **options):
        if options["method"] == "cgls" and 1 in options["slice_numbers"]:
            raise RuntimeError("no luck")
        return reconstruct(sinogram, **options)

    reconstruct = trial.reconstruct
    monkeypatch.setattr(trial, "reconstruct", fragile)
    rows = run(tmp_path / "out", seeds=(0,))
    assert [(row.slice, row.method) for row in rows if row.failure] == [("slice-002", "cgls")]
    assert (
        "cgls, slice-002, 9 views, parallel, 10,000 photons a ray, seed 0: RuntimeError: no luck"
        in (tmp_path / "out" / "results.md").read_text()
    )
    assert "no luck" in (tmp_path / "out" / "report.html").read_text()
    new = []
    assert figures(run(tmp_path / "out", seeds=(0,), on_row=new.append)) == figures(rows)
    assert new == []
    assert figures(run(tmp_path / "out", seeds=(0,), retry_failed=True)) == figures(rows)  # they fail again
    monkeypatch.undo()
    healed = run(tmp_path / "out", seeds=(0,), retry_failed=True, on_row=new.append)
    assert [(row.slice, row.method) for row in new] == [("slice-002", "cgls")]
    assert [row.psnr_db for row in healed] == pytest.approx([row.psnr_db for row in whole[0] if row.seed == 0])
    assert figures(run(tmp_path / "out", seeds=(0,))) == figures(healed)


def test_a_perfect_image_survives_the_record(tmp_path, whole):
    perfect = row_from_record({**asdict(whole[0][0]), "psnr_db": float("inf"), "rmse_hu": 0.0})
    with open_records(tmp_path / "out", {}) as records:
        records.keep(perfect)
    with open_records(tmp_path / "out", {}) as again:
        assert again.rows[0].psnr_db == float("inf")


def test_two_at_once_are_one_too_many(tmp_path, whole):
    """The second is refused while the first is at work."""

    def second(*_):
        with pytest.raises(OutputError, match="is being worked on by another process"):
            run(tmp_path / "out", seeds=(0,))

    assert figures(run(tmp_path / "out", seeds=(0,), on_row=second)) == figures(r for r in whole[0] if r.seed == 0)


def test_killed_before_the_first_row_it_goes_on(tmp_path, whole):
    """When the folder is made and locked, and when its settings are written."""
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / LOCK_NAME).touch()
    with open_records(folder, {}):
        pass
    (folder / "results.jsonl").unlink()
    with open_records(folder, {}) as records:
        assert records.rows == []
