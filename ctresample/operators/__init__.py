"""Measurement models on torch tensors: the contracts, projectors, weighting and composition, nonlinear models."""

from ctresample.operators.astra_export import to_astra
from ctresample.operators.astra_import import from_astra
from ctresample.operators.astra_projector import AstraProjector
from ctresample.operators.base import LinearOperator, MeasurementModel, dot_test
from ctresample.operators.choice import make_projector
from ctresample.operators.cone import ConeProjector
from ctresample.operators.nonlinear import WeightedModel, weighted
from ctresample.operators.polychromatic import Polychromatic
from ctresample.operators.projector import Projector
from ctresample.operators.sparse import SparseProjector
from ctresample.operators.spectrum import Spectrum
from ctresample.operators.stack import StackProjector
from ctresample.operators.streamed import StreamedProjector
from ctresample.operators.transmission import Transmission
from ctresample.operators.whitening import Weighted

__all__ = [
    "AstraProjector",
    "ConeProjector",
    "LinearOperator",
    "MeasurementModel",
    "Polychromatic",
    "Projector",
    "SparseProjector",
    "Spectrum",
    "StackProjector",
    "StreamedProjector",
    "Transmission",
    "Weighted",
    "WeightedModel",
    "dot_test",
    "from_astra",
    "make_projector",
    "to_astra",
    "weighted",
]
