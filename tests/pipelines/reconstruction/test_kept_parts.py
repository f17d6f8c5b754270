"""A reconstruction that was stopped goes on where it was, and ends as one that was not."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

import ctresample
from ctresample.data_tools.sinogram.writing import write_sinogram
from ctresample.errors import UsageError
from ctresample.geometry import HelicalBeam, ImageGrid, VolumeGrid
from ctresample.pipelines.reconstruction import solve_parts as module
from ctresample.pipelines.reconstruction.kept_parts import KeptParts, remove_parts
from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.pipelines.reconstruction.room import check_room
from ctresample.pipelines.results.options import ResultOptions
from ctresample.pipelines.results.run import make_result
from ctresample.pipelines.scan.simulate import simulate
from ctresample.sinogram import Sinogram
from ctresample.volume import Volume


@pytest.fixture(scope="module")
def scan(phantoms):
    grid = ImageGrid((16, 16), 10.0)
    hu = phantoms.image(grid, [phantoms.disk(1000.0, (0.0, 0.0), 50.0)]) - 1000
    volume = Volume(np.repeat(hu[None], 12, axis=0).astype(np.float32), np.diag([10.0, 10.0, 4.0, 1.0]))
    return simulate(volume, n_views=6, size=16, photons=1e5, stagger=2)


class Stopped(Exception):  # noqa: N818
    """In place of a kill."""


def stopped_after(monkeypatch, n_parts: int) -> list[int]:
    """Let so many parts be solved, and no more; returns the list that they are counted in."""
    solve, solved = module.solve, []

    def limited(*args):
        if len(solved) == n_parts:
            raise Stopped
        solved.append(len(args[1].generators))
        return solve(*args)

    monkeypatch.setattr(module, "solve", limited)
    return solved


@pytest.mark.parametrize(("method", "z_coupling"), [("fbp", "auto"), ("tv", "auto"), ("tv", "none")])
def test_after_a_stop(method, z_coupling, scan, tmp_path, monkeypatch):
    monkeypatch.setattr("ctresample.pipelines.reconstruction.parts.SLAB_BATCHES", 1)
    monkeypatch.setattr("ctresample.pipelines.reconstruction.parts.HALO_MM", 4.0)
    monkeypatch.setattr("ctresample.pipelines.reconstruction.parts.LEAST_HALO", 1)
    shared = {"method": method, "z_coupling": z_coupling, "batch_size": 3}
    whole = reconstruct(scan, **shared)
    with monkeypatch.context() as patch:
        stopped_after(patch, 2)
        with pytest.raises(Stopped):
            reconstruct(scan, **shared, parts_folder=tmp_path / "parts")
    assert len(list((tmp_path / "parts").glob("*.npz"))) == 2
    solved = stopped_after(monkeypatch, 2)
    shares = []
    again = reconstruct(scan, **shared, parts_folder=tmp_path / "parts", progress=shares.append)
    assert len(solved) == 2
    assert shares == sorted(shares)
    np.testing.assert_array_equal(again.image_hu, whole.image_hu)
    assert again.residual_ratio == whole.residual_ratio


def test_damaged_parts_are_made_again(scan, tmp_path):
    whole = reconstruct(scan, method="fbp", parts_folder=tmp_path / "parts")
    place = min((tmp_path / "parts").glob("*.npz"))
    content = place.read_bytes()
    entry = content.index(b"PK\x01\x02")  # of the first array; then the version, flags and compression asked for
    flipped = [
        content[: entry + k] + bytes([byte]) + content[entry + k + 1 :] for k, byte in ((6, 99), (8, 1), (10, 8))
    ]
    for damaged in (b"", b"PK not a zip", *flipped):
        place.write_bytes(damaged)
        again = reconstruct(scan, method="fbp", parts_folder=tmp_path / "parts")
        np.testing.assert_array_equal(again.image_hu, whole.image_hu)
        assert place.read_bytes() != damaged


def test_a_scan_that_differs_in_any_part_of_its_geometry_is_another(tmp_path):
    grid = VolumeGrid((2, 16, 16), 10.0, 4.0)
    angles = tuple(np.linspace(0, 6, 8))
    flying = HelicalBeam(
        angles_rad=angles,
        n_detectors=24,
        detector_pitch_mm=16.0,
        centre_z_mm=angles,
        n_detector_rows=2,
        detector_row_pitch_mm=6.0,
        spot_angle_rad=(0.001,) * 8,
        source_to_axis_mm=600.0,
        source_to_detector_mm=1000.0,
    )
    scan = Sinogram(np.zeros(flying.shape), flying, grid, np.diag([10.0, 10.0, 4.0, 1.0]))
    KeptParts(tmp_path, scan, {})
    still = replace(scan, geometry=replace(flying, spot_angle_rad=()))
    with pytest.raises(UsageError, match="keeps parts of another scan"):
        KeptParts(tmp_path, still, {})


def test_parts_of_another_version(scan, tmp_path, monkeypatch):
    reconstruct(scan, method="fbp", parts_folder=tmp_path)
    monkeypatch.setattr(ctresample, "__version__", "0.0.1", raising=False)
    with pytest.raises(UsageError, match="by another version; repeat the command as it was"):
        reconstruct(scan, method="fbp", parts_folder=tmp_path)


def test_folders_of_something_else(scan, tmp_path):
    reconstruct(scan, method="fbp", parts_folder=tmp_path / "parts")
    other = scan.part(range(1, 12))
    for sinogram, options in ((other, {}), (scan, {"window": "ramp"})):
        with pytest.raises(UsageError, match="keeps parts of another scan, or made with other settings"):
            reconstruct(sinogram, method="fbp", parts_folder=tmp_path / "parts", **options)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    with pytest.raises(UsageError, match="neither empty nor of an earlier run"):
        reconstruct(scan, method="fbp", parts_folder=tmp_path / "mine")
    remove_parts(tmp_path / "parts")
    assert not (tmp_path / "parts").exists()


def test_a_finished_result_leaves_no_parts(scan, tmp_path):
    steps = []
    options = ResultOptions(method="tv", formats=("nifti",))
    make_result(
        scan, options, tmp_path / "out", parts_folder=tmp_path / "parts", progress=lambda _, step: steps.append(step)
    )
    assert (tmp_path / "out" / "run.json").exists()
    assert not (tmp_path / "parts").exists()
    assert steps[0] == "tv, 12 slices, 6 views, 12 at a time in up to 0.0 GB"
    with pytest.raises(UsageError, match="a folder of parts keeps one reconstruction"):
        options = ResultOptions(method="resample", uncertainty=2)
        make_result(scan, options, tmp_path / "more", parts_folder=tmp_path / "parts")


@pytest.mark.parametrize(
    ("gigabytes", "way_out"), [(4.0, "choose batch size 2, or z_coupling none"), (2.0, "choose z_coupling none")]
)
def test_slabs_that_no_machine_holds(gigabytes, way_out, monkeypatch):
    monkeypatch.setattr("ctresample.pipelines.reconstruction.room.memory_bytes", lambda: gigabytes * 1e9)

    def slab_of(batch_size: int) -> int:
        return 6 * batch_size + 15

    check_room(ImageGrid((512, 512), 1.0), slab_of, 4 if gigabytes > 2 else 1)
    with pytest.raises(UsageError, match=f"a slab of 63 coupled slices of 1024 x 1024 pixels.*; {way_out}$"):
        check_room(ImageGrid((1024, 1024), 1.0), slab_of, 8)


@pytest.mark.slow
def test_after_a_kill(scan, tmp_path, monkeypatch):
    """The same with a process that gets no word before its end, wherever it is then."""
    write_sinogram(scan, tmp_path / "scan.h5")
    parts = tmp_path / "parts"
    code = (
        "import sys, ctresample; from ctresample.pipelines.reconstruction import parts as p; p.SLAB_BATCHES = 1;"
        "p.HALO_MM = 4.0; p.LEAST_HALO = 1;"
        "ctresample.reconstruct(sys.argv[1], method='tv', batch_size=3, parts_folder=sys.argv[2])"
    )
    with subprocess.Popen([sys.executable, "-c", code, tmp_path / "scan.h5", parts]) as process:
        while process.poll() is None and not list(parts.glob("slices-*.npz")):
            time.sleep(0.001)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    n_kept = len(list(parts.glob("slices-*.npz")))
    assert 1 <= n_kept < 4
    monkeypatch.setattr("ctresample.pipelines.reconstruction.parts.SLAB_BATCHES", 1)
    monkeypatch.setattr("ctresample.pipelines.reconstruction.parts.HALO_MM", 4.0)
    monkeypatch.setattr("ctresample.pipelines.reconstruction.parts.LEAST_HALO", 1)
    whole = reconstruct(scan, method="tv", batch_size=3)
    solved = stopped_after(monkeypatch, 4)
    again = reconstruct(scan, method="tv", batch_size=3, parts_folder=parts)
    assert len(solved) == 4 - n_kept
    np.testing.assert_allclose(again.image_hu, whole.image_hu, atol=0.01)  # of another process: rounding
