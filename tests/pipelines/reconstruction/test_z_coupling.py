"""Neighbouring slices that help each other: what they gain, where they must not, and that slabs leave no seam."""

from __future__ import annotations

import weakref
from dataclasses import replace

import numpy as np
import pytest

from ctresample.errors import UsageError
from ctresample.geometry import ImageGrid, ParallelBeam
from ctresample.operators import make_projector
from ctresample.operators.choice import MATRIX_BUDGET_BYTES
from ctresample.pipelines.reconstruction import parts, solve_parts
from ctresample.pipelines.reconstruction.maps import residual_map
from ctresample.pipelines.reconstruction.methods import METHODS
from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.pipelines.reconstruction.z_coupling import coupling_of
from ctresample.pipelines.scan.simulate import simulate
from ctresample.sinogram import Sinogram
from ctresample.solvers.resample import PRESETS
from ctresample.units import AIR_HU
from ctresample.volume import Volume

N = 6


@pytest.fixture(scope="module")
def volume(phantoms) -> Volume:
    """A head whose bone drifts slowly from slice to slice, 2 mm apart."""
    grid = ImageGrid((32, 32), 6.0)
    slices = [
        phantoms.image(grid, [phantoms.disk(1000.0, (k - 4.0, 0.0), 70.0), phantoms.disk(500.0, (20.0, 2.0 * k), 15.0)])
        for k in range(N)
    ]
    return Volume((np.stack(slices) + AIR_HU).astype(np.float32), np.diag([6.0, 6.0, 2.0, 1.0]))


@pytest.fixture(scope="module")
def staggered(volume) -> Sinogram:
    return simulate(volume, n_views=8, size=32, photons=1e5, stagger=4)


def rmse_hu(found, volume: Volume) -> float:
    return float(np.sqrt(np.mean((found.image_hu - volume.hu) ** 2)))


@pytest.mark.parametrize(("method", "share"), [("tv", 0.85), ("wls", 0.7)])
def test_neighbours_with_other_angles_fill_what_a_slice_lacks(method, share, volume, staggered):
    coupled, alone = (reconstruct(staggered, method=method, z_coupling=z) for z in ("auto", "none"))
    assert rmse_hu(coupled, volume) < share * rmse_hu(alone, volume)
    assert coupled.z_coupling == {"strength": 1.0, "why": "slices are 2 mm apart"}
    assert coupled.settings["z_coupling"] == 1.0
    assert alone.z_coupling["strength"] == 0
    assert "z_coupling" not in alone.settings


@pytest.mark.parametrize("method", ["resample", "pnp"])
def test_solvers_with_a_prior_couple(method, staggered, toy_prior):
    """Their result is another one, fits the data, and knows of the stack; the gain is the benchmark's to measure."""
    settings = (
        replace(PRESETS["fast"], n_steps=2, final_iterations=40)
        if method == "resample"
        else replace(METHODS["pnp"].load_settings(), n_steps=2)
    )
    prior = toy_prior.random_prior()
    shared = {"method": method, "settings": settings, "prior": prior}
    coupled, alone = (reconstruct(staggered, **shared, z_coupling=z) for z in ("auto", "none"))
    assert coupled.z_coupling["strength"] == 1
    assert np.isfinite(coupled.image_hu).all()
    assert np.abs(coupled.image_hu - alone.image_hu).max() > 1
    if method == "resample":  # networks that see fewer at a time
        few = reconstruct(staggered, **shared, batch_size=3)
        assert np.sqrt(np.mean((few.image_hu - coupled.image_hu) ** 2)) < 1


def test_with_the_same_angles_sampling_couples_only_when_asked_to(volume, staggered):
    same = simulate(volume, n_views=8, size=32)
    assert coupling_of("auto", METHODS["resample"], staggered).strength == 1
    assert coupling_of("auto", METHODS["tv"], same).strength == 1
    assert coupling_of("1", METHODS["resample"], same).strength == 1
    found = coupling_of("auto", METHODS["resample"], same)
    assert found.strength == 0
    assert "seen from the same angles" in found.why
    thin = simulate(Volume(volume.hu, np.diag([6.0, 6.0, 1.0, 1.0])), n_views=8, size=32)
    assert coupling_of("auto", METHODS["resample"], thin).strength == 1


@pytest.mark.slow
def test_slabs_leave_no_seam(monkeypatch, volume):
    """Less than 1 HU in any pixel."""
    hu = np.concatenate([volume.hu, volume.hu[::-1]] * 4)[:37]
    scan = simulate(Volume(hu, np.diag([6.0, 6.0, 4.0, 1.0])), n_views=8, size=32, photons=1e5, stagger=4)
    whole = reconstruct(scan, method="tv")
    monkeypatch.setattr(parts, "SLAB_BATCHES", 1)
    divided = reconstruct(scan, method="tv", batch_size=12)
    assert len(list(parts.parts_of(scan, coupling_of("auto", METHODS["tv"], scan), lambda g: _Nothing(), 12))) == 4
    assert 0 < np.abs(whole.image_hu - divided.image_hu).max() < 1


class _Nothing:
    """What is asked of a projector by those who only count parts."""

    class grid:  # noqa: N801
        is_volume = False

    range_shape = domain_shape = (1, 1)
    device = dtype = None
    exact_adjoint = True


