"""The projector: an exact adjoint, the documented axes, and the same line integrals as geometry and ASTRA give."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ctresample.errors import GeometryError
from ctresample.geometry import FanBeam, Geometry, ImageGrid, ParallelBeam
from ctresample.operators import LinearOperator, SparseProjector, dot_test, sparse

BEAMS = pytest.mark.parametrize("beam", [ParallelBeam, FanBeam])
OBLONG = ImageGrid((20, 28), 0.7)


def scan_of(grid: ImageGrid, beam: type, n_views: int = 12) -> Geometry:
    """Views that start off the axes, so that nothing is symmetric."""
    geometry = beam.for_grid(grid, n_views)
    return replace(geometry, angles_rad=tuple(angle + 0.1 for angle in geometry.angles_rad))


def random_pair(A: LinearOperator, batch: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand((batch, 1, *A.domain_shape), generator=generator, dtype=A.dtype)
    return x, torch.rand((batch, 1, *A.range_shape), generator=generator, dtype=A.dtype)


def project(image: np.ndarray, geometry: Geometry, grid: ImageGrid) -> np.ndarray:
    A = SparseProjector(geometry, grid, dtype=torch.float64)
    return A(torch.from_numpy(np.array(image, dtype=np.float64))[None, None])[0, 0].numpy()


# ---------------------------------------------------------------- adjoint and gradients


@BEAMS
@pytest.mark.parametrize("grid", [OBLONG, ImageGrid((128, 128), 1.3)])
def test_adjoint(beam, grid):
    assert dot_test(SparseProjector(scan_of(grid, beam, 30), grid)) < 1e-6
    assert dot_test(SparseProjector(scan_of(grid, beam, 30), grid, dtype=torch.float64)) < 1e-14


def test_dot_test_sees_a_wrong_adjoint():
    class Wrong(SparseProjector):
        def adjoint(self, y: torch.Tensor) -> torch.Tensor:
            return 1.01 * super().adjoint(y)

    assert dot_test(Wrong(scan_of(OBLONG, ParallelBeam), OBLONG)) > 1e-5


@BEAMS
@pytest.mark.parametrize("batch", [1, 2])
def test_gradients_of_first_and_second_order(beam, batch):
    grid = ImageGrid((5, 4), 1.5)
    A = SparseProjector(scan_of(grid, beam, 3), grid, dtype=torch.float64)
    x, y = (tensor.requires_grad_() for tensor in random_pair(A, batch))
    for function, argument in ((A, x), (A.T, y)):
        assert torch.autograd.gradcheck(function, (argument,))
        assert torch.autograd.gradgradcheck(function, (argument,))


@BEAMS
def test_gradient_of_least_squares(beam):
    A = SparseProjector(scan_of(OBLONG, beam), OBLONG)
    x, y = random_pair(A)
    x.requires_grad_()
    ((A(x) - y).square().sum() / 2).backward()
    assert torch.equal(x.grad, A.T(A(x) - y).detach())


@BEAMS
def test_batch_is_its_slices(beam, phantoms):
    A = SparseProjector(scan_of(OBLONG, beam), OBLONG)
    for operator, tensor in zip((A, A.T), random_pair(A, 4), strict=True):
        together = operator(tensor)
        alone = torch.cat([operator(one[None]) for one in tensor])
        assert phantoms.relative(together, alone) < 1e-6


def test_transposed_twice():
    A = SparseProjector(scan_of(OBLONG, ParallelBeam), OBLONG)
    assert A.T.T is A


@BEAMS
def test_norm(beam, phantoms):
    grid = ImageGrid((9, 7), 1.2)
    A = SparseProjector(scan_of(grid, beam, 8), grid)
    assert A.norm() == pytest.approx(np.linalg.svd(phantoms.matrix_of(A))[1][0], rel=1e-3)


@pytest.mark.cuda
@BEAMS
def test_cuda_gives_what_the_cpu_gives(beam, phantoms):
    cpu, cuda = (SparseProjector(scan_of(OBLONG, beam), OBLONG, device=device) for device in ("cpu", "cuda"))
    x, y = random_pair(cpu)
    assert phantoms.relative(cuda(x.cuda()).cpu(), cpu(x)) < 1e-5
    assert phantoms.relative(cuda.T(y.cuda()).cpu(), cpu.T(y)) < 1e-5
    assert dot_test(cuda) < 1e-6


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize("shape", [(20, 28), (1, 20, 28), (1, 2, 20, 28), (1, 1, 28, 20), (1, 1, 20, 28, 1)])
def test_shape_of_an_image(shape):
    A = SparseProjector(scan_of(OBLONG, ParallelBeam), OBLONG)
    with pytest.raises(GeometryError, match=r"image has shape .*expected \(batch, 1, 20, 28\)"):
        A(torch.zeros(shape))


def test_shape_of_a_measurement():
    A = SparseProjector(scan_of(OBLONG, ParallelBeam), OBLONG)
    with pytest.raises(GeometryError, match=rf"measurement has shape .*expected \(batch, 1, 12, {A.range_shape[1]}\)"):
        A.T(torch.zeros(1, 1, *A.range_shape[::-1]))


def test_source_inside_the_image():
    with pytest.raises(GeometryError, match="inside the image"):
        fan = FanBeam((0.0,), 8, 1.0, source_to_axis_mm=10.0, source_to_detector_mm=20.0)
        SparseProjector(fan, ImageGrid((20, 20), 1.0))


def test_more_entries_than_32_bits_can_count():
    grid = ImageGrid((1024, 1024), 1.0)
    with pytest.raises(GeometryError, match="use fewer views, a smaller image or a StreamedProjector"):
        SparseProjector(ParallelBeam.for_grid(grid, 2000), grid)


# ---------------------------------------------------------------- axes


def test_view_at_zero_sums_columns_left_to_right():
    image = np.arange(12.0).reshape(3, 4)
    assert project(image, ParallelBeam((0.0,), 4, 2.0), ImageGrid((3, 4), 2.0))[0] == pytest.approx(2 * image.sum(0))


def test_view_at_90_degrees_sums_rows_bottom_to_top():
    image = np.arange(12.0).reshape(3, 4)
    found = project(image, ParallelBeam((math.pi / 2,), 3, 2.0), ImageGrid((3, 4), 2.0))[0]
    assert found == pytest.approx(2 * image.sum(1)[::-1])


@BEAMS
@pytest.mark.parametrize("pixel", [(2, 3), (2, 24), (17, 4), (16, 25), (10, 14)])
def test_a_pixel_casts_its_shadow_where_the_axes_say(beam, pixel):
    row, column = pixel
    geometry = scan_of(OBLONG, beam, 40)
    # bins a quarter as wide, so that the centre of the shadow can be told
    geometry = geometry.with_bins_split(4)
    image = np.zeros(OBLONG.shape)
    image[pixel] = 1
    sinogram = project(image, geometry, OBLONG)
    bins = (np.arange(geometry.n_detectors) - (geometry.n_detectors - 1) / 2) * geometry.detector_pitch_mm
    found = sinogram @ bins / sinogram.sum(axis=1)
    x, y = (column - 27 / 2) * 0.7, (19 / 2 - row) * 0.7
    theta = np.array(geometry.angles_rad)
    expected = x * np.cos(theta) + y * np.sin(theta)
    if beam is FanBeam:
        expected *= geometry.source_to_detector_mm
        expected /= geometry.source_to_axis_mm - x * np.sin(theta) + y * np.cos(theta)
    assert found == pytest.approx(expected, abs=0.05 * 0.7)


IMAGES = hnp.arrays(np.float64, (9, 9), elements=st.floats(0, 1))
ANGLES = st.lists(st.floats(-4, 4), min_size=1, max_size=3).map(tuple)


def geometries(angles_rad: tuple[float, ...], scale: float = 1.0) -> list[Geometry]:
    parallel = ParallelBeam(angles_rad, 14, 1.1 * scale)
    fan = FanBeam(angles_rad, 14, 2.1 * scale, source_to_axis_mm=20.0 * scale, source_to_detector_mm=37.0 * scale)
    return [parallel, fan]


@given(image=IMAGES, angles=ANGLES)
@settings(max_examples=30)
def test_turning_object_and_scanner_together_changes_nothing(image, angles):
    grid = ImageGrid((9, 9), 1.0)
    turned = tuple(angle + math.pi / 2 for angle in angles)
    for before, after in zip(geometries(angles), geometries(turned), strict=True):
        # rot90 turns from +x to +y, as the view angle does
        expected = project(image, before, grid)
        assert project(np.rot90(image), after, grid) == pytest.approx(expected, abs=1e-5)


@given(image=IMAGES, angles=ANGLES, scale=st.floats(0.01, 100))
@settings(max_examples=30)
def test_another_unit_of_length_scales_line_integrals(image, angles, scale):
    for one, scaled in zip(geometries(angles), geometries(angles, scale), strict=True):
        expected = scale * project(image, one, ImageGrid((9, 9), 1.0))
        assert project(image, scaled, ImageGrid((9, 9), scale)) == pytest.approx(expected, rel=1e-5, abs=1e-5 * scale)


@given(image=IMAGES, angles=ANGLES)
@settings(max_examples=30)
def test_parallel_view_from_behind_is_mirrored(image, angles):
    grid = ImageGrid((9, 9), 1.0)
    behind = ParallelBeam(tuple(angle + math.pi for angle in angles), 14, 1.1)
    expected = project(image, ParallelBeam(angles, 14, 1.1), grid)
    assert project(image, behind, grid)[:, ::-1] == pytest.approx(expected, abs=1e-5)


# ---------------------------------------------------------------- values


@BEAMS
@pytest.mark.parametrize(
    ("centre", "half_axes", "tilt"),
    [((0.0, 0.0), (0.24, 0.24), 0.0), ((0.12, -0.2), (0.18, 0.18), 0.0), ((0.12, -0.08), (0.32, 0.16), 0.6)],
    ids=["disk", "disk off the centre", "ellipse"],
)
def test_analytic_projections(beam, centre, half_axes, tilt, phantoms):
    """Below 1 % in the Euclidean norm: what is left is the staircase of the pixels along the edge."""
    grid = ImageGrid((256, 256), 1.3)
    field = 256 * 1.3
    ellipse = phantoms.Ellipse(0.02, tuple(field * c for c in centre), tuple(field * a for a in half_axes), tilt)
    geometry = scan_of(grid, beam)
    found = project(phantoms.image(grid, [ellipse], oversampling=4), geometry, grid)
    assert phantoms.relative(found, phantoms.line_integrals(geometry, [ellipse])) < 0.01


def astra_projector(kernel: str, beam_geometry: dict, grid: ImageGrid):
    import astra

    (rows, columns), half = grid.shape, grid.pixel_size_mm / 2
    window = (-columns * half, columns * half, -rows * half, rows * half)
    volume_geometry = astra.create_vol_geom(rows, columns, *window)
    return astra.OpTomo(astra.create_projector(kernel, beam_geometry, volume_geometry))


@pytest.fixture
def astra():
    """The module; it has no wheels for some platforms that everything else runs on."""
    module = pytest.importorskip("astra")
    yield module
    module.clear()


ASTRA_GRIDS = pytest.mark.parametrize("grid", [ImageGrid((64, 64), 0.7), ImageGrid((40, 56), 1.5)])


@ASTRA_GRIDS
def test_parallel_beam_agrees_with_astra(astra, grid, phantoms):
    geometry = scan_of(grid, ParallelBeam)
    angles, pitch = np.array(geometry.angles_rad), geometry.detector_pitch_mm
    oracle = astra_projector("linear", astra.create_proj_geom("parallel", pitch, geometry.n_detectors, angles), grid)
    A = SparseProjector(geometry, grid)
    x, y = (tensor[0, 0] for tensor in random_pair(A))
    assert phantoms.relative(A(x[None, None])[0, 0], oracle.FP(x.numpy())) < 1e-4
    assert phantoms.relative(A.T(y[None, None])[0, 0], oracle.BP(y.numpy())) < 1e-4


@ASTRA_GRIDS
def test_fan_beam_agrees_with_astra_ray_by_ray(astra, grid, phantoms):
    """ASTRA has Joseph's kernel for parallel beams only: every ray of the fan is given to it as a beam of one."""
    geometry = scan_of(grid, FanBeam)
    x, y, dx, dy = phantoms.rays(geometry)
    one_ray_a_view = np.stack([dx, dy, x, y, dy, -dx], axis=-1).reshape(-1, 6)
    oracle = astra_projector("linear", astra.create_proj_geom("parallel_vec", 1, one_ray_a_view), grid)
    A = SparseProjector(geometry, grid)
    x, y = (tensor[0, 0] for tensor in random_pair(A))
    assert phantoms.relative(A(x[None, None])[0, 0], oracle.FP(x.numpy()).reshape(geometry.shape)) < 1e-4
    assert phantoms.relative(A.T(y[None, None])[0, 0], oracle.BP(y.reshape(-1, 1).numpy())) < 1e-4


