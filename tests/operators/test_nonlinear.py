"""What every measurement model promises: exact derivatives of any order, and a Jacobian with its adjoint."""

from __future__ import annotations

import pytest
import torch

from ctresample.errors import GeometryError
from ctresample.geometry import ConeBeam, FanBeam, ImageGrid, ParallelBeam, VolumeGrid
from ctresample.operators import (
    LinearOperator,
    MeasurementModel,
    Polychromatic,
    SparseProjector,
    Spectrum,
    Transmission,
    Weighted,
    WeightedModel,
    dot_test,
    weighted,
)

GRIDS = {
    ParallelBeam: ImageGrid((5, 4), 20.0),
    FanBeam: ImageGrid((5, 4), 20.0),
    ConeBeam: VolumeGrid((2, 3, 3), 20.0, 20.0),
}
KINDS = {
    "transmission": lambda A: Transmission(A, 50.0),
    "polychromatic": lambda A: Polychromatic(A, Spectrum.of_tube(step_kev=20)),
    "polychromatic counts": lambda A: Transmission(Polychromatic(A, Spectrum.of_tube(step_kev=20)), 50.0),
    "weighted": lambda A: WeightedModel(Transmission(A, 50.0), torch.tensor(0.3, dtype=A.dtype)),
}
MODELS = pytest.mark.parametrize("kind", KINDS)
BEAMS = pytest.mark.parametrize("beam", list(GRIDS))


def model_of(kind: str, beam: type = ParallelBeam, dtype: torch.dtype = torch.float64) -> MeasurementModel:
    grid = GRIDS[beam]
    return KINDS[kind](SparseProjector(beam.for_grid(grid, 3), grid, dtype=dtype))


def images(model: MeasurementModel, batch: int = 2, seed: int = 0) -> torch.Tensor:
    """From air to dense bone."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand((batch, 1, *model.domain_shape), generator=generator, dtype=torch.float64)
    return (0.06 * x).to(model.dtype)


@BEAMS
@MODELS
def test_first_and_second_derivatives(kind, beam):
    model = model_of(kind, beam)
    x = images(model, 1).requires_grad_()
    assert torch.autograd.gradcheck(model, (x,))
    assert torch.autograd.gradgradcheck(model, (x,))


@MODELS
def test_the_jacobian_is_that_of_autograd(kind):
    model = model_of(kind)
    x, v = images(model), images(model, seed=1)
    J = model.linearised(x)
    values, directional = torch.autograd.functional.jvp(model, x, v)
    assert torch.allclose(J(v), directional, rtol=1e-10, atol=1e-12)
    y = torch.rand(values.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    assert torch.allclose(J.T(y), torch.autograd.functional.vjp(model, x, y)[1], rtol=1e-10, atol=1e-12)


@BEAMS
@MODELS
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)], ids=str)
def test_the_adjoint_of_the_jacobian(kind, beam, dtype, tolerance):
    model = model_of(kind, beam, dtype)
    assert dot_test(model.linearised(images(model))) < tolerance


@BEAMS
@MODELS
def test_the_remainder_falls_quadratically(kind, beam):
    """Taylor: halving the step quarters what the linearised model leaves."""
    model = model_of(kind, beam)
    x, v = images(model), images(model, seed=1) - 0.03
    J, at_x = model.linearised(x), model(x)
    left = [float((model(x + h * v) - at_x - h * J(v)).norm()) for h in (1e-2, 5e-3, 2.5e-3)]
    assert left[0] > 1e-8  # else there would be nothing to test
    for larger, smaller in zip(left, left[1:], strict=False):
        assert larger / smaller == pytest.approx(4, rel=0.05)


@BEAMS
@MODELS
def test_a_batch_is_its_images_alone(kind, beam):
    model = model_of(kind, beam)
    x = images(model, 3)
    v = images(model, 3, seed=1)
    for k in range(3):
        one = slice(k, k + 1)
        assert torch.allclose(model(x)[one], model(x[one]), rtol=1e-12)
        assert torch.allclose(model.linearised(x)(v)[one], model.linearised(x[one])(v[one]), rtol=1e-12)


@MODELS
def test_images_of_another_shape(kind):
    with pytest.raises(GeometryError, match="image has shape"):
        model_of(kind)(torch.zeros(1, 1, 4, 5, dtype=torch.float64))


def test_a_linear_operator_is_the_model_that_is_its_own_jacobian():
    A = SparseProjector(ParallelBeam.for_grid(GRIDS[ParallelBeam], 3), GRIDS[ParallelBeam])
    assert isinstance(A, MeasurementModel)
    assert A.linearised(images(A)) is A


def test_weighting_keeps_a_linear_operator_linear():
    A = SparseProjector(ParallelBeam.for_grid(GRIDS[ParallelBeam], 3), GRIDS[ParallelBeam])
    weights = torch.rand((2, 1, *A.range_shape), generator=torch.Generator().manual_seed(0))
    assert isinstance(weighted(A, weights), Weighted)
    F = Transmission(A, 50.0)
    W = weighted(F, weights)
    assert not isinstance(W, LinearOperator)
    x = images(A)
    assert torch.equal(W(x), weights * F(x))
