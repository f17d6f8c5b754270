"""Batches from end to end in one process: results, resume, failures."""

import errno
import json
import os
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ctresample.data_tools.dicom.discovery import find_series
from ctresample.errors import OutputError, UsageError
from ctresample.pipelines.batch import run_one as run_one_module
from ctresample.pipelines.batch.manifest import read_events
from ctresample.pipelines.results import run as main_path


@pytest.fixture(autouse=True)
def same_moment(monkeypatch):
    """All batches of these tests begin at one moment, so that their results can be compared."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")


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
    import shutil

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


def test_finished_series_are_kept_and_broken_ones_done_again(run, tmp_path, contents):
    out = tmp_path / "out"
    rows = run(out)
    before = contents(out)
    begun = [event for event in read_events(out) if event["event"] == "start"]
    run(out)
    assert [event for event in read_events(out) if event["event"] == "start"] == begun  # nothing was to do
    (out / rows[-1].folder / "dicom" / "0001.dcm").unlink()
    (out / "series" / ".ctresample-dead.partial").mkdir()
    (out / "manifest.jsonl").write_bytes((out / "manifest.jsonl").read_bytes() + b'{"event": "sta')
    run(out)
    assert contents(out) == before
    assert [event["key"] for event in read_events(out) if event["event"] == "start"][len(begun) :] == [rows[-1].key]
    assert not list((out / "series").glob(".*"))


def test_an_input_that_has_changed_is_done_again(run, source, tmp_path):
    place = tmp_path / "in"
    shutil.copytree(source, place)
    run(tmp_path / "out", place=place)
    sizes = {row.key: row.slices for row in run(tmp_path / "out", place=place)}
    (place / "Planted^Name 3" / "good3-003").unlink()
    changed = {row.key: row.slices for row in run(tmp_path / "out", place=place) if row.slices != sizes[row.key]}
    assert list(changed.values()) == [3]


def _begun(out):
    return [event["key"] for event in read_events(out) if event["event"] == "start"]


def test_other_pixels_under_the_same_uids_are_done_again(run, source, tmp_path):
    """Neither size nor time need tell."""
    place, out = tmp_path / "in", tmp_path / "out"
    shutil.copytree(source, place)
    run(out, place=place)
    before = _begun(out)
    changed = place / "Planted^Name 2" / "good2-001"
    times, content = changed.stat(), bytearray(changed.read_bytes())
    content[-1] ^= 1
    changed.write_bytes(content)
    os.utime(changed, ns=(times.st_atime_ns, times.st_mtime_ns))
    run(out, place=place, trust_sizes=True)
    assert _begun(out) == before
    run(out, place=place)
    assert len(_begun(out)) == len(before) + 1
    os.utime(changed, ns=(0, 0))
    run(out, place=place)  # another time alone is no other input ...
    assert len(_begun(out)) == len(before) + 1
    run(out, place=place, trust_sizes=True)  # ... unless that is all that is looked at
    assert len(_begun(out)) == len(before) + 2


def test_a_result_that_was_altered_in_place_is_done_again(run, tmp_path, contents):
    out = tmp_path / "out"
    rows = run(out)
    whole = contents(out)
    image = out / rows[-1].folder / "dicom" / "0001.dcm"
    image.write_bytes(image.read_bytes()[:-1] + b"\x7f")
    before = _begun(out)
    run(out, trust_sizes=True)
    assert _begun(out) == before
    run(out)
    assert _begun(out) == [*before, rows[-1].key]
    assert contents(out) == whole


def test_an_input_that_changes_while_it_is_read_fails(run, source, tmp_path, monkeypatch):
    place = tmp_path / "in"
    shutil.copytree(source, place)

    def touched(*arguments):
        for path in place.rglob("good1-*"):
            path.touch()
        return measured(*arguments)

    measured = run_one_module.measured
    monkeypatch.setattr(run_one_module, "measured", touched)
    rows = run(tmp_path / "out", place=place)
    assert statuses(rows) == ["done"] * 3 + ["failed", "skipped"]
    assert "the files have changed since they were found" in rows[0].reason


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
@pytest.mark.parametrize("name", ["nifti", "nrrd"])
def test_a_limit_of_file_size_stops_the_batch(run, settings, source, tmp_path, name):
    """SimpleITK keeps the reason to itself."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    more = replace(settings, formats=(name,), scan=replace(settings.scan, size=64))
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(
            OutputError, match=r"results cannot be written \(File too large\); what is finished is kept"
        ):
            run(tmp_path / "out", more)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(_begun(tmp_path / "out")) < 4
    assert not [place for place in (tmp_path / "out" / "series").iterdir() if not place.is_dir()]


