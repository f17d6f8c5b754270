"""A batch that is called again: what is finished stays, and what has changed is done again."""

import json
import os
import shutil
from dataclasses import replace

import pytest

from ctresample.errors import OutputError
from ctresample.pipelines.batch import run_one as run_one_module
from ctresample.pipelines.batch.manifest import read_events
from ctresample.pipelines.results import run as main_path


def statuses(rows):
    return sorted(row.status for row in rows)


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
