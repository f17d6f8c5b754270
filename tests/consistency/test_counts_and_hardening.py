"""What the right model is worth: cupping and dark bands gone, no bias where hardly a photon arrives.

Data are never made with the model that reconstructs: the polychromatic ones from exact line integrals and a spectrum
five times as fine, the counts on a grid twice as fine.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctresample.consistency import gauss_newton, linearised_problem, proximal_step
from ctresample.geometry import ImageGrid, ParallelBeam
from ctresample.noise import line_integral_variance
from ctresample.operators import Polychromatic, SparseProjector, Spectrum, Transmission, Weighted, weighted
from ctresample.operators.spectrum import BONE, WATER
from ctresample.solvers.fbp import fbp
from ctresample.solvers.tv import tv
from ctresample.units import MU_WATER_PER_MM

# ---------------------------------------------------------------- beam hardening

GRID = ImageGrid((64, 64), 4.0)
SCAN = ParallelBeam.for_grid(GRID, 60)
A = SparseProjector(SCAN, GRID)
F = Polychromatic(A)
SIGMA = torch.tensor(0.005)
SPREAD = 0.2 * MU_WATER_PER_MM


def polychromatic(water_mm: np.ndarray, bone_mm: np.ndarray) -> torch.Tensor:
    """What 120 kV measure through known lengths of water and bone."""
    spectrum = Spectrum.of_tube(step_kev=1)
    energies = np.array(spectrum.energies_kev)
    exponent = water_mm[..., None] * WATER.mu_per_mm(energies) + bone_mm[..., None] * BONE.mu_per_mm(energies)
    return torch.tensor(-np.log((np.array(spectrum.weights) * np.exp(-exponent)).sum(-1))).float()[None, None]


def reconstructed(y: torch.Tensor) -> torch.Tensor:
    start = fbp(y, SCAN, GRID, window="hann").clamp_min(0)
    model = weighted(F, 1 / SIGMA)
    return gauss_newton(start, y / SIGMA, model, spread=SPREAD, n_iterations=3, cg_iterations=30)


def mean_hu(x: torch.Tensor, where: np.ndarray) -> float:
    return 1000 * (float(x[0, 0][torch.from_numpy(where)].mean()) / MU_WATER_PER_MM - 1)


def test_cupping_of_a_water_cylinder(phantoms):
    """20 cm of water: 24 HU deep in filtered back projection, under 2 HU with the polychromatic model."""
    length = phantoms.line_integrals(SCAN, [phantoms.disk(1.0, (0, 0), 100.0)])
    y = polychromatic(length * MU_WATER_PER_MM / float(WATER.mu_per_mm(F.reference_kev)), 0 * length)
    radius = np.hypot(GRID.x_mm[None], GRID.y_mm[:, None])
    centre, rim = radius < 20, (radius > 75) & (radius < 85)

    def cup(x: torch.Tensor) -> float:
        return mean_hu(x, centre) - mean_hu(x, rim)

    assert cup(fbp(y, SCAN, GRID)) < -20
    x = reconstructed(y)
    assert abs(cup(x)) < 2
    assert abs(mean_hu(x, centre)) < 3


def test_dark_band_between_two_bones(phantoms):
    """Against the same reconstructions of data of one energy, whose own errors are no fault of the beam."""
    bones = [phantoms.disk(1.0, (side * 60.0, 0.0), 15.0) for side in (-1, 1)]
    bone = phantoms.line_integrals(SCAN, bones)
    water = phantoms.line_integrals(SCAN, [phantoms.disk(1.0, (0, 0), 100.0)]) - bone
    y = polychromatic(water, bone)
    one_energy = torch.tensor(MU_WATER_PER_MM * water + F.mu_bone_per_mm * bone).float()[None, None]
    x_mm, y_mm = np.meshgrid(GRID.x_mm, GRID.y_mm)
    between = (abs(x_mm) < 20) & (abs(y_mm) < 6)
    beside = (abs(x_mm) < 20) & (abs(abs(y_mm) - 50) < 6)

    def band(x: torch.Tensor) -> float:
        return mean_hu(x, between) - mean_hu(x, beside)

    assert band(fbp(y, SCAN, GRID)) < band(fbp(one_energy, SCAN, GRID)) - 40
    start = fbp(one_energy, SCAN, GRID, window="hann").clamp_min(0)
    expected = proximal_step(start, one_energy / SIGMA, weighted(A, 1 / SIGMA), spread=SPREAD, n_iterations=30)
    assert band(reconstructed(y)) == pytest.approx(band(expected), abs=8)


# ---------------------------------------------------------------- few photons


class LowDose:
    """32 cm of water with two soft-edged inserts, 60 views; hundreds of photons sent, of which a few arrive."""

    grid = ImageGrid((48, 48), 8.0)
    scan = ParallelBeam.for_grid(grid, 60)

    def __init__(self, phantoms, photons: float, seed: int) -> None:
        self.A = SparseProjector(self.scan, self.grid)
        fine = self.grid.refined(2)
        body = [phantoms.disk(MU_WATER_PER_MM, (0, 0), 160.0)]
        inserts = [
            phantoms.disk(-0.3 * MU_WATER_PER_MM, (60, 20), 35.0),
            phantoms.disk(0.3 * MU_WATER_PER_MM, (-50, -40), 35.0),
        ]
        self.body, truth = (self.blurred(phantoms.image(fine, parts)) for parts in (body, body + inserts))
        clean = SparseProjector(self.scan, fine)(truth)[0, 0].double().numpy()
        self.truth, self.body = (torch.nn.functional.avg_pool2d(image, 2) for image in (truth, self.body))
        self.counts = np.random.default_rng(seed).poisson(photons * np.exp(-clean)).astype(np.float32)
        values = -np.log(np.maximum(self.counts, 1) / photons)
        variance = line_integral_variance(values, photons=photons, electronic_noise=0.0)
        self.y, self.sigma = (torch.from_numpy(a)[None, None] for a in (values, np.sqrt(variance)))
        self.N, self.F = torch.from_numpy(self.counts)[None, None], Transmission(self.A, photons)

    @staticmethod
    def blurred(image: np.ndarray) -> torch.Tensor:
        kernel = torch.exp(-(torch.arange(-6.0, 7.0) ** 2) / 12.5)
        kernel = (kernel / kernel.sum()).view(1, 1, 1, -1)
        x = torch.nn.functional.conv2d(torch.from_numpy(image).float()[None, None], kernel, padding=(0, 6))
        return torch.nn.functional.conv2d(x, kernel.mT, padding=(6, 0))

    def error_hu(self, x: torch.Tensor) -> tuple[float, float]:
        """Root mean square and mean error inside the body."""
        inside = torch.from_numpy(np.hypot(self.grid.x_mm[None], self.grid.y_mm[:, None]) < 150)
        error = 1000 * (x - self.truth)[0, 0][inside] / MU_WATER_PER_MM
        return float(error.square().mean().sqrt()), float(error.mean())

    def by_logarithm(self, spread: float) -> torch.Tensor:
        W = Weighted(self.A, 1 / self.sigma)
        return proximal_step(self.body, self.y / self.sigma, W, spread=spread, n_iterations=30)

    def by_counts(self, spread: float) -> torch.Tensor:
        sigma = self.F.sigma(self.F(self.by_logarithm(spread)))
        model = weighted(self.F, 1 / sigma)
        return gauss_newton(self.body, self.N / sigma, model, spread=spread, n_iterations=3, cg_iterations=30)


@pytest.mark.parametrize(("photons", "gain"), [(300.0, 0.93), (1000.0, 0.98)])
def test_counts_beat_their_logarithm(photons, gain, phantoms):
    """Each at the better of two spreads, over four seeds. Measured: 300 photons 81.6 HU by the logarithm, 74.5 HU by
    counts; 1000 photons 68.7 and 66.1 HU. The logarithm's mean is 28 and 15 HU too low, that of counts 1 HU off."""
    errors = {name: [] for name in ("by_logarithm", "by_counts")}
    for seed in range(4):
        case = LowDose(phantoms, photons, seed)
        for name, found in errors.items():
            found.append([case.error_hu(getattr(case, name)(k * MU_WATER_PER_MM)) for k in (0.1, 0.2)])
    of_log, of_counts = (np.mean(found, axis=0) for found in errors.values())  # [spread, (rms, mean)]
    assert of_counts[:, 0].min() < gain * of_log[:, 0].min()
    assert (of_log[:, 1] < -10).all()
    assert (abs(of_counts[:, 1]) < 3).all()


def test_total_variation_of_counts_beats_that_of_their_logarithm(phantoms):
    """300 photons, two seeds, two linearisations. Measured over four: 107 HU by the logarithm, 75 HU by counts."""
    for seed in range(2):
        case = LowDose(phantoms, 300.0, seed)
        of_log = x = tv(case.y, case.A, sigma=case.sigma, max_iterations=300)
        for _ in range(2):
            sigma = case.F.sigma(case.F(x))
            J, y_J = linearised_problem(x, case.N, case.F)
            x = tv(y_J, J, sigma=sigma, max_iterations=300)
        assert case.error_hu(x)[0] < 0.8 * case.error_hu(of_log)[0]
        assert abs(case.error_hu(x)[1]) < 15 < -case.error_hu(of_log)[1]
