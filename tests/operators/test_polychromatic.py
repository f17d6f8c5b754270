"""A polychromatic beam against sums over energies written out here."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ctresample.errors import UsageError
from ctresample.geometry import ImageGrid, ParallelBeam
from ctresample.operators import Polychromatic, SparseProjector, Spectrum
from ctresample.operators.spectrum import BONE, WATER
from ctresample.units import MU_WATER_PER_MM

GRID = ImageGrid((8, 7), 20.0)
A = SparseProjector(ParallelBeam.for_grid(GRID, 4), GRID, dtype=torch.float64)
MODEL = Polychromatic(A)
MU_BONE = MODEL.mu_bone_per_mm


def random_image() -> torch.Tensor:
    return torch.rand((1, 1, *GRID.shape), generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def by_hand(paths, spectrum: Spectrum) -> np.ndarray:
    """Beer and Lambert at each energy, through known lengths in mm of each material."""
    energies = np.array(spectrum.energies_kev)
    exponent = sum(path.numpy()[..., None] * material.mu_per_mm(energies) for material, path in paths)
    return -np.log((np.array(spectrum.weights) * np.exp(-exponent)).sum(-1))


def test_reference_energy():
    assert MODEL.reference_kev == pytest.approx(70, abs=1)
    assert float(WATER.mu_per_mm(MODEL.reference_kev)) == pytest.approx(MU_WATER_PER_MM)
    assert pytest.approx(0.0495, abs=0.001) == MU_BONE


def test_water_of_any_density():
    """In the image a tenth of water's attenuation is a tenth of the water."""
    density = random_image()
    expected = by_hand([(WATER, A(density))], MODEL.spectrum)
    assert np.allclose(MODEL(MU_WATER_PER_MM * density).numpy(), expected, rtol=1e-9)


def test_water_and_bone_in_different_pixels():
    bone = (random_image() > 0.7).double()
    expected = by_hand([(WATER, A(1 - bone)), (BONE, A(bone))], MODEL.spectrum)
    found = MODEL(MU_WATER_PER_MM * (1 - bone) + 1.0 * MU_BONE * bone)
    # the bend at bone is not a corner: pixels of exactly its attenuation count 3 % of it as water
    assert np.allclose(found.numpy(), expected, rtol=0.01)
    assert not np.allclose(
        found.numpy(), by_hand([(WATER, A(1 - bone + bone * MU_BONE / MU_WATER_PER_MM))], MODEL.spectrum), rtol=0.05
    )


def test_dense_bone_is_bone():
    density = 1.1 + random_image()
    assert np.allclose(MODEL(MU_BONE * density).numpy(), by_hand([(BONE, A(density))], MODEL.spectrum), rtol=1e-9)


def test_one_energy_is_a_projector_at_that_energy():
    x = 3 * MU_BONE * random_image()
    at_reference = Polychromatic(A, Spectrum((MODEL.reference_kev,), (1.0,)))
    assert torch.allclose(at_reference(x), A(x), rtol=1e-10)
    x = MU_WATER_PER_MM * random_image()
    at_40 = Polychromatic(A, Spectrum((40.0,), (1.0,)))
    assert torch.allclose(at_40(x), A(x) * 0.02683 / MU_WATER_PER_MM, rtol=1e-4)


def test_energies_of_no_weight_do_not_matter():
    x = 3 * MU_BONE * random_image()
    with_zero = Polychromatic(A, Spectrum((30.0, 60.0, 90.0), (1.0, 0.0, 1.0)))
    without = Polychromatic(A, Spectrum((30.0, 90.0), (1.0, 1.0)))
    assert torch.allclose(with_zero(x), without(x))
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(with_zero(x).sum(), x)
    assert torch.isfinite(gradient).all()


def test_the_beam_hardens():
    """The more there is in its way already, the less another mm of water attenuates."""
    x = MU_WATER_PER_MM * torch.ones((1, 1, *GRID.shape), dtype=torch.float64)
    ray = (0, 0, 0, A.range_shape[1] // 2)
    values = [float(MODEL(k * x)[ray]) for k in range(4)]
    steps = np.diff(values)
    assert values[0] == pytest.approx(0, abs=1e-12)
    assert (np.diff(steps) < -0.01 * steps[0]).all()


def test_two_projections_whatever_the_number_of_energies(monkeypatch):
    calls = []
    project, back_project = A.project, A.back_project
    monkeypatch.setattr(A, "project", lambda x: calls.append("A") or project(x))
    monkeypatch.setattr(A, "back_project", lambda y: calls.append("A^T") or back_project(y))
    model = Polychromatic(A, Spectrum.of_tube(step_kev=1))
    assert len(model.spectrum.energies_kev) == 100
    x = MU_BONE * random_image()
    y = model(x)
    assert calls == ["A", "A"]
    J = model.linearised(x)
    assert calls == ["A"] * 4
    J(x), J.T(y)
    assert calls[4:] == ["A", "A", "A^T", "A^T"]


# ---------------------------------------------------------------- water and bone


@given(st.floats(-0.1, 0.3))
def test_bone_is_at_most_what_is_there(x):
    bone = float(MODEL.bone(torch.tensor(x, dtype=torch.float64)))
    assert -1e-15 <= bone <= max(x, 0) + 1e-15
    if x <= MU_WATER_PER_MM:
        assert bone == pytest.approx(0, abs=1e-15)
    if x >= 1.1 * MU_BONE:
        assert bone == pytest.approx(x)


@given(st.floats(0.1, 0.9))
def test_mixtures_by_volume(share):
    """Between soft tissue at 100 HU and bone, by the share of each."""
    x = (1 - share) * 1.1 * MU_WATER_PER_MM + share * MU_BONE
    assert float(MODEL.bone(torch.tensor(x, dtype=torch.float64))) == pytest.approx(share * MU_BONE)


@given(st.floats(-0.1, 0.3), st.floats(0, 0.1))
def test_more_attenuation_is_no_less_bone(x, more):
    less, most = (float(MODEL.bone(torch.tensor(v, dtype=torch.float64))) for v in (x, x + more))
    assert less <= most + 1e-15


def test_water_in_other_units():
    with pytest.raises(UsageError, match="attenuation of water is 0.192 1/mm"):
        Polychromatic(A, mu_water_per_mm=0.192)