def test_one_bad_series_never_stops_the_rest_and_is_tried_again(run, tmp_path, monkeypatch, contents):
    calls = []

    def fragile(path, *rest, **options):
        calls.append(path)
        if len(calls) == 2:
            raise ZeroDivisionError(f"a value of Planted in {path}")
        return write(path, *rest, **options)

    write = main_path.write_images
    monkeypatch.setattr(main_path, "write_images", fragile)
    rows = run(tmp_path / "out")
    assert statuses(rows) == ["done"] * 3 + ["failed", "skipped"]
    assert "ZeroDivisionError" in rows[0].reason
    assert len(list((tmp_path / "out" / "series").iterdir())) == 3
    assert statuses(run(tmp_path / "out")) == ["done"] * 4 + ["skipped"]
    run(tmp_path / "undisturbed")
    assert contents(tmp_path / "out") == contents(tmp_path / "undisturbed")


def test_memory_that_runs_out_halves_the_batches(run, tmp_path, monkeypatch, contents):
    sizes = []

    def hungry(*args, batch_size, **options):
        sizes.append(batch_size)
        if batch_size > 1:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate")
        return reconstructed(*args, batch_size=batch_size, **options)

    reconstructed = main_path.reconstructed
    run(tmp_path / "calm")
    monkeypatch.setattr(main_path, "reconstructed", hungry)
    rows = run(tmp_path / "hungry")
    assert statuses(rows) == ["done"] * 4 + ["skipped"]
    assert sizes == [1, 2, 1, 3, 1, 4, 2, 1]
    hungry_images, calm_images = (
        {name: content for name, content in contents(tmp_path / place).items() if name.endswith(".dcm")}
        for place in ("hungry", "calm")
    )
    assert hungry_images == calm_images  # the last bit of a residual may differ

    def starved(*_args, **_options):
        raise MemoryError

    monkeypatch.setattr(main_path, "reconstructed", starved)
    rows = run(tmp_path / "starved")
    assert statuses(rows) == ["failed"] * 4 + ["skipped"]
    assert "memory ran out even with one slice at a time" in rows[0].reason


def test_a_full_disk_stops_the_batch_and_keeps_what_is_finished(run, tmp_path, monkeypatch, contents):
    calls = []

    def full(path, *rest, **options):
        calls.append(path)
        if len(calls) == 3:
            error = OSError(errno.ENOSPC, "No space left on device")
            raise OutputError(f"{path} cannot be written (No space left on device)") from error
        return write(path, *rest, **options)

    write = main_path.write_images
    monkeypatch.setattr(main_path, "write_images", full)
    out = tmp_path / "out"
    with pytest.raises(OutputError, match="No space left"):
        run(out)
    assert len(calls) == 3
    assert "waiting" in (out / "summary.csv").read_text()
    finished = contents(out)
    assert len(list((out / "series").iterdir())) == 2
    run(out)
    assert finished.items() <= contents(out).items()
    run(tmp_path / "undisturbed")
    assert contents(out) == contents(tmp_path / "undisturbed")


def test_a_disk_that_is_full_for_the_picture_stops_the_batch_too(run, tmp_path, monkeypatch):
    from PIL import Image

    def full(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OutputError, match="No space left"):
        run(tmp_path / "out")
    assert not list((tmp_path / "out" / "series").iterdir())


def test_a_key_that_is_gone_is_not_made_anew(run, settings, tmp_path, monkeypatch):
    """Another one would tear a batch's patients apart."""
    key = tmp_path / "key"

    def lost(*arguments):
        key.unlink(missing_ok=True)
        return measured(*arguments)

    measured = run_one_module.measured
    monkeypatch.setattr(run_one_module, "measured", lost)
    rows = run(tmp_path / "out", replace(settings, deidentification_key=key))
    assert statuses(rows) == ["failed"] * 4 + ["skipped"]
    assert "holds no de-identification key" in rows[0].reason
    assert not key.exists()


