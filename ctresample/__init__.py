"""Sparse-view CT reconstruction: latent diffusion with hard data consistency, and the classical methods.

The names below load on first use, so that ``import ctresample`` and ``ctresample --help`` stay fast: torch alone
takes seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what type checkers and editors see of the table below
    from ctresample.errors import CTResampleError as CTResampleError
    from ctresample.geometry import ConeBeam as ConeBeam
    from ctresample.geometry import FanBeam as FanBeam
    from ctresample.geometry import ImageGrid as ImageGrid
    from ctresample.geometry import ParallelBeam as ParallelBeam
    from ctresample.geometry import VolumeGrid as VolumeGrid
    from ctresample.operators import AstraProjector as AstraProjector
    from ctresample.operators import ConeProjector as ConeProjector
    from ctresample.operators import LinearOperator as LinearOperator
    from ctresample.operators import SparseProjector as SparseProjector
    from ctresample.operators import StreamedProjector as StreamedProjector
    from ctresample.operators import dot_test as dot_test
    from ctresample.operators import from_astra as from_astra
    from ctresample.operators import make_projector as make_projector
    from ctresample.operators import to_astra as to_astra
    from ctresample.prior import LatentPrior as LatentPrior
    from ctresample.sinogram import Sinogram as Sinogram
    from ctresample.solvers.cgls import cgls as cgls
    from ctresample.solvers.fbp import fbp as fbp
    from ctresample.solvers.fdk import fdk as fdk
    from ctresample.solvers.resample import resample as resample
    from ctresample.solvers.sirt import sirt as sirt
    from ctresample.solvers.tv import tv as tv
    from ctresample.solvers.wls import wls as wls
    from ctresample.volume import Volume as Volume

    __version__: str

# name: module. A solver comes from its own file: "ctresample.solvers.fbp" is that file once it has been imported,
# and the function of the same name is inside it.
_EXPORTS = {
    "AstraProjector": "operators",
    "CTResampleError": "errors",
    "ConeBeam": "geometry",
    "ConeProjector": "operators",
    "FanBeam": "geometry",
    "ImageGrid": "geometry",
    "LatentPrior": "prior",
    "LinearOperator": "operators",
    "ParallelBeam": "geometry",
    "Sinogram": "sinogram",
    "SparseProjector": "operators",
    "StreamedProjector": "operators",
    "Volume": "volume",
    "VolumeGrid": "geometry",
    "cgls": "solvers.cgls",
    "dot_test": "operators",
    "fbp": "solvers.fbp",
    "fdk": "solvers.fdk",
    "from_astra": "operators",
    "make_projector": "operators",
    "resample": "solvers.resample",
    "sirt": "solvers.sirt",
    "to_astra": "operators",
    "tv": "solvers.tv",
    "wls": "solvers.wls",
}

__all__ = ["__version__", *_EXPORTS]


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        value: object = version("ctresample")
    elif name in _EXPORTS:
        value = getattr(import_module(f"ctresample.{_EXPORTS[name]}"), name)
    else:
        raise AttributeError(f"module 'ctresample' has no attribute {name!r}")
    globals()[name] = value  # the next access comes straight from the module
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
