"""A sinogram to HU images by any of the methods, in batches of slices, with the figures that go with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch

from ctresample.choices import ViewWeights, Window, ZCoupling
from ctresample.data_tools.sinogram.plausibility import findings, image_finding, residual_finding
from ctresample.errors import UsageError
from ctresample.learned import LearnedModel
from ctresample.operators import Projector
from ctresample.paths import StrPath, as_path
from ctresample.pipelines.reconstruction.kept_parts import KeptParts
from ctresample.pipelines.reconstruction.physics import LINEAR, Physics
from ctresample.pipelines.reconstruction.plan import planned
from ctresample.pipelines.reconstruction.solve_parts import solve_parts
from ctresample.result import Reconstruction
from ctresample.sinogram import Sinogram

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def reconstruct(
    sinogram: Sinogram | StrPath,
    *,
    method: str = "resample",
    preset: str = "fast",
    settings: DataclassInstance | None = None,
    prior: StrPath | LearnedModel | None = None,
    seed: int = 0,
    window: Window = "hann",
    view_weights: ViewWeights = "arcs",
    physics: Physics = LINEAR,
    z_coupling: ZCoupling = "auto",
    device: torch.device | str = "cpu",
    batch_size: int = 8,
    progress: Callable[[float], None] | None = None,
    projector: Projector | None = None,
    slice_numbers: Sequence[int] | None = None,
    parts_folder: StrPath | None = None,
) -> Reconstruction:
    """Images of every slice on the sinogram's grid.

    Example:
        >>> import numpy as np
        >>> from ctresample import Volume, reconstruct, simulate
        >>> hu = np.full((1, 32, 32), -1000.0)
        >>> hu[:, 8:24, 8:24] = 40
        >>> scan = simulate(Volume(hu, np.diag([2, 2, 2, 1])), n_views=20, size=32, photons=1e5)
        >>> result = reconstruct(scan, method="tv")
        >>> result.image_hu.shape, bool(abs(result.image_hu[0, 16, 16] - 40) < 100)
        ((1, 32, 32), True)

    Args:
        sinogram: measured or simulated line integrals, or the path of a sinogram file.
        method: the name of one of `ctresample.pipelines.reconstruction.methods.METHODS`.
        preset: the named settings of a method that has presets.
        settings: of a method that has any, in place of the preset or of the defaults.
        prior: the learned model of a method that needs one: the name or folder of one, or one of the kind it needs
            that is on ``device`` already; by default the one that comes with the package.
        seed: of methods that sample; slice k draws from ``(seed, k)``, so that its random numbers do not depend
            on the batch size. (Rounding does: up to 0.01 HU with ``tv``, 2 HU seen with ``fast``; ``cgls`` takes
            one slice at a time, and does not depend on it.)
            Where the settings are ``coupled``, as ``fast`` and ``quality`` are, all slices draw from ``(seed, 0)``:
            neighbours in a volume then do not flicker, but slices are no independent samples.
        window: of the ramp filter, for FBP.
        view_weights: of FBP: "arcs", or "equal" for views in bursts, as of gated scans; see `fbp`.
        physics: what the measurement is taken to be; by default line integrals at one energy.
        z_coupling: how strongly neighbouring slices help each other, see
            `ctresample.pipelines.reconstruction.z_coupling`: "auto" where it pays, "none", or a strength, of which 1
            is what "auto" takes. Coupled slices are solved in slabs that overlap, `parts.SLAB_BATCHES` batches each.
        device: where to compute.
        batch_size: slices reconstructed together; of those that are coupled, and of a cone beam's, slices that
            networks see together.
        progress: told the fraction done, from 0 to 1.
        projector: of the sinogram's geometry and grid, on ``device``; by default `make_projector`'s. Not of slices
            that are seen from different angles, which need several.
        slice_numbers: the k of each slice, where the sinogram is a part of a larger one; by default from 0.
        parts_folder: where finished batches and slabs are kept as they come, so that the same call goes on after a
            stop; see `ctresample.pipelines.reconstruction.kept_parts`. It is not cleared.

    Raises:
        UsageError: an argument is out of range, unknown, or does not fit another; the image does not fit the machine.
        OutputError: the folder of parts cannot be written.
        SinogramError: the sinogram file cannot be read.
        PriorError: there is no such learned model, or it does not fit the image.
    """
    plan = planned(
        _read(sinogram),
        method=method,
        preset=preset,
        settings=settings,
        prior=prior,
        seed=seed,
        window=window,
        view_weights=view_weights,
        physics=physics,
        z_coupling=z_coupling,
        device=device,
        batch_size=batch_size,
        slice_numbers=slice_numbers,
    )
    if projector is not None and plan.sinogram.angle_shifts_rad is not None:
        raise UsageError("projector is of one set of angles, but the slices are seen from several; leave it out")
    keeping = None
    if parts_folder is not None:
        keeping = KeptParts(as_path(parts_folder, "parts_folder"), plan.sinogram, plan.follows_from)
    began = time.perf_counter()
    solved = solve_parts(plan, projector=projector, keeping=keeping, progress=progress)
    ratios, whole = solved.residual_ratios[plan.wanted].tolist(), plan.whole
    image_hu = solved.image_hu[plan.wanted]
    scans = plan.method.trained_scans(plan.model, plan.settings)
    doubts = (
        scans.beyond(whole) if scans else None,
        image_finding(image_hu, whole),
        residual_finding(ratios, whole, fitted=plan.method.is_fitted, early=plan.method.way == "iterative"),
    )
    return Reconstruction(
        image_hu=image_hu,
        doubts=(*findings(whole), *filter(None, doubts)),
        sinogram=whole,
        residual_ratio=tuple(ratios),
        residual_history=solved.residual_history,
        seconds=time.perf_counter() - began,
        settings=plan.used,
        seed=seed if plan.method.is_random else None,
        method=method,
        preset=plan.preset,
        model=plan.identity,
        device=str(device),
        z_coupling=plan.coupling.facts(),
    )


def _read(given: Sinogram | StrPath) -> Sinogram:
    if isinstance(given, Sinogram):
        return given
    from ctresample.data_tools.sinogram.reading import read_sinogram  # here, for h5py is not needed where none is read

    return read_sinogram(as_path(given, "sinogram"))
