"""One algorithm a file, named as in its paper. Images are attenuation in 1/mm, ``(B, 1, rows, columns)``."""

from ctresample.solvers.cgls import cgls
from ctresample.solvers.fbp import fbp
from ctresample.solvers.resample import resample
from ctresample.solvers.sirt import sirt
from ctresample.solvers.tv import tv

__all__ = ["cgls", "fbp", "resample", "sirt", "tv"]
