"""Filtered back projection of every beam: HU come out right, whatever the arc, the offsets and the pixels."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ctresample.errors import GeometryError, UsageError
from ctresample.geometry import ConeBeam, FanBeam, Geometry, ImageGrid, ParallelBeam, VolumeGrid
from ctresample.geometry.arcs import unmeasured_rad, widest_step
from ctresample.solvers.fbp import fbp
from ctresample.solvers.ramp import WINDOWS, ramp_filter
from ctresample.solvers.redundancy import ray_weights
from ctresample.units import AIR_HU, MU_WATER_PER_MM, mu_to_hu

GRID = ImageGrid((96, 96), 1.3)
OFF_CENTRE = ImageGrid((90, 100), 1.2, centre_mm=(8.0, -5.0))
OBLONG = ImageGrid((80, 100), 1.2, aspect=1.25)
CENTRE, RADIUS = (9.0, -7.0), 32.0


def fan(shape: str, grid: ImageGrid = GRID, n_views: int = 540, **changes) -> FanBeam:
    return replace(FanBeam.for_grid(grid, n_views, 200.0, 380.0, detector_shape=shape), **changes)


def arc(geometry: Geometry, start_deg: float, stop_deg: float, n_views: int = 540) -> Geometry:
    return geometry.with_angles(np.radians(np.linspace(start_deg, stop_deg, n_views, endpoint=False)))


PARALLEL = ParallelBeam.for_grid(GRID, 360)
SHORT_DEG = math.degrees(fan("flat").short_scan_rad)
CASES: dict[str, tuple[Geometry, ImageGrid]] = {
    "parallel, axis off the middle": (replace(PARALLEL, detector_offset_mm=4.2), GRID),
    "parallel, finer bins": (PARALLEL.with_bins_split(2), GRID),
    "parallel, 240 degrees": (arc(PARALLEL, 10, 250), GRID),
    "parallel, end point twice": (PARALLEL.with_angles(np.linspace(0, math.pi, 361)), GRID),
    "parallel, half a detector": (arc(replace(PARALLEL, n_detectors=104, detector_offset_mm=42.25), 0, 360), GRID),
    "parallel, clockwise": (arc(PARALLEL, 0, -180), GRID),
    "parallel, off-centre grid": (ParallelBeam.for_grid(OFF_CENTRE, 360), OFF_CENTRE),
    "parallel, oblong pixels": (ParallelBeam.for_grid(OBLONG, 360), OBLONG),
    **{
        f"{shape} fan{name}": (make(shape), grid)
        for shape in ("flat", "curved")
        for name, make, grid in (
            ("", lambda shape: fan(shape), GRID),
            (", quarter offset", lambda shape: fan(shape, detector_offset_mm=0.62), GRID),
            (", axis off the central ray", lambda shape: fan(shape, axis_offset_mm=6.0), GRID),
            (", half a detector", lambda shape: fan(shape, n_detectors=110, detector_offset_mm=85.0), GRID),
            (", short scan", lambda shape: arc(fan(shape), 0, SHORT_DEG), GRID),
            (", short scan, clockwise", lambda shape: arc(fan(shape), 100, 100 - SHORT_DEG), GRID),
            (", short scan, axis off", lambda shape: arc(fan(shape, axis_offset_mm=4.0), -50, SHORT_DEG - 45), GRID),
            (", over-scan", lambda shape: arc(fan(shape), 20, 320), GRID),
            (", finer bins", lambda shape: fan(shape).with_bins_split(2), GRID),
            (", off-centre grid", lambda shape: fan(shape, OFF_CENTRE), OFF_CENTRE),
            (", oblong pixels", lambda shape: fan(shape, OBLONG), OBLONG),
        )
    },
}


@pytest.mark.parametrize(("geometry", "grid"), CASES.values(), ids=CASES.keys())
def test_water_disk(geometry, grid, phantoms):
    sinogram = phantoms.line_integrals(geometry, [phantoms.disk(MU_WATER_PER_MM, CENTRE, RADIUS)])
    hu = mu_to_hu(fbp(phantoms.as_batch(sinogram), geometry, grid))[0, 0].numpy()
    distance = np.hypot(grid.x_mm - CENTRE[0], grid.y_mm[:, None] - CENTRE[1])
    inside = hu[distance < RADIUS - 6]
    assert abs(inside.mean()) < 0.5
    assert np.abs(inside).max() < 5
    around = (distance > RADIUS + 6) & (np.hypot(grid.x_mm, grid.y_mm[:, None]) < 50)
    assert abs(hu[around].mean() - AIR_HU) < 0.5


@pytest.mark.parametrize("pixel_size_mm", [0.4, 0.9, 2.0])
@pytest.mark.parametrize("pitch_factor", [0.5, 1.0, 1.6])
@pytest.mark.parametrize("shape", ["flat", "curved"])
def test_pixel_size_and_detector_pitch(pixel_size_mm, pitch_factor, shape, phantoms):
    grid = ImageGrid((80, 80), pixel_size_mm)
    geometry = FanBeam.for_grid(grid, 480, 400.0, 700.0, detector_shape=shape)
    pitch = geometry.detector_pitch_mm * pitch_factor
    geometry = replace(geometry, detector_pitch_mm=pitch, n_detectors=math.ceil(geometry.n_detectors / pitch_factor))
    centre, radius = (5 * pixel_size_mm, -4 * pixel_size_mm), 24 * pixel_size_mm
    sinogram = phantoms.line_integrals(geometry, [phantoms.disk(MU_WATER_PER_MM, centre, radius)])
    hu = mu_to_hu(fbp(phantoms.as_batch(sinogram), geometry, grid))[0, 0].numpy()
    distance = np.hypot(grid.x_mm - centre[0], grid.y_mm[:, None] - centre[1])
    inside = hu[distance < radius - 8 * pixel_size_mm]
    assert abs(inside.mean()) < 1
    assert np.abs(inside).max() < 5


def test_an_offset_that_is_not_told_smears(phantoms):
    """The cases above would not notice if offsets were ignored on both sides; here they are known to one only."""
    geometry = fan("flat", axis_offset_mm=3.0)
    sinogram = phantoms.as_batch(phantoms.line_integrals(geometry, [phantoms.disk(MU_WATER_PER_MM, CENTRE, 2.0)]))
    told, not_told = (fbp(sinogram, g, GRID).max() for g in (geometry, replace(geometry, axis_offset_mm=0.0)))
    assert not_told < 0.8 * told


# ---------------------------------------------------------------- weights


@pytest.mark.parametrize("shape", ["flat", "curved"])
def test_short_scan_weights_are_parkers(shape):
    """Parker 1982, written out: the arc is 180 degrees and twice delta, b the angle into it, g that of the ray."""
    geometry = fan(shape)
    half = math.radians(SHORT_DEG) / 2 - math.pi / 2
    n_views = 300
    step = (math.pi + 2 * half) / n_views
    b = (np.arange(n_views)[:, None] + 0.5) * step
    geometry = geometry.with_angles(b[:, 0])
    # with our signs a ray at fan angle gamma has the normal beta - gamma, Parker's beta + gamma
    g = -geometry.fan_angles_rad[None, :]
    first = np.sin(np.pi / 4 * b / (half - g)) ** 2
    last = np.sin(np.pi / 4 * (math.pi + 2 * half - b) / (half + g)) ** 2
    expected = np.where(b < 2 * half - 2 * g, first, np.where(b > math.pi - 2 * g, last, 1.0))
    assert ray_weights(geometry) / step == pytest.approx(expected, abs=1e-6)


@given(
    start=st.integers(-400, 400),
    length=st.integers(20, 150) | st.integers(272, 339) | st.just(360),
    half_bins=st.integers(5, 60),
    offset_bins=st.integers(-30, 30),
)
@settings(max_examples=60)
def test_both_ends_of_a_line_share_one(start, length, half_bins, offset_bins):
    """On a lattice of whole degrees, with bins of half a degree, each ray's other end is a ray too, if measured."""
    pitch_mm = math.radians(0.5) * 400
    geometry = FanBeam(
        np.radians(np.arange(start, start + length)),
        2 * half_bins + 1,
        pitch_mm,
        offset_bins * pitch_mm,
        source_to_axis_mm=200.0,
        source_to_detector_mm=400.0,
        detector_shape="curved",
    )
    shares = ray_weights(geometry) / math.radians(1)
    for view in range(0, length, 7):
        for k in range(0, geometry.n_detectors, 3):
            place = k - half_bins + offset_bins  # fan angle in half degrees
            other_view, other_k = (view + 180 - place) % 360, k - 2 * place
            measured = other_view < length and 0 <= other_k < geometry.n_detectors
            other = shares[other_view, other_k] if measured else 0.0
            assert shares[view, k] + other == pytest.approx(1)


