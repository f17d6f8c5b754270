"""A sinogram to HU images by any of the methods, in batches of slices, with the figures that go with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import torch

from ctresample.choices import ViewWeights, Window, ZCoupling
from ctresample.consistency import noise_ratio, residual_ratio
from ctresample.data_tools.sinogram.plausibility import findings, image_finding, residual_finding
from ctresample.errors import UsageError
from ctresample.geometry import Geometry, HelicalBeam, VolumeGrid
from ctresample.learned import LearnedModel
from ctresample.operators import Projector, make_projector
from ctresample.paths import StrPath, as_path
from ctresample.pipelines.reconstruction.in_parts import InParts
from ctresample.pipelines.reconstruction.kept_parts import KeptParts
from ctresample.pipelines.reconstruction.learned_models import learned_model
from ctresample.pipelines.reconstruction.methods import method_named
from ctresample.pipelines.reconstruction.parts import Part, by_slice, largest_slab, neighbours_of, parts_of
from ctresample.pipelines.reconstruction.physics import LINEAR, Physics
from ctresample.pipelines.reconstruction.room import check_room
from ctresample.pipelines.reconstruction.slab import inside, with_guard_slices
from ctresample.pipelines.reconstruction.solve import Batch, solve
from ctresample.pipelines.reconstruction.z_coupling import coupling_of
from ctresample.pipelines.scan.helical_slices import check_field_of_view
from ctresample.result import Reconstruction
from ctresample.sinogram import Sinogram
from ctresample.status import Status
from ctresample.units import mu_to_hu

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
    sinogram = _read(sinogram)
    if batch_size < 1:
        raise UsageError(f"batch_size is {batch_size}; expected at least 1 slice")
    chosen = method_named(method)
    whole, wanted = sinogram, slice(None)
    if isinstance(sinogram.geometry, HelicalBeam) and isinstance(sinogram.grid, VolumeGrid):
        check_field_of_view(sinogram.geometry, sinogram.grid)
        if chosen.way != "direct":
            (sinogram, wanted), slice_numbers = with_guard_slices(sinogram), None
    n = sinogram.n_slices
    numbers = range(n) if slice_numbers is None else slice_numbers
    if len(numbers) != n:
        raise UsageError(f"there are {len(numbers)} slice numbers for {n} slices; expected one each")
    if projector is not None and sinogram.angle_shifts_rad is not None:
        raise UsageError("projector is of one set of angles, but the slices are seen from several; leave it out")
    if settings is not None and not chosen.has_settings:
        raise UsageError(f"method {method} takes no settings; leave them out")
    preset = preset if chosen.has_presets and settings is None else ""
    settings = settings or chosen.load_settings(preset)
    coupled = getattr(settings, "coupled", False)  # then every slice draws the same noise
    physics.check(method, sinogram)
    coupling = coupling_of(z_coupling, chosen, sinogram)
    check_room(sinogram.grid, largest_slab(coupling, batch_size), n)
    model, identity = learned_model(prior, chosen, device)
    if model is not None:
        model.check_shape(sinogram.grid.shape)
    used = {
        **({} if settings is None else asdict(settings)),
        **({"window": window} if chosen.way == "direct" else {}),
        **({"view_weights": view_weights} if chosen.way == "direct" and view_weights != "arcs" else {}),
        **({} if physics.is_linear else asdict(physics)),
        **({"z_coupling": coupling.strength} if coupling.strength else {}),
    }
    keeping = None
    if parts_folder is not None:
        weights = None if identity is None else [identity.name, identity.sha256]
        follows_from = {"method": method, "seed": seed, "slices": list(numbers), "model": weights, "settings": used}
        keeping = KeptParts(as_path(parts_folder, "parts_folder"), sinogram, follows_from)
    began = time.perf_counter()
    judged = inside(sinogram) if whole.geometry.name == "helical" and chosen.way == "direct" else None
    scan, sigma = sinogram.geometry, np.ones_like(sinogram.values) if judged else sinogram.sigma()

    def make(geometry: Geometry) -> Projector:
        return projector or make_projector(geometry, sinogram.grid, device=device)

    # filled, for an empty one would take its memory only as it is written to: more and more
    image_hu = np.full((n, *sinogram.grid.shape[-2:]), np.nan, np.float32)
    ratios, history, done = np.empty(n), _History(), 0
    for part in parts_of(sinogram, coupling, make, 1 if chosen.one_by_one else batch_size):
        own = list(part.slices or range(n))
        kept = own[part.kept]
        done += len(kept)
        finished = keeping.get(kept) if keeping else None
        if finished is not None:
            image_hu[kept], ratios[kept] = finished
            if progress:
                progress(done / n)
            continue

        def watch(
            share: float, status: Status, now: int = done - len(kept), so_many: int = len(own), part: Part = part
        ) -> None:
            history.add(status, so_many)
            if progress:
                progress((now + share * len(range(n)[part.kept])) / n)

        # a part at a time, so that smaller ones take less memory of the device
        y, s = part.as_batch(sinogram.values), part.as_batch(sigma)
        problem = physics.problem(sinogram, part.A, y, s)
        mu = solve(
            chosen,
            Batch(
                y=y,
                A=part.A,
                sigma=s,
                problem=problem,
                mu_water_per_mm=sinogram.mu_water_per_mm,
                window=window,
                view_weights=view_weights,
                model=InParts(model, batch_size) if part.is_volume and model is not None else model,
                settings=settings,
                generators=slice_generators(seed, [numbers[k] for k in own], coupled=coupled),
                neighbours=neighbours_of(part, coupling, sinogram.mu_water_per_mm) if chosen.couples else None,
                watch=watch,
            ),
        )
        if judged:  # by few views, for projecting through all would take longer than the image
            A = make_projector(judged.geometry, judged.grid, device=device, memory_budget_bytes=0)
            y, s = part.as_batch(judged.values), part.as_batch(judged.sigma())
            problem = physics.problem(judged, A, y, s)
        residual, s = by_slice((problem.model(mu) - problem.data) / problem.sigma(mu), part), by_slice(s, part)
        # a cone beam's slices have one residual in common
        found = (residual_ratio(residual) / noise_ratio(s)).cpu().numpy()
        ratios[kept] = found[part.kept] if part.slices else found
        image_hu[kept] = scan.as_slices(mu_to_hu(mu, sinogram.mu_water_per_mm)).cpu().numpy()[part.kept]
        if keeping:
            keeping.put(kept, image_hu[kept], ratios[kept])
        if progress:
            progress(done / n)
    residual_doubt = residual_finding(
        ratios[wanted].tolist(), whole, fitted=chosen.is_fitted, early=chosen.way == "iterative"
    )
    beyond = scans.beyond(whole) if (scans := chosen.trained_scans(model, settings)) else None
    return Reconstruction(
        image_hu=image_hu[wanted],
        doubts=(*findings(whole), *filter(None, (beyond, image_finding(image_hu[wanted], whole), residual_doubt))),
        sinogram=whole,
        residual_ratio=tuple(ratios[wanted].tolist()),
        residual_history=history.means(),
        seconds=time.perf_counter() - began,
        settings=used,
        seed=seed if chosen.is_random else None,
        method=method,
        preset=preset,
        model=identity,
        device=str(device),
        z_coupling=coupling.facts(),
    )


def _read(given: Sinogram | StrPath) -> Sinogram:
    if isinstance(given, Sinogram):
        return given
    from ctresample.data_tools.sinogram.file import read_sinogram  # here, for h5py is not needed where none is read

    return read_sinogram(as_path(given, "sinogram"))


def slice_generators(seed: int, numbers: Sequence[int], *, coupled: bool) -> list[torch.Generator]:
    """A generator for each slice of these numbers, which draws from ``(seed, number)``; of coupled ones all alike."""
    return [torch.Generator().manual_seed(_seed_of(seed, 0 if coupled else number)) for number in numbers]


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