def test_fan_beam_has_the_axes_of_astra(astra, phantoms):
    """ASTRA's own fan beam cuts exact lengths through pixels: on a smooth object both kernels come to the same."""
    grid = ImageGrid((256, 256), 1.0)
    geometry = scan_of(grid, FanBeam)
    x, y = np.meshgrid(np.arange(256) - 127.5, 127.5 - np.arange(256))
    smooth = np.exp(-((x - 30) ** 2 + (y + 20) ** 2) / (2 * 30**2)) + np.exp(-((x + 50) ** 2 + y**2) / (2 * 20**2))
    behind = geometry.source_to_detector_mm - geometry.source_to_axis_mm
    beam = astra.create_proj_geom(
        "fanflat",
        geometry.detector_pitch_mm,
        geometry.n_detectors,
        np.array(geometry.angles_rad),
        geometry.source_to_axis_mm,
        behind,
    )
    oracle = astra_projector("line_fanflat", beam, grid)
    assert phantoms.relative(project(smooth, geometry, grid), oracle.FP(smooth.astype(np.float32))) < 1e-3


def test_matrices_are_kept_for_the_next_projector_up_to_a_number_of_bytes(monkeypatch):
    made = []
    monkeypatch.setattr(sparse, "_kept", {})
    monkeypatch.setattr(sparse, "_made_pair", lambda *scan, make=sparse._made_pair: made.append(scan) or make(*scan))
    scans = [ParallelBeam.for_grid(OBLONG, n_views) for n_views in (6, 7, 8)]

    def project(*numbers: int) -> list[int]:
        made.clear()
        for k in numbers:
            SparseProjector(scans[k], OBLONG)
        return [scans.index(geometry) for geometry, _ in made]

    assert project(0, 1, 2, 0, 1) == [0, 1, 2]
    two = sum(sorted(map(sparse._bytes, sparse._kept.values()))[1:])
    monkeypatch.setattr(sparse, "KEPT_BYTES", two)
    assert project(2, 1, 0, 1, 2) == [0, 2]  # making 0 drops 2, then making 2 drops 0: those used last stay
    monkeypatch.setattr(sparse, "KEPT_BYTES", 0)
    assert project(0, 0) == [0, 0]
    assert not sparse._kept