def test_full_circle_counts_half():
    geometry = fan("flat")
    assert ray_weights(geometry) == pytest.approx(2 * math.pi / geometry.n_views / 2)


def test_views_of_two_arcs_stand_for_what_they_cover():
    """Gaps count for nothing: 90 + 40 degrees of parallel views, each line seen once."""
    angles = np.radians(np.concatenate([np.arange(0, 90) + 0.5, 115 + np.arange(0, 40, 0.5) + 0.25]))
    geometry = PARALLEL.with_angles(angles)
    assert ray_weights(geometry).sum(axis=0) == pytest.approx(math.radians(130))
    assert np.degrees(unmeasured_rad(geometry)) == pytest.approx(np.array([(90, 115), (155, 180)]), abs=1e-6)


def test_equal_weights_cover_the_same_arc():
    """A gated scan: 20 bursts of 5 views, whose ends would count 14 times as much as the others."""
    angles = np.radians(np.add.outer(np.arange(0, 180, 9), np.arange(5) * 0.5).ravel())
    geometry = PARALLEL.with_angles(angles)
    by_arc, equal = (ray_weights(geometry, how)[:, 0] for how in ("arcs", "equal"))
    assert by_arc.max() > 5 * by_arc.min()
    assert equal == pytest.approx(math.pi / 100)
    assert by_arc.sum() == pytest.approx(math.pi)
    with pytest.raises(UsageError, match="expected one of arcs, equal"):
        ray_weights(geometry, "both")


