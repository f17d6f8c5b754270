"""What holds for the projectors of every beam, offsets and grids included."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctresample.errors import GeometryError
from ctresample.geometry import ConeBeam, FanBeam, Geometry, Grid, HelicalBeam, ImageGrid, ParallelBeam, VolumeGrid
from ctresample.operators import ConeProjector, SparseProjector, StreamedProjector, dot_test, make_projector
from ctresample.operators.sparse import matrix_bytes

SLICE = ImageGrid((12, 15), 1.3, aspect=0.8, centre_mm=(2.0, -3.0))
BLOCK = VolumeGrid((5, 6, 7), 2.0, 2.5, centre_mm=(1.0, -2.0, 0.5))
FAN = FanBeam.for_grid(SLICE, 7, 60.0, 100.0)


def turned(geometry: Geometry) -> Geometry:
    """Views that start off the axes, so that nothing is symmetric."""
    return geometry.with_angles(tuple(angle + 0.1 for angle in geometry.angles_rad))


HELIX = HelicalBeam(
    (0.0, 1.3, 2.6, 3.9, 5.2),
    21,
    2.5,
    source_to_axis_mm=60.0,
    source_to_detector_mm=100.0,
    centre_z_mm=(-4.0, -2.0, 0.0, 2.0, 4.0),
    n_detector_rows=5,
    detector_row_pitch_mm=3.0,
)
CASES: dict[str, tuple[Geometry, Grid]] = {
    "parallel": (ParallelBeam.for_grid(SLICE, 7), SLICE),
    "parallel, offset": (replace(ParallelBeam.for_grid(SLICE, 7), detector_offset_mm=1.7), SLICE),
    "fan": (FAN, SLICE),
    "fan, offsets": (replace(FAN, detector_offset_mm=-2.1, axis_offset_mm=0.9), SLICE),
    "curved fan": (FanBeam.for_grid(SLICE, 7, 60.0, 100.0, detector_shape="curved"), SLICE),
    "curved fan, offsets": (
        replace(FAN, detector_shape="curved", detector_offset_mm=2.1, axis_offset_mm=-0.9),
        SLICE,
    ),
    "cone": (ConeBeam.for_grid(BLOCK, 5, 60.0, 100.0), BLOCK),
    "cone, offsets": (
        replace(
            ConeBeam.for_grid(BLOCK, 5, 60.0, 100.0),
            detector_offset_mm=1.1,
            detector_row_offset_mm=-0.7,
            axis_offset_mm=0.4,
        ),
        BLOCK,
    ),
    "helical": (HELIX, BLOCK),
    "helical, flying focal spot": (
        replace(
            HELIX,
            detector_offset_mm=1.3,
            detector_row_offset_mm=0.4,
            spot_angle_rad=(0.01, -0.01, 0.01, -0.01, 0.01),
            spot_radial_mm=(0.0, 5.0, 0.0, 5.0, 0.0),
            spot_z_mm=(0.0, -2.0, 0.0, -2.0, 0.0),
        ),
        BLOCK,
    ),
}
CASES = {name: (turned(geometry), grid) for name, (geometry, grid) in CASES.items()}
EVERY = pytest.mark.parametrize(("geometry", "grid"), CASES.values(), ids=CASES.keys())
KINDS = pytest.mark.parametrize("kind", [SparseProjector, StreamedProjector, ConeProjector])


def skip_unless_made_for(kind: type, geometry: Geometry) -> None:
    if kind is ConeProjector and not geometry.is_volume:
        pytest.skip("for volumes")


def random_pair(A, batch: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand((batch, 1, *A.domain_shape), generator=generator, dtype=A.dtype)
    return x, torch.rand((batch, 1, *A.range_shape), generator=generator, dtype=A.dtype)


@EVERY
@KINDS
def test_adjoint(kind, geometry, grid):
    skip_unless_made_for(kind, geometry)
    assert dot_test(kind(geometry, grid)) < 1e-6
    assert dot_test(kind(geometry, grid, dtype=torch.float64)) < 1e-14


@EVERY
@pytest.mark.parametrize("kind", [StreamedProjector, ConeProjector])
def test_without_a_matrix_the_numbers_are_the_same(kind, geometry, grid, phantoms):
    skip_unless_made_for(kind, geometry)
    sparse, other = (one(geometry, grid) for one in (SparseProjector, kind))
    x, y = random_pair(sparse)
    assert phantoms.relative(other(x), sparse(x)) < 2e-6
    assert phantoms.relative(other.T(y), sparse.T(y)) < 2e-6


def test_rays_steepest_along_every_axis(phantoms):
    """A cone so wide that some rays rise more than they advance."""
    shared = {"source_to_axis_mm": 30.0, "source_to_detector_mm": 40.0, "n_detector_rows": 30}
    geometry = ConeBeam((0.3, 1.2), 9, 2.0, **shared, detector_row_pitch_mm=6.0)
    sparse, planes = (kind(geometry, BLOCK) for kind in (SparseProjector, ConeProjector))
    x, y = random_pair(sparse)
    assert phantoms.relative(planes(x), sparse(x)) < 2e-6
    assert phantoms.relative(planes.T(y), sparse.T(y)) < 2e-6


TINY = {name: (replace(geometry, n_detectors=4).with_views(slice(2)), grid) for name, (geometry, grid) in CASES.items()}


@pytest.mark.parametrize(("geometry", "grid"), TINY.values(), ids=TINY.keys())
@KINDS
def test_gradients_of_first_and_second_order(kind, geometry, grid):
    skip_unless_made_for(kind, geometry)
    grid = replace(grid, shape=(2, 3, 2)[: len(grid.shape)])
    if geometry.is_volume:
        geometry = replace(geometry, n_detector_rows=3)
    A = kind(geometry, grid, dtype=torch.float64)
    x, y = (tensor.requires_grad_() for tensor in random_pair(A))
    for function, argument in ((A, x), (A.T, y)):
        assert torch.autograd.gradcheck(function, (argument,), check_forward_ad=True)
        assert torch.autograd.gradgradcheck(function, (argument,))


def test_functional_transforms(phantoms):
    A = SparseProjector(*CASES["fan"], dtype=torch.float64)
    x, y = random_pair(A)
    expected = A.T(A(x) - y)
    gradient = torch.func.grad(lambda image: (A(image) - y).square().sum() / 2)(x)
    assert phantoms.relative(gradient, expected) < 1e-12
    _, pull = torch.func.vjp(A, x)
    assert phantoms.relative(pull(y)[0], A.T(y)) < 1e-12
    _, push = torch.func.jvp(A, (x,), (x,))
    assert phantoms.relative(push, A(x)) < 1e-12
    stack = torch.stack([x, 2 * x, -x])
    assert phantoms.relative(torch.func.vmap(A)(stack), torch.stack([A(one) for one in stack])) < 1e-12
    one = x[:1]
    columns = torch.func.jacrev(A)(one).reshape(math.prod(A.range_shape), -1)
    assert phantoms.relative(columns, phantoms.matrix_of(A)) < 1e-12


# ---------------------------------------------------------------- values

DISKS = {
    "disk": ((0.0, 0.0), (70.0, 70.0), 0.0),
    "disk off the centre": ((35.0, -50.0), (50.0, 50.0), 0.0),
    "ellipse": ((30.0, -25.0), (90.0, 45.0), 0.6),
}
WIDE = ImageGrid((256, 256), 1.3, centre_mm=(10.0, -6.0))
TALL = ImageGrid((288, 230), 1.3, aspect=0.85)
WIDE_FAN = replace(FanBeam.for_grid(WIDE, 12), detector_offset_mm=5.0, axis_offset_mm=-8.0, n_detectors=460)


@pytest.mark.parametrize(("centre", "half_axes", "tilt"), DISKS.values(), ids=DISKS.keys())
@pytest.mark.parametrize(
    ("geometry", "grid"),
    [
        (replace(ParallelBeam.for_grid(WIDE, 12), detector_offset_mm=3.3), WIDE),
        (ParallelBeam.for_grid(TALL, 12), TALL),
        (WIDE_FAN, WIDE),
        (replace(WIDE_FAN, detector_shape="curved"), WIDE),
        (FanBeam.for_grid(TALL, 12, detector_shape="curved"), TALL),
    ],
    ids=["parallel", "parallel, pixels not square", "fan", "curved fan", "curved fan, pixels not square"],
)
def test_analytic_projections(geometry, grid, centre, half_axes, tilt, phantoms):
    """Below 1 % in the Euclidean norm: what is left is the staircase of the pixels along the edge."""
    geometry = turned(geometry)
    ellipse = phantoms.Ellipse(0.02, centre, half_axes, tilt)
    image = phantoms.as_batch(phantoms.image(grid, [ellipse], oversampling=4))
    found = SparseProjector(geometry, grid)(image)[0, 0]
    assert phantoms.relative(found, phantoms.line_integrals(geometry, [ellipse])) < 0.01


@pytest.mark.parametrize(("centre", "radius"), [((0.0, 0.0, 0.0), 40.0), ((14.0, -15.0, 8.0), 33.0)])
def test_analytic_cone(centre, radius, phantoms):
    grid = VolumeGrid((130, 176, 170), 0.6, 0.7, centre_mm=(4.0, -3.0, 2.0))
    geometry = replace(
        ConeBeam.for_grid(grid, 2), detector_offset_mm=3.0, detector_row_offset_mm=-2.0, axis_offset_mm=5.0
    )
    geometry, sphere = turned(geometry), phantoms.Sphere(0.02, centre, radius)
    volume = torch.tensor(phantoms.volume_image(grid, [sphere]), dtype=torch.float32)
    found = ConeProjector(geometry, grid)(volume[None, None])[0, 0]
    assert phantoms.relative(found, phantoms.cone_integrals(geometry, [sphere])) < 0.01


def test_analytic_helix(phantoms):
    """A flying focal spot and a curved detector, against chord lengths through a sphere written out from the axes."""
    geometry = CASES["helical, flying focal spot"][0]
    grid = VolumeGrid((64, 48, 48), 0.5, 0.5)
    sphere = phantoms.Sphere(0.02, (1.5, -2.0, 1.0), 8.0)
    x = torch.tensor(phantoms.volume_image(grid, [sphere]), dtype=torch.float32)[None, None]
    expected = phantoms.helical_integrals(geometry, [sphere])
    assert np.abs(expected).max() > 0.25
    assert phantoms.relative(ConeProjector(geometry, grid)(x)[0, 0], expected) < 0.02


def test_mid_plane_of_a_cone_is_a_fan(phantoms):
    slice_grid = ImageGrid((16, 20), 1.1)
    fan = turned(FanBeam.for_grid(slice_grid, 6, 80.0, 140.0))
    shared = {"source_to_axis_mm": 80.0, "source_to_detector_mm": 140.0}
    cone = ConeBeam(
        fan.angles_rad, fan.n_detectors, fan.detector_pitch_mm, **shared, n_detector_rows=3, detector_row_pitch_mm=9.0
    )
    x = torch.rand((1, 1, 16, 20), generator=torch.Generator().manual_seed(0))
    flat = SparseProjector(fan, slice_grid)(x)
    volume = x[:, :, None].expand(-1, -1, 5, -1, -1).contiguous()
    deep = SparseProjector(cone, VolumeGrid((5, 16, 20), 1.1, 6.0))(volume)
    assert phantoms.relative(deep[:, :, 1], flat) < 1e-6


# ---------------------------------------------------------------- axes

ANGLES = st.lists(st.floats(-4, 4), min_size=1, max_size=3).map(tuple)
OFFSETS = st.floats(-3, 3)


def small_beams(angles: tuple[float, ...], offset: float, axis_offset: float) -> list[Geometry]:
    fan = FanBeam(
        angles, 14, 2.1, offset, source_to_axis_mm=20.0, source_to_detector_mm=37.0, axis_offset_mm=axis_offset
    )
    return [ParallelBeam(angles, 14, 1.1, offset), fan, replace(fan, detector_shape="curved")]


def project(image: np.ndarray, geometry: Geometry, grid: Grid) -> np.ndarray:
    A = SparseProjector(geometry, grid, dtype=torch.float64)
    return A(torch.from_numpy(np.ascontiguousarray(image))[None, None])[0, 0].numpy()


@given(seed=st.integers(0, 99), angles=ANGLES, offset=OFFSETS, axis_offset=OFFSETS)
@settings(max_examples=25)
def test_turning_object_and_scanner_together_changes_nothing(seed, angles, offset, axis_offset):
    image = np.random.default_rng(seed).random((9, 7))
    quarter = tuple(angle + math.pi / 2 for angle in angles)
    before_grid = ImageGrid((9, 7), 1.0, aspect=1.25, centre_mm=(0.8, -0.3))
    after_grid = ImageGrid((7, 9), 1.25, aspect=0.8, centre_mm=(0.3, 0.8))  # (x, y) to (-y, x)
    pairs = zip(small_beams(angles, offset, axis_offset), small_beams(quarter, offset, axis_offset), strict=True)
    for before, after in pairs:
        expected = project(image, before, before_grid)
        assert project(np.rot90(image), after, after_grid) == pytest.approx(expected, abs=1e-5)


@given(seed=st.integers(0, 99), angles=ANGLES, offset=OFFSETS, axis_offset=OFFSETS)
@settings(max_examples=25)
def test_mirror_image_mirrors_offsets(seed, angles, offset, axis_offset):
    image, grid = np.random.default_rng(seed).random((9, 9)), ImageGrid((9, 9), 1.0, centre_mm=(0.8, -0.3))
    mirrored_grid = replace(grid, centre_mm=(-0.8, -0.3))
    mirrored = small_beams(tuple(-angle for angle in angles), -offset, -axis_offset)
    for before, after in zip(small_beams(angles, offset, axis_offset), mirrored, strict=True):
        expected = project(image, before, grid)[:, ::-1]
        assert project(image[:, ::-1], after, mirrored_grid) == pytest.approx(expected, abs=1e-5)


@given(angles=ANGLES, shift=st.tuples(st.floats(-3, 3), st.floats(-3, 3)))
@settings(max_examples=25)
def test_parallel_beam_follows_a_shifted_grid(angles, shift):
    """An object moved by (dx, dy) casts its shadow dx cos + dy sin further: the same as a detector offset."""
    image, grid = np.random.default_rng(0).random((9, 9)), ImageGrid((9, 9), 1.0)
    for angle in angles:
        moved = shift[0] * math.cos(angle) + shift[1] * math.sin(angle)
        expected = project(image, ParallelBeam((angle,), 14, 1.1, -moved), grid)
        found = project(image, ParallelBeam((angle,), 14, 1.1), replace(grid, centre_mm=shift))
        assert found == pytest.approx(expected, abs=1e-4)


@given(seed=st.integers(0, 99), scale=st.floats(0.01, 100), offset=OFFSETS)
@settings(max_examples=25)
def test_another_unit_of_length_scales_line_integrals(seed, scale, offset):
    image, grid = np.random.default_rng(seed).random((9, 9)), ImageGrid((9, 9), 1.0, centre_mm=(0.5, 0.2))
    one = small_beams((0.3, 2.0), offset, offset / 2)[1]
    lengths = (
        "detector_pitch_mm",
        "detector_offset_mm",
        "source_to_axis_mm",
        "source_to_detector_mm",
        "axis_offset_mm",
    )
    scaled = replace(one, **{name: getattr(one, name) * scale for name in lengths})
    scaled_grid = replace(grid, pixel_size_mm=scale, centre_mm=(0.5 * scale, 0.2 * scale))
    expected = scale * project(image, one, grid)
    assert project(image, scaled, scaled_grid) == pytest.approx(expected, rel=1e-5, abs=1e-5 * scale)


# ---------------------------------------------------------------- choice


@EVERY
def test_a_small_budget_means_no_stored_matrix(geometry, grid):
    needed = matrix_bytes(geometry, grid)
    assert isinstance(make_projector(geometry, grid, memory_budget_bytes=needed), SparseProjector)
    without = ConeProjector if geometry.is_volume else StreamedProjector
    assert type(make_projector(geometry, grid, memory_budget_bytes=needed - 1)) is without


def test_what_overflows_32_bits_is_streamed():
    grid = ImageGrid((1024, 1024), 1.0)
    A = make_projector(ParallelBeam.for_grid(grid, 2000), grid, memory_budget_bytes=2**60)
    assert isinstance(A, StreamedProjector)


@pytest.mark.parametrize("beam", ["parallel", "fan", "curved fan"])
def test_memory_estimate(beam):
    grid = ImageGrid((128, 128), 1.0)
    geometry = {
        "parallel": ParallelBeam.for_grid(grid, 40),
        "fan": FanBeam.for_grid(grid, 40),
        "curved fan": FanBeam.for_grid(grid, 40, detector_shape="curved"),
    }[beam]
    A = SparseProjector(geometry, grid)
    taken = sum(8 * matrix.values().numel() for matrix in (A._matrix, A._transpose))
    assert matrix_bytes(geometry, grid) == pytest.approx(taken, rel=0.25)


def test_grid_of_another_dimension():
    fan, cone = CASES["fan"][0], CASES["cone"][0]
    with pytest.raises(GeometryError, match="expected an ImageGrid"):
        make_projector(fan, BLOCK)
    with pytest.raises(GeometryError, match="expected a VolumeGrid"):
        make_projector(cone, SLICE)


@pytest.mark.cuda
@EVERY
@KINDS
def test_cuda_gives_what_the_cpu_gives(kind, geometry, grid, phantoms):
    skip_unless_made_for(kind, geometry)
    cpu, cuda = (kind(geometry, grid, device=device) for device in ("cpu", "cuda"))
    x, y = random_pair(cpu)
    assert phantoms.relative(cuda(x.cuda()).cpu(), cpu(x)) < 1e-5
    assert phantoms.relative(cuda.T(y.cuda()).cpu(), cpu.T(y)) < 1e-5
    assert dot_test(cuda) < 1e-6


def test_a_stored_matrix_must_fit_half_the_free_memory_of_a_gpu(monkeypatch):
    geometry = ParallelBeam.for_grid(SLICE, 6)
    needed = matrix_bytes(geometry, SLICE)
    monkeypatch.setattr("ctresample.operators.choice.SparseProjector", lambda *_, device, **__: f"stored on {device}")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2 * needed, 2**40))
    assert make_projector(geometry, SLICE, device="cuda") == "stored on cuda"
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2 * needed - 2, 2**40))
    assert type(make_projector(geometry, SLICE, device="cuda")) is StreamedProjector
