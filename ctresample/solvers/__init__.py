"""One algorithm a file, named as in its paper. Images are attenuation in 1/mm, ``(B, 1, rows, columns)``.

``ctresample.solvers.tv`` is the file of total variation, and is called like the function in it; so a solver is found
by its name and no function hides a module. From its own file comes what goes with it:
``from ctresample.solvers.dps import DPSSettings``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the functions, for type checkers know modules that are called as little as most readers
    from ctresample.solvers.cgls import cgls as cgls
    from ctresample.solvers.dds import dds as dds
    from ctresample.solvers.diffpir import diffpir as diffpir
    from ctresample.solvers.dps import dps as dps
    from ctresample.solvers.fbp import fbp as fbp
    from ctresample.solvers.fbp_unet import fbp_unet as fbp_unet
    from ctresample.solvers.fdk import fdk as fdk
    from ctresample.solvers.itnet import itnet as itnet
    from ctresample.solvers.latent_dps import latent_dps as latent_dps
    from ctresample.solvers.mcg import mcg as mcg
    from ctresample.solvers.pnp import pnp as pnp
    from ctresample.solvers.psld import psld as psld
    from ctresample.solvers.resample import resample as resample
    from ctresample.solvers.sirt import sirt as sirt
    from ctresample.solvers.tv import tv as tv
    from ctresample.solvers.wls import wls as wls

__all__ = [
    "cgls",
    "dds",
    "diffpir",
    "dps",
    "fbp",
    "fbp_unet",
    "fdk",
    "itnet",
    "latent_dps",
    "mcg",
    "pnp",
    "psld",
    "resample",
    "sirt",
    "tv",
    "wls",
]


class _Solver(ModuleType):
    """A module that is called like the function of its own name inside."""

    @property
    def _function(self) -> Callable[..., Any]:
        return vars(self)[self.__name__.rpartition(".")[2]]

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self._function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)


for _name in __all__:
    import_module(f"{__name__}.{_name}").__class__ = _Solver