@pytest.mark.parametrize("asked", ["auto", "none"])
def test_matrices_of_angles_that_do_not_come_again_are_let_go(asked, volume, monkeypatch):
    """Or a volume whose slices are all seen from other angles would hold one for each of them."""
    monkeypatch.setattr(parts, "SLAB_BATCHES", 1)
    monkeypatch.setattr(parts, "HALO_MM", 2.0)
    monkeypatch.setattr(parts, "LEAST_HALO", 1)
    hu = np.concatenate([volume.hu] * 4)
    scan = Sinogram(
        np.zeros((len(hu), 4, 8)),
        ParallelBeam((0.0, 0.5, 1.0, 1.5), 8, 30.0),
        ImageGrid((32, 32), 6.0),
        volume.affine,
        angle_shifts_rad=tuple(np.arange(len(hu)) / 100),
    )
    there, most = weakref.WeakSet(), 0

    def make(geometry):
        nonlocal most
        there.add(made := _Nothing())
        most = max(most, len(there))
        return made

    coupling = coupling_of(asked, METHODS["tv"], scan)
    solved = [k for part in parts.parts_of(scan, coupling, make, 4) for k in part.slices[part.kept]]
    assert solved == list(range(len(hu)))
    assert most <= 2 * max(1, parts.largest_slab(coupling, 4))  # of one part, while the next one is made


@pytest.mark.parametrize(("asked", "sets"), [("auto", 4), ("none", 1)])
def test_matrices_of_a_slab_share_what_one_may_take(asked, sets, staggered, monkeypatch):
    budgets = set()

    def watched(*args, memory_budget_bytes, **options):
        budgets.add(memory_budget_bytes)
        return make_projector(*args, memory_budget_bytes=memory_budget_bytes, **options)

    monkeypatch.setattr(solve_parts, "make_projector", watched)
    reconstruct(staggered, method="wls", z_coupling=asked)
    assert budgets == {MATRIX_BUDGET_BYTES // sets}


def test_single_slices_are_as_before(staggered):
    one = staggered.part([2])
    assert one.angle_shifts_rad is None
    for method in ("tv", "wls"):
        found = reconstruct(one, method=method)
        assert found.z_coupling == {"strength": 0.0, "why": "there is one slice, which has no neighbours"}
        np.testing.assert_array_equal(found.image_hu, reconstruct(one, method=method, z_coupling="none").image_hu)


def test_slices_of_equal_angles_are_reconstructed_as_by_themselves(staggered):
    """Each in its own place, whatever order they are taken in."""
    whole = reconstruct(staggered, method="fbp")
    for k in (0, 3, 5):
        np.testing.assert_allclose(
            reconstruct(staggered.part([k]), method="fbp").image_hu[0], whole.image_hu[k], atol=0.01
        )
    some = residual_map(staggered, whole.image_hu)
    alone = residual_map(staggered.part([5]), whole.image_hu[5:6])
    np.testing.assert_allclose(some[5], alone[0], atol=0.01)


def test_nothing_is_coupled_over_a_gap(volume):
    """Slices on either side of a missing one are what they are without the other side."""
    offsets = tuple(float(2 * k) for k in range(N + 1) if k != 3)
    gap = simulate(replace(volume, slice_offsets_mm=offsets), n_views=8, size=32, photons=1e5)
    whole = reconstruct(gap, method="tv")
    said = "slices are 2 mm apart, but for 1 step, over which nothing is coupled"
    assert whole.z_coupling == {"strength": 1.0, "why": said}
    for side in (range(3), range(3, N)):
        np.testing.assert_array_equal(whole.image_hu[list(side)], reconstruct(gap.part(side), method="tv").image_hu)


def test_an_uneven_step_stands_by_itself(volume, staggered):
    method, offsets = METHODS["tv"], (0.0, 2.0, 5.0, 7.0, 11.0, 15.0)
    uneven = replace(staggered, slice_offsets_mm=offsets)
    assert coupling_of("auto", method, uneven).runs == ((0, 2), (2, 4), (4, 5), (5, 6))


def test_thick_slices_are_left_alone_unless_asked(staggered):
    thick = replace(staggered, affine=np.diag([6.0, 6.0, 5.0, 1.0]))
    coupling = coupling_of("auto", METHODS["tv"], thick)
    assert (coupling.strength, coupling.why) == (0.0, "slices are 5 mm apart, too far to help each other")
    assert coupling_of(1, METHODS["tv"], thick).strength == 1
    assert coupling_of("0.5", METHODS["tv"], thick).correlation == pytest.approx(np.exp(-5 / 12.5))


@pytest.mark.parametrize(
    ("change", "asked", "method", "message"),
    [
        ({}, "weak", "tv", "z_coupling is 'weak'; expected auto, none, or a strength up to 100"),
        ({}, -1, "tv", "z_coupling is -1; expected auto"),
        ({}, float("nan"), "tv", "z_coupling is nan; expected auto"),
        ({}, 1, "fbp", "method fbp knows no neighbours .*use auto or none"),
        ({"slice_offsets_mm": tuple(np.cumsum(range(N)) * 1.5)}, 1, "tv", "no two slices are neighbours"),
    ],
)
def test_what_cannot_be_coupled(staggered, change, asked, method, message):
    with pytest.raises(UsageError, match=message):
        reconstruct(replace(staggered, **change), method=method, z_coupling=asked)


def test_one_slice_cannot_be_asked_to_couple(staggered):
    with pytest.raises(UsageError, match="z_coupling is 1, but there is one slice.*use auto or none"):
        reconstruct(staggered.part([0]), method="tv", z_coupling=1)