def test_what_was_in_work_when_a_run_died_goes_last(run, source, settings, tmp_path, monkeypatch):
    from ctresample.pipelines.batch.inputs import find_inputs
    from ctresample.pipelines.batch.plan import make_plan
    from ctresample.pipelines.batch.select import Selection

    def died(*_args, **_options):
        raise SystemExit(137)

    monkeypatch.setattr(main_path, "write_images", died)
    with pytest.raises(SystemExit):
        run(tmp_path / "out")
    plan = make_plan(find_inputs(source, settings), tmp_path / "out", read_events(tmp_path / "out"), Selection([]))
    assert [row.reason for row in plan.to_run] == ["", "", "", "was in work when an earlier run ended: done again"]


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


def test_other_settings_are_refused(run, settings, tmp_path):
    run(tmp_path / "out", words=["slices>=4"])
    other = replace(settings, scan=replace(settings.scan, photons=1e4))
    with pytest.raises(OutputError, match="scan photons: 100000.0 there, 10000.0 now"):
        run(tmp_path / "out", other)


def test_one_process_at_a_time(run, tmp_path):
    from ctresample.journal import only_one

    (tmp_path / "out").mkdir()
    with only_one(tmp_path / "out"), pytest.raises(OutputError, match="another process"):
        run(tmp_path / "out")
    run(tmp_path / "out", words=["slices>=4"])


def test_selection(run, tmp_path):
    rows = run(tmp_path / "out", words=["axial", "slices>=2"])
    assert statuses(rows) == ["done"] * 3 + ["not selected", "skipped"]
    more = run(tmp_path / "out", words=[rows[-1].key[:6]])  # other words go on with the same batch
    assert statuses(more) == ["done"] + ["not selected"] * 4


def test_a_folder_name_of_another_encoding(run, tmp_path):
    """Of a Windows share or an old CD: both series run, and its name is escaped."""
    from corpus import write_series

    write_series(tmp_path / "in" / "good", "good", n=2)
    write_series(tmp_path / "in" / "other", "other", n=2)
    (tmp_path / "in" / "other").rename(tmp_path / "in" / os.fsdecode(b"caf\xe9"))
    rows = run(tmp_path / "out", place=tmp_path / "in")
    assert statuses(rows) == ["done"] * 2
    assert "caf\\udce9" in (tmp_path / "out" / "sources.csv").read_text("utf-8")


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


def test_a_moment_that_is_none(run, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH is .*; expected whole seconds since 1970"):
        run(tmp_path / "out")


@pytest.mark.parametrize(
    ("line", "changes", "message"),
    [
        (0, {"threads": 1_000_000_000}, "no manifest of a batch .threads is out of range"),
        (0, {"threads": "many"}, "threads is missing or of another kind"),
        (0, {"begun": "soon"}, "begun is no time"),
        (0, {"settings": None}, "settings is missing"),
        (0, {"format": 2}, "another format"),
        (2, {"key": None}, "altered: line 3 .key is missing"),
        (2, {"slices": 0}, "altered: line 3 .slices is out of range"),
        (2, {"seconds": "long"}, "altered: line 3 .seconds is missing"),
        (2, {"psnr_db": "good"}, "altered: line 3 .psnr_db is no number"),
        (2, {"event": "party"}, "altered: line 3 .no event"),
    ],
)
def test_a_manifest_that_was_altered(tmp_path, line, changes, message):
    out = tmp_path / "out"
    out.mkdir()
    done = {"event": "done", "key": "k", "fingerprint": "f", "stamp": "s", "files": 1, "n_bytes": 1, "sha256": "0"}
    events = [
        {"event": "begin", "format": 1, "begun": "2026-01-01T00:00:00+00:00", "threads": 1, "settings": {}},
        {"event": "start", "key": "k"},
        done | {"slices": 1, "seconds": 1.0},
    ]
    events[line] |= changes
    (out / "manifest.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    with pytest.raises(OutputError, match=message):
        read_events(out)
