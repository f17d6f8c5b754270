"""A batch that meets bad series, a full disk or too little memory."""

import errno
import os
import sys
from dataclasses import replace

import pytest

from ctresample.errors import OutputError, UsageError
from ctresample.pipelines.batch import run_one as run_one_module
from ctresample.pipelines.batch.manifest import read_events
from ctresample.pipelines.results import run as main_path


def statuses(rows):
    return sorted(row.status for row in rows)


def _begun(out):
    return [event["key"] for event in read_events(out) if event["event"] == "start"]


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


def test_a_folder_name_of_another_encoding(run, tmp_path):
    """Of a Windows share or an old CD: both series run, and its name is escaped."""
    from corpus import write_series

    write_series(tmp_path / "in" / "good", "good", n=2)
    write_series(tmp_path / "in" / "other", "other", n=2)
    (tmp_path / "in" / "other").rename(tmp_path / "in" / os.fsdecode(b"caf\xe9"))
    rows = run(tmp_path / "out", place=tmp_path / "in")
    assert statuses(rows) == ["done"] * 2
    assert "caf\\udce9" in (tmp_path / "out" / "sources.csv").read_text("utf-8")


def test_a_moment_that_is_none(run, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH is .*; expected whole seconds since 1970"):
        run(tmp_path / "out")
