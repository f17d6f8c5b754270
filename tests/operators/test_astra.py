"""ASTRA's dictionaries and projectors: the same scans as ours, there and back."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctresample.errors import DeviceError, GeometryError, UsageError
from ctresample.geometry import ConeBeam, FanBeam, HelicalBeam, ImageGrid, ParallelBeam, VolumeGrid
from ctresample.operators import AstraProjector, SparseProjector, StreamedProjector, dot_test, from_astra, to_astra

SLICE = ImageGrid((40, 56), 0.7, centre_mm=(3.0, -2.0))
BLOCK = VolumeGrid((4, 8, 9), 2.0, 3.0, centre_mm=(1.0, -2.0, 4.0))
ANGLES = st.lists(st.floats(-3, 3), min_size=1, max_size=4, unique=True).map(tuple)
OFFSET = st.floats(-5, 5)


@pytest.fixture
def astra():
    """The module; it has no wheels for some platforms that everything else runs on."""
    module = pytest.importorskip("astra")
    yield module
    module.clear()


@st.composite
def scans(draw):
    angles, offset, kind = draw(ANGLES), draw(OFFSET), draw(st.sampled_from(["parallel", "flat", "curved", "cone"]))
    if kind == "parallel":
        return ParallelBeam(angles, 9, draw(st.floats(0.1, 3)), offset), SLICE
    fan = FanBeam(
        angles, 9, draw(st.floats(0.5, 3)), offset,
        source_to_axis_mm=100.0, source_to_detector_mm=draw(st.floats(100, 300)),
        # a curved fan is the same for any central ray; it comes back with the one through the axis
        axis_offset_mm=0.0 if kind == "curved" else draw(OFFSET),
        detector_shape="curved" if kind == "curved" else "flat",
    )  # fmt: skip
    if kind != "cone":
        return fan, SLICE
    shared = ("angles_rad", "n_detectors", "detector_pitch_mm", "detector_offset_mm")
    distances = ("source_to_axis_mm", "source_to_detector_mm", "axis_offset_mm")
    rows = {"n_detector_rows": 3, "detector_row_pitch_mm": 1.5, "detector_row_offset_mm": draw(OFFSET)}
    return ConeBeam(**{name: getattr(fan, name) for name in shared + distances}, **rows), BLOCK


@given(scan=scans(), unit_mm=st.sampled_from([1.0, 0.1, 10.0]))
@settings(max_examples=60)
def test_there_and_back(scan, unit_mm):
    geometry, grid = scan
    made, volume = to_astra(geometry, grid)
    found, found_grid = from_astra(made, volume)
    assert found_grid.shape == grid.shape
    for ours, theirs in zip(grid.axes_mm, found_grid.axes_mm, strict=True):
        assert theirs == pytest.approx(ours)
    for view in range(geometry.n_views):
        for ours, theirs in zip(geometry.rays(view), found.rays(view), strict=True):
            assert theirs == pytest.approx(ours, abs=1e-6)
    # in a unit of unit_mm millimetres every length reads as many times smaller
    scaled, _ = from_astra(made, volume, unit_mm=unit_mm)
    assert scaled.detector_pitch_mm == pytest.approx(geometry.detector_pitch_mm * unit_mm)


def test_plain_dictionaries(astra):
    angles = np.linspace(0, 2, 5)
    volume = astra.create_vol_geom(40, 56, -28 * 0.7, 28 * 0.7, -20 * 0.7, 20 * 0.7)
    geometry, grid = from_astra(astra.create_proj_geom("parallel", 0.8, 70, angles), volume)
    assert geometry == ParallelBeam(tuple(angles), 70, 0.8)
    assert grid.shape == (40, 56)
    assert (grid.pixel_size_mm, grid.aspect, grid.centre_mm) == (pytest.approx(0.7), pytest.approx(1), (0, 0))
    fan, _ = from_astra(astra.create_proj_geom("fanflat", 0.8, 70, angles, 100.0, 50.0), volume)
    assert fan == FanBeam(tuple(angles), 70, 0.8, source_to_axis_mm=100.0, source_to_detector_mm=150.0)
    volume = astra.create_vol_geom(8, 9, 4)
    cone, block = from_astra(astra.create_proj_geom("cone", 0.8, 0.9, 6, 12, angles, 100.0, 50.0), volume, unit_mm=2.0)
    assert cone == ConeBeam(
        tuple(angles), 12, 1.6, source_to_axis_mm=200.0, source_to_detector_mm=300.0,
        n_detector_rows=6, detector_row_pitch_mm=1.8,
    )  # fmt: skip
    assert block == VolumeGrid((4, 8, 9), 2.0, 2.0)
    for plain in ("parallel", "fanflat"):
        extra = (100.0, 50.0) if plain == "fanflat" else ()
        scan = astra.create_proj_geom(plain, 0.8, 70, angles, *extra)
        assert np.allclose(
            to_astra(*from_astra(scan, astra.create_vol_geom(8, 9)))[0]["Vectors"], astra.geom_2vec(scan)["Vectors"]
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"type": "sparse_matrix"}, "type is 'sparse_matrix'"),
        ({"type": "parallel_vec", "Vectors": np.zeros((3, 5))}, r"shape \(3, 5\)"),
        ({"DetectorCount": None}, "'DetectorCount' is missing"),
    ],
)
def test_refused(change, message):
    scan = {"type": "parallel", "DetectorCount": 8, "DetectorWidth": 1.0, "ProjectionAngles": np.zeros(3)} | change
    scan = {key: value for key, value in scan.items() if value is not None}
    with pytest.raises(GeometryError, match=message):
        from_astra(scan, {"GridRowCount": 4, "GridColCount": 4})


def test_a_source_that_leaves_the_circle():
    made, volume = to_astra(FanBeam.for_grid(SLICE, 8, 100.0, 180.0), SLICE)
    made["Vectors"][5, :2] *= 1.01
    with pytest.raises(GeometryError, match="view 5 .1 of 8. is not on one circle"):
        from_astra(made, volume)


@pytest.mark.parametrize("offset", [0.0, 1.3])
def test_parallel_on_the_cpu(astra, offset, phantoms):
    geometry = replace(ParallelBeam.for_grid(SLICE, 12), detector_offset_mm=offset)
    ours, theirs = SparseProjector(geometry, SLICE), AstraProjector(geometry, SLICE, device="cpu")
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.rand((3, 1, *shape), generator=generator) for shape in (ours.domain_shape, ours.range_shape))
    assert phantoms.relative(theirs(x), ours(x)) < 1e-4
    assert phantoms.relative(theirs.T(y), ours.T(y)) < 1e-4
    assert theirs.exact_adjoint
    assert dot_test(theirs) < 1e-6


def test_fan_on_the_cpu(astra, phantoms):
    """ASTRA's fan cuts exact lengths through pixels: on a smooth object both kernels come to the same."""
    grid = ImageGrid((200, 220), 1.0, centre_mm=(6.0, -4.0))
    geometry = replace(FanBeam.for_grid(grid, 12), detector_offset_mm=2.0, axis_offset_mm=-3.0)
    x, y = np.meshgrid(grid.x_mm, grid.y_mm)
    smooth = phantoms.as_batch(np.exp(-((x - 30) ** 2 + (y + 20) ** 2) / (2 * 30**2)))
    theirs = AstraProjector(geometry, grid, device="cpu")
    assert phantoms.relative(theirs(smooth), SparseProjector(geometry, grid)(smooth)) < 2e-3
    assert dot_test(theirs) < 1e-6


