"""The proximal step in measurement space against dense linear algebra and against the one in pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctresample.consistency import dual_proximal_step, gauss_newton, proximal_step
from ctresample.geometry import ConeBeam, FanBeam, ImageGrid, ParallelBeam, VolumeGrid
from ctresample.operators import ConeProjector, LinearOperator, SparseProjector, StreamedProjector, Weighted

BEAMS = pytest.mark.parametrize("beam", [ParallelBeam, FanBeam])
SPREAD = 5e-3
"""About 250 HU, in 1/mm."""


def whitened_problem(
    beam: type = ParallelBeam, *, batch: int = 1, size: int = 8, n_views: int = 5, dtype=torch.float64
):
    """Of a disc of tissue in 350 mm: rays through its middle have a thousand times the variance of others."""
    grid = ImageGrid((size, size), 350 / size)
    A = SparseProjector(beam.for_grid(grid, n_views), grid, dtype=dtype)
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    axis = torch.linspace(-1, 1, size, dtype=dtype)
    truth = 0.02 * (axis[:, None] ** 2 + axis**2 < 0.8) * (1 + 0.05 * normal(batch, 1, size, size))
    integrals = A(truth)
    W = Weighted(A, (1e5 * torch.exp(-integrals)).sqrt())
    return W, W(truth) + normal(batch, 1, *A.range_shape), truth + SPREAD * normal(batch, 1, size, size)


def exact_step(x0: torch.Tensor, y: torch.Tensor, W: LinearOperator, spread: float, phantoms) -> np.ndarray:
    M = phantoms.matrix_of(W)
    H = M.T @ M + np.eye(M.shape[1]) / spread**2
    right = y.flatten(1).numpy() @ M + x0.flatten(1).numpy() / spread**2
    return np.linalg.solve(H, right.T).T


@BEAMS
@pytest.mark.parametrize("spread", [1e-4, 1e-2, 0.1])
def test_solves_the_normal_equations(beam, spread, phantoms):
    W, y, x0 = whitened_problem(beam)
    found = dual_proximal_step(x0, y, W, spread=spread, n_iterations=300)
    assert phantoms.relative(found.flatten(1), exact_step(x0, y, W, spread, phantoms)) < 1e-7


def test_each_slice_has_weights_and_a_spread_of_its_own(phantoms):
    W, y, x0 = whitened_problem(batch=2)
    spreads = torch.tensor([1e-3, 1e-1], dtype=torch.float64)
    together = dual_proximal_step(x0, y, W, spread=spreads.view(2, 1, 1, 1), n_iterations=200)
    for k, spread in enumerate(spreads.tolist()):
        one = Weighted(W.operator, W.weights[k : k + 1])
        alone = dual_proximal_step(x0[k : k + 1], y[k : k + 1], one, spread=spread, n_iterations=200)
        assert phantoms.relative(together[k], alone[0]) < 1e-8


@BEAMS
def test_five_iterations_come_nearer_than_fifteen_in_pixels(beam, phantoms):
    W, y, x0 = whitened_problem(beam, size=48, n_views=10)
    exact = dual_proximal_step(x0, y, W, spread=SPREAD, n_iterations=400) - x0
    by_rays = dual_proximal_step(x0, y, W, spread=SPREAD, n_iterations=5) - x0
    by_pixels = proximal_step(x0, y, W, spread=SPREAD, n_iterations=15) - x0
    assert phantoms.relative(by_rays, exact) < phantoms.relative(by_pixels, exact)


def test_leaves_alone_what_the_data_do_not_see(phantoms):
    W, y, x0 = whitened_problem()
    moved = dual_proximal_step(x0, y, W, spread=SPREAD, n_iterations=30) - x0
    _, values, rows = np.linalg.svd(phantoms.matrix_of(W))
    unseen = rows[int((values > 1e-10 * values[0]).sum()) :]
    assert len(unseen) > 5
    assert moved.abs().max() > 1e-4
    assert moved.flatten(1).numpy() @ unseen.T == pytest.approx(0, abs=1e-12)


def test_a_perfect_start_stays_and_iterations_beyond_need_do_no_harm(phantoms):
    W, y, x0 = whitened_problem(dtype=torch.float32)
    assert torch.equal(dual_proximal_step(x0, W(x0), W, spread=SPREAD, n_iterations=300), x0)
    exact = torch.from_numpy(exact_step(x0.double(), y.double(), W, SPREAD, phantoms))
    for n_iterations in (100, 1000):
        found = dual_proximal_step(x0, y, W, spread=SPREAD, n_iterations=n_iterations)
        assert phantoms.relative(found.flatten(1), exact) < 5e-3


@pytest.mark.parametrize("dose", [1.0, 1e4, 1e18])
def test_in_single_precision_the_noise_may_be_as_small_as_it_likes(dose, phantoms):
    """The step and its gradients: weights are up to 1e20, whose squares are too much for float32."""
    found = []
    for dtype in (torch.float32, torch.float64):
        W, y, x0 = whitened_problem(size=24, n_views=10, dtype=dtype)
        W = Weighted(W.operator, dose * W.weights)
        x0, y = x0.requires_grad_(), (dose * y).requires_grad_()
        x = dual_proximal_step(x0, y, W, spread=0.01, n_iterations=5)
        of_x0, of_y = torch.autograd.grad(x.square().sum(), (x0, y))
        found.append((x.detach() - x0.detach(), of_x0, dose * of_y))
    for single, double in zip(*found, strict=True):
        assert phantoms.relative(single, double) < 1e-2


def test_gradients():
    W, y, x0 = whitened_problem(size=4, n_views=3)

    def step(x0: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return dual_proximal_step(x0, y, W, spread=SPREAD, n_iterations=3)

    assert torch.autograd.gradcheck(step, (x0.requires_grad_(), y.requires_grad_()), eps=1e-7, atol=1e-4)


def test_gauss_newton_may_take_its_steps_by_it(phantoms):
    W, y, x0 = whitened_problem()
    options = {"spread": SPREAD, "n_iterations": 1, "cg_iterations": 200}
    by_pixels = gauss_newton(x0, y, W, **options)
    by_rays = gauss_newton(x0, y, W, **options, proximal_step=dual_proximal_step)
    assert phantoms.relative(by_rays, by_pixels) < 1e-8
    assert not torch.equal(by_rays, by_pixels)


# ---------------------------------------------------------------- row norms


def projectors() -> dict[str, tuple[LinearOperator, SparseProjector, float]]:
    """An operator, the stored matrix with the same weights, and how far its row norms may be off."""
    slices, volume = ImageGrid((24, 18), 2.0), VolumeGrid((5, 8, 8), 2.0, 3.0)
    parallel, fan = ParallelBeam.for_grid(slices, 6), FanBeam.for_grid(slices, 6)
    cone = ConeBeam.for_grid(volume, 5)
    return {
        "sparse": (SparseProjector(parallel, slices), SparseProjector(parallel, slices), 1e-5),
        "streamed": (StreamedProjector(parallel, slices), SparseProjector(parallel, slices), 0.19),
        "fan": (StreamedProjector(fan, slices), SparseProjector(fan, slices), 0.45),
        "cone": (ConeProjector(cone, volume), SparseProjector(cone, volume), 0.34),
        "foreign": (Foreign(SparseProjector(fan, slices)), SparseProjector(fan, slices), 0.6),
    }


class Foreign(LinearOperator):
    """Of which nothing is known but what it does."""

    def __init__(self, operator: LinearOperator) -> None:
        self._operator = operator
        self.domain_shape, self.range_shape = operator.domain_shape, operator.range_shape
        self.device, self.dtype = operator.device, operator.dtype

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._operator.forward(x)

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        return self._operator.adjoint(y)


@pytest.mark.parametrize("name", ["sparse", "streamed", "fan", "cone", "foreign"])
def test_row_norms_are_those_of_the_matrix(name, phantoms):
    A, stored, tolerance = projectors()[name]
    weights = -torch.linspace(0.5, 2.0, A.range_shape[-1])
    expected = np.linalg.norm(phantoms.matrix_of(3.0 * Weighted(stored, weights)), axis=1).reshape(A.range_shape)
    found = (3.0 * Weighted(A, weights)).row_norms
    assert found.shape == (1, 1, *A.range_shape)
    seen = expected > 0.5 * expected.mean()  # a ray through the corner of one pixel counts for nothing
    assert (np.abs(found[0, 0].numpy() / np.where(seen, expected, 1) - 1)[seen] < tolerance).all()
    assert found[0, 0].numpy()[expected == 0] == pytest.approx(0)
