"""Batches from end to end in one process: what they give."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from ctresample.data_tools.dicom.discovery import find_series
from ctresample.pipelines.batch.manifest import read_events


def statuses(rows):
    return sorted(row.status for row in rows)


def test_results(run, tmp_path, contents):
    rows = run(tmp_path / "out")
    assert statuses(rows) == ["done"] * 4 + ["skipped"]
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {
        "work.lock",
        "manifest.jsonl",
        "series",
        "sources.csv",
        "summary.csv",
        "summary.html",
    }
    for row in rows[1:]:
        names = {path.name for path in (out / row.folder).iterdir()}
        assert names == {"dicom", "run.json", "preview.png", "report.html"}
        (series,) = find_series(out / row.folder / "dicom").series
        assert series.n_slices == row.slices
        assert row.psnr_db > 5
        record = json.loads((out / row.folder / "run.json").read_text())
        assert "seconds" not in record
        assert record["created"] == "2023-11-14T22:13:20+00:00"
    assert all(re.fullmatch(r"series/[0-9a-f]{12}/.*", name) for name in contents(out))


def test_nothing_but_sources_names_places_or_patients(run, tmp_path):
    run(tmp_path / "out")
    out = tmp_path / "out"
    for name in ("manifest.jsonl", "summary.csv", "summary.html"):
        text = (out / name).read_text()
        assert "Planted" not in text
        assert "gap-" not in text  # names of files
        assert str(tmp_path) not in text
    assert "Planted^Name 2" in (out / "sources.csv").read_text()


def test_sources_name_folders_inside_zip_files(run, source, tmp_path):

    packed = Path(shutil.make_archive(str(tmp_path / "in"), "zip", source))
    for place in (source, packed):
        out = tmp_path / f"out of {place.name}"
        run(out, place=place, words=["slices>=4"])
        (line,) = [line for line in (out / "sources.csv").read_text().splitlines() if "e 3" in line]
        assert line.endswith(",Planted^Name 3")


def test_a_series_gets_what_the_single_verbs_give(run, source, settings, tmp_path, contents):
    from ctresample.pipelines.batch.work_on import measured
    from ctresample.pipelines.results.run import reconstructed

    rows = run(tmp_path / "out")
    found = next(one for one in find_series(source).series if one.n_slices == 4 and one.key == rows[-1].key)
    sinogram, _ = measured(found, settings)
    image = reconstructed(sinogram, settings)
    record = json.loads((tmp_path / "out" / "series" / found.key / "run.json").read_text())
    assert record["residual_ratio"] == list(image.residual_ratio)


def test_the_same_batch_gives_the_same_bits(run, tmp_path, contents):
    run(tmp_path / "a")
    run(tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_the_whole_order_in_one_call(source, settings, tmp_path, contents, run):
    from ctresample.pipelines.batch.order import reconstruct_all

    planned, ended = [], []
    more = {"on_plan": lambda plan, pace, n: planned.append((len(plan.to_run), n)), "select": ["slices>=3"]}
    assert reconstruct_all(str(source), str(tmp_path / "out"), settings, dry_run=True, **more).rows == ()
    assert not (tmp_path / "out").exists()
    done = reconstruct_all(source, tmp_path / "out", settings, on_outcome=lambda *told: ended.append(told[1:3]), **more)
    assert planned == [(2, 1), (2, 1)]
    assert ended == [(1, 2), (2, 2)]
    assert statuses(done.rows).count("done") == 2
    run(tmp_path / "by hand", words=["slices>=3"])
    assert contents(tmp_path / "out") == contents(tmp_path / "by hand")


def test_another_moment_gives_other_dates(run, tmp_path, contents, monkeypatch):
    run(tmp_path / "a")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000001")
    run(tmp_path / "b")
    assert contents(tmp_path / "a") != contents(tmp_path / "b")
    run(tmp_path / "a")  # goes on with the moment at which it began
    assert json.loads((tmp_path / "a" / "manifest.jsonl").read_text().splitlines()[0])["begun"].startswith("2023-11-14")


def _begun(out):
    return [event["key"] for event in read_events(out) if event["event"] == "start"]


def test_maps_and_formats(run, settings, source, tmp_path, contents):
    """The same bits again; without a map the same images; and the space that they are said to need is about right."""
    from ctresample.pipelines.batch.inputs import find_inputs

    more = replace(settings, formats=("dicom", "nifti", "nrrd"), residual_map=True)
    run(tmp_path / "a", more)
    run(tmp_path / "b", more)
    run(tmp_path / "plain")
    found = contents(tmp_path / "a")
    assert found == contents(tmp_path / "b")
    for name, content in contents(tmp_path / "plain").items():
        assert name.endswith(("run.json", "report.html")) or found[name] == content
    for one in find_inputs(source, more).inputs:
        taken = sum(len(content) for name, content in found.items() if one.key in name)
        assert one.problem or taken < one.n_bytes


def test_uneven_slices_are_no_nifti(run, settings, tmp_path):
    rows = run(tmp_path / "out", replace(settings, allow_gaps=True, formats=("dicom", "nifti")))
    assert statuses(rows) == ["done"] * 4 + ["failed"]
    assert "which NIfTI and NRRD cannot express" in rows[0].reason


def test_time_of_several_runs(settings, source, monkeypatch):
    """An uncertainty map of ten reconstructions takes about ten times as long; by a clock that only they move."""
    from ctresample.pipelines.batch import estimate
    from ctresample.pipelines.batch.inputs import find_inputs

    def slow(*arguments, **options):
        clock.append(8.0)
        return reconstructed(*arguments, **options)

    def paces():
        some = estimate.candidates(find_inputs(source, settings).inputs)
        for n in (1, 10):
            monkeypatch.setattr(type(settings), "n_runs", n)
            pace = estimate.measure_pace(some, settings, 4, 1)
            yield pace.seconds_per_slice

    clock, reconstructed = [0.0], estimate.reconstructed
    monkeypatch.setattr(estimate, "reconstructed", slow)
    monkeypatch.setattr(estimate, "time", SimpleNamespace(perf_counter=lambda: sum(clock)))
    assert list(paces()) == [2.0, 20.0]


def test_a_list_of_uids_names_no_deidentified_result(run, settings, source, tmp_path):
    """Nothing but sources.csv links a key to its source; manifest and folders agree; another secret, other keys."""
    found = find_series(source).series
    keys = []
    for name in ("a", "b"):
        out, hidden = tmp_path / name, replace(settings, deidentification_key=tmp_path / f"key {name}")
        rows = run(out, hidden)
        assert {path.name for path in (out / "series").iterdir()} == {row.key for row in rows if row.status == "done"}
        assert {event["key"] for event in read_events(out) if "key" in event} == {row.key for row in rows}
        sources = dict(line.split(",") for line in (out / "sources.csv").read_text().splitlines())
        assert sources.keys() - {"key"} == {row.key for row in rows}
        assert not {one.key for one in found} & sources.keys()
        assert not any(one.key in (out / "manifest.jsonl").read_text() for one in found)
        keys.append(sources.keys() - {"key"})
    assert not keys[0] & keys[1]
    plain = {event["fingerprint"] for event in _done(run, settings, tmp_path / "plain")}
    assert not plain & {event["fingerprint"] for event in read_events(tmp_path / "a") if event["event"] == "done"}


def _done(run, settings, out):
    run(out, settings)
    return [event for event in read_events(out) if event["event"] == "done"]


def test_phases_and_volume_files_have_rows_of_their_own(run, tmp_path):
    """And what is doubtful in them stands in their records, without names of files."""
    import SimpleITK
    from corpus import write_series

    for number in (1, 2):
        write_series(tmp_path / "in" / str(number), "phases", n=3, change=phase(number))
    image = SimpleITK.GetImageFromArray(np.full((2, 32, 32), 40, np.int16))
    SimpleITK.WriteImage(image, str(tmp_path / "in" / "Planted.nii.gz"))
    rows = run(tmp_path / "out", place=tmp_path / "in")
    assert statuses(rows) == ["done"] * 3
    assert sorted(row.slices for row in rows) == [2, 3, 3]
    records = [json.loads((tmp_path / "out" / row.folder / "run.json").read_text()) for row in rows]
    notes = " ".join(note for record in records for note in record["notes"])
    assert "headers of its own" in notes
    assert "all values lie between 40 and 40" in notes
    assert "Planted" not in notes


def phase(number):
    def change(z, ds):
        ds.AcquisitionNumber = number
        ds.ImagePositionPatient = [0, 0, 5 * z + 2.5 * number]
        ds.SOPInstanceUID = f"1.2.{number}.{z + 1}"

    return change