@given(angles=st.lists(st.floats(-20, 20), min_size=1, max_size=30), offset=st.floats(-30, 30))
@example(angles=[0.0, -3.3099169820953793e-10], offset=0.0)  # the same view, on both sides of the circle's seam
@example(angles=[0.0, 1.6e-9, 1.0, 2.0], offset=0.0)  # views close together beside a gap
@settings(max_examples=100)
def test_weights_of_any_views_are_finite_and_cover_at_most_the_circle(angles, offset):
    for geometry in (replace(PARALLEL, detector_offset_mm=offset), fan("flat", detector_offset_mm=offset)):
        weights = ray_weights(geometry.with_angles(angles))
        assert np.isfinite(weights).all()
        assert (weights >= 0).all()
        assert (weights.sum(axis=0) <= 2 * math.pi + 1e-6).all()


# ---------------------------------------------------------------- views that are not evenly spaced


def uneven(kind: str, arc_rad: float, n_views: int = 180) -> np.ndarray:
    even, rng = np.arange(n_views) * arc_rad / n_views, np.random.default_rng(3)
    if kind == "random":
        return np.sort(rng.choice(720, 60, replace=False)) * arc_rad / 720
    if kind == "bursts":
        return np.delete(even, [start + k for start in (20, 60, 90, 140) for k in range(4)])
    if kind == "ends dropped":
        return even[6:-3]
    return even + rng.uniform(-0.5, 0.5, n_views) * arc_rad / n_views