def test_gradient_is_the_back_projection(astra):
    geometry = ParallelBeam.for_grid(SLICE, 6)
    A = AstraProjector(geometry, SLICE, device="cpu")
    x = torch.rand((2, 1, *A.domain_shape), generator=torch.Generator().manual_seed(0)).requires_grad_()
    y = torch.rand((2, 1, *A.range_shape), generator=torch.Generator().manual_seed(1))
    ((A(x) - y).square().sum() / 2).backward()
    assert torch.equal(x.grad, A.T(A(x) - y).detach())


def test_a_helix_is_a_cylinder_of_each_view():
    """ASTRA's ``cyl_cone_vec``: source, middle of the detector, steps along columns and rows, and its radius."""
    scan = HelicalBeam(
        (0.3, 2.1, -1.7),
        7,
        4.0,
        1.5,
        source_to_axis_mm=60.0,
        source_to_detector_mm=100.0,
        centre_z_mm=(-2.0, 0.5, 3.0),
        n_detector_rows=3,
        detector_row_pitch_mm=2.0,
        detector_row_offset_mm=0.7,
        spot_angle_rad=(0.0, 0.01, 0.0),
        spot_radial_mm=(0.0, 2.0, 5.0),
        spot_z_mm=(0.0, -0.6, 0.4),
    )
    made, volume = to_astra(scan, BLOCK)
    assert (made["type"], made["DetectorRowCount"], made["DetectorColCount"]) == ("cyl_cone_vec", 3, 7)
    assert (volume["GridSliceCount"], volume["option"]["WindowMaxZ"]) == (4, 10.0)
    bins, rows = np.arange(7)[None, :, None] - 3, np.arange(3)[:, None, None] - 1
    for view, vector in enumerate(made["Vectors"]):
        source, middle, u, v, radius = *vector[:12].reshape(4, 3), vector[12]
        ahead = np.cross(v, u) / np.linalg.norm(np.cross(v, u))
        ahead *= np.sign(ahead @ (middle - source))
        turned = bins * np.linalg.norm(u) / radius
        place = middle + radius * (np.sin(turned) * u / np.linalg.norm(u) + (np.cos(turned) - 1) * ahead) + rows * v
        direction = (place - source) / np.linalg.norm(place - source, axis=-1, keepdims=True)
        points, ours = scan.rays(view)
        np.testing.assert_allclose(points[0, 0], source, atol=1e-9)
        np.testing.assert_allclose(ours, direction, atol=1e-9)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_there_is_a_line_not_a_crash(astra):
    for geometry, grid in ((ParallelBeam.for_grid(SLICE, 4), SLICE), (ConeBeam.for_grid(BLOCK, 4), BLOCK)):
        with pytest.raises(DeviceError, match="no CUDA device"):
            AstraProjector(geometry, grid)
    with pytest.raises(GeometryError, match="cone beams on CUDA only"):
        AstraProjector(ConeBeam.for_grid(BLOCK, 4), BLOCK, device="cpu")


