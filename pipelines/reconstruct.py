"""A sinogram to HU images by any of the methods, in batches of slices, with the figures that go with it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import torch

from ctresample.consistency import residual_ratio
from ctresample.errors import UsageError
from ctresample.geometry import ConeBeam
from ctresample.operators import make_projector
from ctresample.pipelines.physics import Physics
from ctresample.pipelines.solve import solve_by_resample, solve_classically
from ctresample.prior import LatentPrior
from ctresample.result import Reconstruction
from ctresample.sinogram import Sinogram
from ctresample.solvers.ramp import Window
from ctresample.solvers.resample import PRESETS
from ctresample.status import Status
from ctresample.units import mu_to_hu

METHODS = ("resample", "fbp", "sirt", "cgls", "wls", "tv")
DEFAULT_PRIOR = "ct256"

LINEAR = Physics()


def reconstruct(
    sinogram: Sinogram,
    *,
    method: str = "resample",
    preset: str = "fast",
    prior: LatentPrior | None = None,
    seed: int = 0,
    window: Window = "hann",
    physics: Physics = LINEAR,
    device: torch.device | str = "cpu",
    batch_size: int = 8,
    progress: Callable[[float], None] | None = None,
) -> Reconstruction:
    """Images of every slice on the sinogram's grid.

    Args:
        sinogram: measured or simulated line integrals.
        method: one of `METHODS`.
        preset: of ReSample, one of `PRESETS`; other methods have none.
        prior: for ReSample; its device must be ``device``.
        seed: of ReSample; slice k draws from ``(seed, k)``, so that results do not depend on the batch size.
        window: of the ramp filter, for FBP.
        physics: what the measurement is taken to be; by default line integrals at one energy.
        device: where to compute.
        batch_size: slices reconstructed together.
        progress: told the fraction done, from 0 to 1.
    """
    _check(sinogram, method, preset, prior, batch_size)
    physics.check(method, sinogram)
    began = time.perf_counter()
    A = make_projector(sinogram.geometry, sinogram.grid, device=device)
    cone = isinstance(sinogram.geometry, ConeBeam)
    # slices are scans of their own, a cone beam's detector rows are one scan
    values, sigma = (
        (array[None, None] if cone else array[:, None]).to(A.device)
        for array in map(torch.from_numpy, (sinogram.values, sinogram.sigma()))
    )
    n = len(values)
    images, ratios, history = [], [], _History()
    for first in range(0, n, batch_size):
        batch = slice(first, min(first + batch_size, n))

        def watch(share: float, status: Status, batch: slice = batch) -> None:
            history.add(status, batch.stop - batch.start)
            if progress:
                progress((batch.start + share * (batch.stop - batch.start)) / n)

        y, s = values[batch], sigma[batch]
        problem = physics.problem(sinogram, A, y, s)
        if method == "resample" and prior is not None:
            generators = [torch.Generator().manual_seed(_seed_of(seed, k)) for k in range(batch.start, batch.stop)]
            mu = solve_by_resample(
                y,
                A,
                s,
                problem,
                prior,
                settings=PRESETS[preset],
                generators=generators,
                mu_water_per_mm=sinogram.mu_water_per_mm,
                watch=watch,
            )
        else:
            mu = solve_classically(method, y, A, s, problem, window, watch)
        residual = (problem.model(mu) - problem.data) / problem.sigma(mu)
        ratios += residual_ratio(residual).tolist() * (sinogram.n_slices if cone else 1)
        images.append(mu_to_hu(mu, sinogram.mu_water_per_mm).reshape(-1, *A.domain_shape[-2:]).cpu().numpy())
        if progress:
            progress(batch.stop / n)
    learned = method == "resample"
    return Reconstruction(
        image_hu=np.concatenate(images),
        residual_ratio=tuple(ratios),
        residual_history=history.means(),
        seconds=time.perf_counter() - began,
        settings=(asdict(PRESETS[preset]) if learned else {}) | ({} if physics.is_linear else asdict(physics)),
        seed=seed if learned else None,
        method=method,
        preset=preset if learned else "",
    )


def _check(sinogram: Sinogram, method: str, preset: str, prior: LatentPrior | None, batch_size: int) -> None:
    if batch_size < 1:
        raise UsageError(f"batch_size is {batch_size}; expected at least 1 slice")
    if method not in METHODS:
        raise UsageError(f"method is {method!r}; expected one of {', '.join(METHODS)}")
    if method != "resample":
        return
    if preset not in PRESETS:
        raise UsageError(f"preset is {preset!r}; expected one of {', '.join(PRESETS)}")
    if prior is None:
        raise UsageError("method resample needs a prior; give the name or folder of one")
    prior.check_shape(sinogram.grid.shape)


def _seed_of(seed: int, slice_index: int) -> int:
    """One number for a slice's generator, well mixed so that neighbouring seeds and slices share nothing."""
    return int(np.random.SeedSequence([seed, slice_index]).generate_state(1, np.uint64)[0] >> 1)


class _History:
    """Residual after each step, averaged over batches."""

    def __init__(self) -> None:
        self._steps: dict[tuple[str, int], list[tuple[float, int]]] = {}

    def add(self, status: Status, weight: int) -> None:
        self._steps.setdefault((status.solver, status.step), []).append((status.residual_ratio, weight))

    def means(self) -> tuple[float, ...]:
        return tuple(sum(r * w for r, w in seen) / sum(w for _, w in seen) for seen in self._steps.values())
