"""Rings, dead and flickering bins and zingers: planted ones go, and what is sound stays as it is."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ctresample.cleaning import cleaned, odd_bins, ring_offsets, zingers_in
from ctresample.data_tools.importers import import_sinogram
from ctresample.data_tools.sinogram.writing import write_sinogram
from ctresample.errors import SinogramError, UsageError
from ctresample.geometry import FanBeam, ImageGrid, ParallelBeam
from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.sinogram import Sinogram

MU, BINS, PHOTONS = 0.0192, 96, 1e5
GRID = ImageGrid((64, 64), 1.5)
ALL = ("rings", "bad-bins", "zingers")


def scan_of(degrees, seed=0, beam="parallel"):
    """A disc of water off the axis with a hole, and the noise of its photons."""
    theta = np.radians(degrees)
    scan = ParallelBeam(theta, BINS, 1.0)
    if beam == "fan":
        scan = FanBeam(theta, BINS, 1.9, source_to_axis_mm=200.0, source_to_detector_mm=400.0)
    gamma = 0 if beam == "parallel" else scan.fan_angles_rad
    place = np.arange(BINS) - (BINS - 1) / 2 if beam == "parallel" else 200 * np.sin(gamma)

    def disc(radius, x):
        return 2 * np.sqrt(np.maximum(radius**2 - (place - x * np.cos(theta[:, None] - gamma)) ** 2, 0))

    exact = MU * (disc(30, 5) - disc(6, 20))
    counts = np.random.default_rng(seed).poisson(PHOTONS * np.exp(-exact))
    values = -np.log(np.maximum(counts, 1) / PHOTONS)[None].astype(np.float32)
    return Sinogram(values, scan, GRID, np.eye(4), photons=PHOTONS, mu_water_per_mm=MU)


def rms_hu(one, other, method="fbp"):
    a, b = (reconstruct(scan, method=method).image_hu for scan in (one, other))
    inside = np.hypot(GRID.x_mm, GRID.y_mm[:, None]) < 45
    return float(np.sqrt(np.mean((a - b)[:, inside] ** 2)))


@pytest.mark.parametrize("degrees", [np.arange(0, 180, 2.0), np.arange(0, 180, 7.2)])
@pytest.mark.parametrize("seed", [0, 1])
def test_sound_scans_stay(degrees, seed):
    scan = scan_of(degrees, seed)
    assert np.count_nonzero(ring_offsets(scan.values)) <= 3
    assert np.abs(ring_offsets(scan.values)).max() < 0.02
    assert not np.any(odd_bins(scan.values))
    assert not zingers_in(scan.values, scan.sigma()).any()


@pytest.mark.parametrize("beam", ["parallel", "fan"])
def test_rings_go(beam):
    scan = scan_of(np.arange(0, 360, 3.0), beam=beam)
    offsets = np.zeros(BINS, np.float32)
    offsets[[20, 37, 38, 52, 70]] = 0.08, -0.05, -0.05, 0.1, 0.03  # two side by side
    ringed, told = replace(scan, values=scan.values + offsets), []
    mended = cleaned(ringed, ["rings"], on_note=told.append)
    assert rms_hu(mended, scan) < 0.25 * rms_hu(ringed, scan)
    assert "52 (0.1)" in told[0]
    assert mended.origin.endswith("rings subtracted")
    assert mended.bad_rays is None


def test_dead_and_flickering_bins_weigh_nothing():
    scan = scan_of(np.arange(0, 180, 2.0))
    broken = scan.values.copy()
    broken[..., 30] = 4.0
    broken[..., 60] += np.random.default_rng(1).normal(0, 0.3, broken.shape[1])
    broken[..., 75] += 0.2
    told = []
    mended = cleaned(replace(scan, values=broken), ["bad-bins"], on_note=told.append)
    assert np.flatnonzero(mended.bad_rays.all(axis=(0, 1))).tolist() == [30, 60, 75]
    assert "30 (does not follow its neighbours)" in told[0]
    assert "75 (reads off its neighbours)" in told[0]
    assert rms_hu(mended, scan) < 0.1 * rms_hu(replace(scan, values=broken), scan)
    kept = cleaned(replace(scan, values=broken), ALL).bad_rays  # what is only off is corrected, not lost
    assert np.flatnonzero(kept.all(axis=(0, 1))).tolist() == [30, 60]


@pytest.mark.parametrize("photons", [PHOTONS, None])
def test_zingers_weigh_nothing(photons):
    scan = replace(scan_of(np.arange(0, 180, 2.0)), photons=photons)
    rng = np.random.default_rng(2)
    hit = np.zeros(scan.values.shape, bool)
    hit[0, rng.integers(2, 88, 30), rng.integers(4, 92, 30)] = True
    transmitted = np.exp(-scan.values) + np.where(hit, rng.uniform(0.4, 2, hit.shape), 0)
    found = cleaned(replace(scan, values=-np.log(transmitted)), ["zingers"]).bad_rays
    assert (found & hit).sum() >= 0.9 * hit.sum()
    assert not (found & ~hit).any()


def test_too_little_to_tell_and_wrong_words():
    scan, told = scan_of(np.arange(0, 180, 30.0)), []
    assert cleaned(scan, ALL, on_note=told.append) is scan
    assert "6 views of 96 bins are too few" in told[0]
    with pytest.raises(UsageError, match="clean is 'dust'"):
        cleaned(scan, ["dust"])


def test_what_is_no_fault_of_the_detector_is_not_left_out():
    scan, told = scan_of(np.arange(0, 180, 2.0)), []
    noise = np.random.default_rng(0).normal(0, 0.5, scan.values.shape) * (np.arange(BINS) % 3 == 0)
    cleaned(replace(scan, values=scan.values + noise), ["zingers", "bad-bins"], on_note=told.append)
    assert not any("100" in note.split("(")[0] for note in told)


def test_a_sidecar_says_it(tmp_path):
    degrees = np.arange(0, 180, 2.0)
    values = scan_of(degrees).values[0].copy()
    values[:, 30], values[:, 75] = 4.0, values[:, 75] + 0.2
    np.save(tmp_path / "a.npy", values)
    geometry = {"type": "parallel", "angle_direction": "counterclockwise", "detector_pitch_mm": 1.0}
    keys = {"quantity": "line_integral", "axes": "view,detector", "photons": PHOTONS, "mu_water_per_mm": MU}
    keys["geometry"] = geometry | {"angles_deg": degrees.tolist()}

    def imported(**more):
        notes = []
        (tmp_path / "a.json").write_text(json.dumps(keys | more))
        return import_sinogram(tmp_path / "a.npy", on_note=notes.append), notes

    found, _ = imported(bad_bins="find")
    assert np.flatnonzero(found.bad_rays.all(axis=(0, 1))).tolist() == [30, 75]
    found, notes = imported(clean=["rings", "bad-bins"])
    assert np.flatnonzero(found.bad_rays.all(axis=(0, 1))).tolist() == [30]
    assert any(note.startswith("rings: ") and "75 (0.2)" in note for note in notes)
    _, notes = imported()
    assert any("use --clean bad-bins" in note for note in notes)
    for wrong in ({"bad_bins": "all"}, {"clean": ["dust"]}):
        with pytest.raises(SinogramError, match=next(iter(wrong))):
            imported(**wrong)


def test_the_record_of_a_result_says_what_was_found(tmp_path):
    from ctresample.pipelines.results.options import ResultOptions
    from ctresample.pipelines.results.run import make_result

    scan = scan_of(np.arange(0, 180, 4.0))
    ringed = replace(scan, values=scan.values + np.where(np.arange(BINS) == 40, np.float32(0.2), 0))
    write_sinogram(ringed, tmp_path / "a.h5")
    make_result(ringed, ResultOptions(method="fbp", clean=("zingers", "rings")), tmp_path / "out")
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert [note.split(":")[0] for note in record["notes"]] == ["rings", "zingers"]
    assert "40 (0.2)" in record["notes"][0]
    assert "rings subtracted" in record["scan"]["origin"]
    with pytest.raises(UsageError, match="clean is 'dust'; expected some of rings, bad-bins, zingers, or none"):
        ResultOptions(clean=("dust",))