def test_what_astra_would_get_wrong_is_refused(astra):
    with pytest.raises(GeometryError, match="curved fan"):
        AstraProjector(FanBeam.for_grid(SLICE, 4, detector_shape="curved"), SLICE, device="cpu")
    oblong = replace(SLICE, aspect=1.2)
    with pytest.raises(GeometryError, match="not square"):
        AstraProjector(ParallelBeam.for_grid(oblong, 4), oblong, device="cpu")
    A = AstraProjector(ParallelBeam.for_grid(SLICE, 4), SLICE, device="cpu")
    with pytest.raises(UsageError, match=r"takes torch.float32"):
        A(torch.zeros((1, 1, *A.domain_shape), dtype=torch.float64))


CUDA_GRID = ImageGrid((96, 112), 1.0, centre_mm=(3.0, -2.0))
CUDA_BLOCK = VolumeGrid((20, 48, 56), 2.0, 2.0, centre_mm=(3.0, -2.0, 1.0))


@pytest.mark.cuda
@pytest.mark.parametrize(
    ("geometry", "grid"),
    [
        (replace(ParallelBeam.for_grid(CUDA_GRID, 24), detector_offset_mm=1.5), CUDA_GRID),
        (replace(FanBeam.for_grid(CUDA_GRID, 24), detector_offset_mm=2.0, axis_offset_mm=-3.0), CUDA_GRID),
        (replace(ConeBeam.for_grid(CUDA_BLOCK, 12), detector_row_offset_mm=2.0, axis_offset_mm=1.0), CUDA_BLOCK),
    ],
    ids=["parallel", "fan", "cone"],
)
def test_cuda_sees_what_the_cpu_sees(astra, geometry, grid, phantoms):
    """Within what ASTRA's textures (8 bits of a pixel) and its unmatched pair allow."""
    geometry = geometry.with_angles(tuple(angle + 0.1 for angle in geometry.angles_rad))
    ours, theirs = StreamedProjector(geometry, grid), AstraProjector(geometry, grid)
    *_, y, x = np.meshgrid(*grid.axes_mm, indexing="ij")
    smooth = np.exp(-((x - 12) ** 2 + (y + 8) ** 2) / (2 * 9**2)) * (x < 10_000)
    image = torch.tensor(smooth, dtype=torch.float32)[None, None].repeat(2, *[1] * (smooth.ndim + 1))
    assert phantoms.relative(theirs(image.cuda()).cpu(), ours(image)) < 5e-3
    sinogram = ours(image)
    assert phantoms.relative(theirs.T(sinogram.cuda()).cpu(), ours.T(sinogram)) < 5e-2
    assert not theirs.exact_adjoint
    assert dot_test(theirs) < 0.1
    assert math.isfinite(theirs.norm(5))
