"""What a reconstruction is going to do: decided and checked as a whole before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

import ctresample
from ctresample.choices import ViewWeights, Window, ZCoupling
from ctresample.errors import UsageError
from ctresample.geometry import HelicalBeam, VolumeGrid
from ctresample.learned import LearnedModel
from ctresample.paths import StrPath
from ctresample.pipelines.reconstruction.learned_models import learned_model
from ctresample.pipelines.reconstruction.methods import Method, method_named
from ctresample.pipelines.reconstruction.parts import largest_slab
from ctresample.pipelines.reconstruction.physics import Physics
from ctresample.pipelines.reconstruction.room import check_room
from ctresample.pipelines.reconstruction.slab import with_guard_slices
from ctresample.pipelines.reconstruction.warm_start import with_start
from ctresample.pipelines.reconstruction.z_coupling import Coupling, coupling_of
from ctresample.pipelines.scan.helical_slices import check_field_of_view
from ctresample.result import ModelIdentity
from ctresample.sinogram import Sinogram

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One call of `reconstruct` with all choices made.

    Attributes:
        method: how.
        preset: the name of the settings; "" where they have none.
        settings: of a method that has any.
        whole: the scan as it was given.
        sinogram: what is solved: of a helix, the slab that is wanted with guard slices, and the rays that see it.
        wanted: which of its slices count.
        slice_numbers: what each of its slices draws its random numbers by.
        coupling: of its slices.
        model: of a method that needs one, on ``device``.
        identity: which one that is.
        physics: what the measurement is taken to be.
        window: of the ramp filter.
        view_weights: what a view counts in FBP.
        seed: of methods that sample.
        device: where to compute.
        batch_size: slices at a time.
    """

    method: Method
    preset: str
    settings: DataclassInstance | None
    whole: Sinogram
    sinogram: Sinogram
    wanted: slice
    slice_numbers: Sequence[int]
    coupling: Coupling
    model: LearnedModel | None
    identity: ModelIdentity | None
    physics: Physics
    window: Window
    view_weights: ViewWeights
    seed: int
    device: torch.device | str
    batch_size: int

    @property
    def noise_in_common(self) -> bool:
        """Whether all slices draw the same noise."""
        return getattr(self.settings, "coupled", False)

    @property
    def used(self) -> dict[str, Any]:
        """The settings that the images follow from, by name."""
        is_direct = self.method.way == "direct"
        return {
            **({} if self.settings is None else asdict(self.settings)),
            **({"window": self.window} if is_direct else {}),
            **({"view_weights": self.view_weights} if is_direct and self.view_weights != "arcs" else {}),
            **({} if self.physics.is_linear else asdict(self.physics)),
            **({"z_coupling": self.coupling.strength} if self.coupling.strength else {}),
        }

    @property
    def follows_from(self) -> dict[str, Any]:
        """All that the images follow from but the scan."""
        return {
            "version": ctresample.__version__,
            "method": self.method.name,
            "seed": self.seed,
            "slices": list(self.slice_numbers),
            "model": None if self.identity is None else [self.identity.name, self.identity.sha256],
            "settings": self.used,
        }


def planned(
    sinogram: Sinogram,
    *,
    method: str,
    preset: str,
    settings: DataclassInstance | None,
    prior: StrPath | LearnedModel | None,
    seed: int,
    window: Window,
    view_weights: ViewWeights,
    physics: Physics,
    z_coupling: ZCoupling,
    device: torch.device | str,
    batch_size: int,
    slice_numbers: Sequence[int] | None,
) -> Plan:
    """Everything decided; the arguments and what is refused are those of `reconstruct`."""
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
    if settings is not None and not chosen.has_settings:
        raise UsageError(f"method {method} takes no settings; leave them out")
    preset = preset if chosen.has_presets and settings is None else ""
    settings = settings or chosen.load_settings(preset)
    physics.check(method, sinogram)
    coupling = coupling_of(z_coupling, chosen, sinogram)
    check_room(sinogram.grid, lambda size: largest_slab(coupling, size), batch_size, n)
    model, identity = learned_model(prior, chosen, device)
    if model is not None:
        model.check_shape(sinogram.grid.shape)
    settings = with_start(settings, model, whole, by_itself=not coupling.strength and physics.is_linear)
    return Plan(
        method=chosen,
        preset=preset,
        settings=settings,
        whole=whole,
        sinogram=sinogram,
        wanted=wanted,
        slice_numbers=numbers,
        coupling=coupling,
        model=model,
        identity=identity,
        physics=physics,
        window=window,
        view_weights=view_weights,
        seed=seed,
        device=device,
        batch_size=batch_size,
    )
