"""The methods of reconstruction: the one table that `reconstruct`, the command line and the benchmark go by.

To add a method, write ``ctresample/solvers/<name>.py`` with a function of that name (hyphens made underscores) and
add a line to `METHODS`. Solvers are named here and imported when used, so that the names are at hand without torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Literal

from ctresample.choices import ModelKind
from ctresample.errors import UsageError

if TYPE_CHECKING:  # the table alone costs no torch
    import torch
    from _typeshed import DataclassInstance

    from ctresample.learned import LearnedModel
    from ctresample.learned.trained_scans import TrainedScans

Needs = Literal["", ModelKind]


@dataclass(frozen=True, kw_only=True)
class Method:
    """One method of reconstruction.

    Attributes:
        name: as in the command line; hyphens become underscores in the names of its file and function.
        title: one line for help and tables, with the citation.
        way: how its solver is called: a key of `ctresample.pipelines.reconstruction.solve.WAYS`.
        needs: the kind of learned model it needs, which is the model's own ``kind``; "" for none.
        settings: the frozen dataclass of its settings, in its file, the defaults being the tuned values; "" where
            the function's own defaults hold.
        presets: for a method with named settings (``PRESETS`` in its file): their names, with the cost of each.
        zero_shot: whether its model, if any, was trained without knowing the measurement.
        is_random: whether it draws random numbers, so that another seed gives another image.
        one_by_one: whether slices are never solved together: rounding, which depends on how many are, would show.
        nonlinear: whether it can go by counts or a tube's spectrum.
        couples: whether it lets the slices of a volume help each other, see
            `ctresample.pipelines.reconstruction.z_coupling`.
        cost: rough time of a slice, relative to the others: for estimates of progress.
    """

    name: str
    title: str
    way: str
    needs: Needs = ""
    settings: str = ""
    presets: Mapping[str, int] = field(default_factory=dict)
    zero_shot: bool = True
    is_random: bool = False
    one_by_one: bool = False
    nonlinear: bool = False
    couples: bool = False
    cost: int = 0

    @property
    def has_presets(self) -> bool:
        """Whether its settings go by names."""
        return bool(self.presets)

    @property
    def has_settings(self) -> bool:
        """Whether it has settings of its own, named or not."""
        return self.has_presets or bool(self.settings)

    @property
    def is_fitted(self) -> bool:
        """Whether its images are fitted to the data up to their noise."""
        return self.way not in ("direct", "corrected")

    def cost_of(self, preset: str = "") -> int:
        """Rough time of a slice with a preset; presets made by the caller cost as much as the first."""
        return self.presets.get(preset, next(iter(self.presets.values()))) if self.has_presets else self.cost

    def load_settings(self, preset: str = "") -> DataclassInstance | None:
        """The settings it runs with: of a preset where it has any, else its defaults; None where it takes none.

        Raises:
            UsageError: there is no such preset.
        """
        if self.has_presets:
            presets = self._module().PRESETS
            if preset not in presets:
                raise UsageError(f"preset is {preset!r}; expected one of {', '.join(presets)}")
            return presets[preset]
        return getattr(self._module(), self.settings)() if self.settings else None

    def trained_scans(self, model: LearnedModel | None, settings: DataclassInstance | None) -> TrainedScans | None:
        """Those of the denoiser that is shown the scan, where the method uses it with these settings."""
        if model is None or not (self.way == "unrolled" or getattr(settings, "conditioned", False)):
            return None
        return getattr(model.config, "condition_scans", None)

    def load_solver(self) -> Callable[..., torch.Tensor]:
        """The function in its file."""
        return getattr(self._module(), self._file)

    def bundled_model(self) -> str:
        """The name of the learned model to take where none is given.

        Raises:
            UsageError: none of the kind comes with the package.
        """
        if self.needs not in BUNDLED:
            raise UsageError(
                f"method {self.name} needs a {self.needs}, and none comes with ctresample; import a diffusers DDPM "
                "with `ctresample prior import` or train one with `ctresample train pixel-prior`, and name its folder"
            )
        return BUNDLED[self.needs]

    @property
    def _file(self) -> str:
        return self.name.replace("-", "_")

    def _module(self) -> ModuleType:
        return import_module(f"ctresample.solvers.{self._file}")


_ALL = (
    Method(
        name="resample",
        title="latent diffusion with hard data consistency (Song et al., ICLR 2024)",
        way="sampled",
        needs="latent prior",
        is_random=True,
        presets={"fast": 600, "draft": 250, "quality": 4500, "paper": 20000, "released_code": 40000},
        nonlinear=True,
        couples=True,
    ),
    Method(
        name="fbp",
        title="filtered back projection; of a cone FDK (1984), of a helix weighted FBP (Stierstorfer, 2004)",
        way="direct",
        cost=2,
    ),
    Method(
        name="sirt",
        title="simultaneous iterative reconstruction (Gregor and Benson, 2008)",
        way="iterative",
        cost=50,
    ),
    Method(
        name="cgls",
        title="conjugate gradients stopped at the noise level (Bjorck, 1996)",
        way="iterative",
        one_by_one=True,
        cost=5,
    ),
    Method(
        name="wls",
        title="penalised weighted least squares (Sauer and Bouman, 1993)",
        way="penalised",
        nonlinear=True,
        couples=True,
        cost=40,
    ),
    Method(
        name="tv",
        title="total variation (Sidky et al., 2012)",
        way="penalised",
        nonlinear=True,
        couples=True,
        cost=200,
    ),
    Method(
        name="pnp",
        title="plug-and-play with the latent denoiser (DPIR; Zhang et al., TPAMI 2022)",
        way="sampled",
        needs="latent prior",
        settings="PnPSettings",
        couples=True,
        cost=1000,
    ),
    Method(
        name="latent-dps",
        title="diffusion posterior sampling in latents (Chung et al., ICLR 2023)",
        way="sampled",
        needs="latent prior",
        is_random=True,
        settings="LatentDPSSettings",
        cost=5000,
    ),
    Method(
        name="psld",
        title="Latent-DPS with a gluing term (Rout et al., NeurIPS 2023)",
        way="sampled",
        needs="latent prior",
        is_random=True,
        settings="PSLDSettings",
        cost=7000,
    ),
    Method(
        name="dps",
        title="diffusion posterior sampling in pixels (Chung et al., ICLR 2023)",
        way="sampled",
        needs="pixel prior",
        is_random=True,
        settings="DPSSettings",
        cost=50000,
    ),
    Method(
        name="mcg",
        title="DPS with a projection onto the data, manifold constrained gradients (Chung et al., NeurIPS 2022)",
        way="sampled",
        needs="pixel prior",
        is_random=True,
        settings="MCGSettings",
        cost=60000,
    ),
    Method(
        name="dds",
        title="decomposed diffusion sampling, conjugate gradients in pixels (Chung et al., ICLR 2024)",
        way="sampled",
        needs="pixel prior",
        is_random=True,
        settings="DDSSettings",
        cost=2500,
    ),
    Method(
        name="diffpir",
        title="plug-and-play with a diffusion model of pixels (Zhu et al., CVPRW 2023)",
        way="sampled",
        needs="pixel prior",
        is_random=True,
        settings="DiffPIRSettings",
        cost=3000,
    ),
    Method(
        name="itnet",
        title="rounds of a conditioned prior's network and of the data (Genzel et al., ICML 2022)",
        way="unrolled",
        needs="latent prior",
        settings="ItNetSettings",
        zero_shot=False,
        cost=150,
    ),
    Method(
        name="fbp-unet",
        title="filtered back projection and a U-Net trained for the scan (Jin et al., TIP 2017)",
        way="corrected",
        needs="fbp-unet",
        zero_shot=False,
        cost=10,
    ),
)

METHODS: dict[str, Method] = {method.name: method for method in _ALL}
"""By name, in the order of help and tables."""

PRESETS = tuple(name for method in METHODS.values() for name in method.presets)
"""Of all methods."""

DEFAULT_PRIOR = "ct256"

BUNDLED: Mapping[Needs, str] = {"latent prior": DEFAULT_PRIOR, "fbp-unet": "fbp-unet-25"}
"""The learned model of each kind that comes with the package and is taken unless another is named."""


def method_named(name: str) -> Method:
    """The method of that name; `UsageError` if there is none."""
    if name not in METHODS:
        raise UsageError(f"method is {name!r}; expected one of {', '.join(METHODS)}")
    return METHODS[name]


def methods_that_need(kind: ModelKind) -> str:
    """The names of the methods that need a kind of learned model, in one text."""
    return ", ".join(name for name, method in METHODS.items() if method.needs == kind)