@pytest.mark.parametrize("kind", ["random", "bursts", "ends dropped", "jitter"])
@pytest.mark.parametrize("name", ["parallel", "axis off the middle", "flat", "curved", "short"])
def test_uneven_views_keep_hu(name, kind, phantoms):
    """Within 2 HU of evenly spaced views; a limited angle of 9 degrees fewer would be 50 HU off."""
    geometry, arc_rad = PARALLEL, math.pi
    if name == "axis off the middle":
        geometry = replace(PARALLEL, detector_offset_mm=4.2)
    elif name != "parallel":
        geometry = fan("flat" if name == "short" else name)
        arc_rad = geometry.short_scan_rad if name == "short" else 2 * math.pi
    geometry = geometry.with_angles(uneven(kind, arc_rad))
    sinogram = phantoms.line_integrals(geometry, [phantoms.disk(MU_WATER_PER_MM, CENTRE, RADIUS)])
    hu = mu_to_hu(fbp(phantoms.as_batch(sinogram), geometry, GRID))[0, 0].numpy()
    inside = hu[np.hypot(GRID.x_mm - CENTRE[0], GRID.y_mm[:, None] - CENTRE[1]) < RADIUS - 6]
    assert abs(inside.mean()) < 2


def test_widest_step():
    degrees = np.delete(np.arange(180.0), [20, 21, 22])
    assert np.degrees(widest_step(PARALLEL.with_angles(np.radians(degrees)))) == pytest.approx((4, 1), abs=1e-6)


# ---------------------------------------------------------------- windows


@pytest.mark.parametrize("window", WINDOWS)
def test_windows_keep_the_mean(window, phantoms):
    sinogram = phantoms.line_integrals(PARALLEL, [phantoms.disk(MU_WATER_PER_MM, (0.0, 0.0), RADIUS)])
    hu = mu_to_hu(fbp(phantoms.as_batch(sinogram), PARALLEL, GRID, window=window))[0, 0].numpy()
    inside = hu[np.hypot(GRID.x_mm, GRID.y_mm[:, None]) < RADIUS - 8]
    assert abs(inside.mean()) < 1


def test_windows_damp_noise_in_the_order_told():
    noise = torch.randn((1, 1, *PARALLEL.shape), generator=torch.Generator().manual_seed(0))
    spreads = [float(fbp(noise, PARALLEL, GRID, window=window).std()) for window in WINDOWS]
    assert spreads == sorted(spreads, reverse=True)
    assert fbp(noise, PARALLEL, GRID, cutoff=0.5).std() < 0.6 * spreads[0]


@pytest.mark.parametrize("cutoff", [0.0, -1.0, 1.1, math.nan])
def test_cutoff(cutoff):
    with pytest.raises(UsageError, match="cutoff is"):
        ramp_filter(torch.zeros(1, 8), 1.0, cutoff=cutoff)


def test_ramp_of_a_cosine():
    """The ramp multiplies a frequency by itself."""
    pitch, n, waves = 0.7, 4096, 200
    s = torch.arange(n, dtype=torch.float64) * pitch
    frequency = waves / (n * pitch)
    filtered = ramp_filter(torch.cos(2 * math.pi * frequency * s)[None], pitch)[0]
    middle = slice(n // 4, 3 * n // 4)
    assert (filtered / frequency)[middle].numpy() == pytest.approx(
        torch.cos(2 * math.pi * frequency * s)[middle].numpy(), abs=0.01
    )


def test_wrong_kind_of_beam():
    block = VolumeGrid((4, 8, 8), 1.0, 1.0)
    with pytest.raises(GeometryError, match="use fdk"):
        fbp(torch.zeros(1, 1, 1, 1, 1), ConeBeam.for_grid(block, 4), block)


@pytest.mark.cuda
@pytest.mark.parametrize("shape", ["flat", "curved"])
def test_cuda_gives_what_the_cpu_gives(shape, phantoms):
    geometry = fan(shape, n_views=60)
    y = torch.rand((2, 1, *geometry.shape), generator=torch.Generator().manual_seed(0))
    assert phantoms.relative(fbp(y.cuda(), geometry, GRID).cpu(), fbp(y, geometry, GRID)) < 1e-4
