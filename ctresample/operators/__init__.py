"""Linear operators on torch tensors: the contract, projectors, weighting and composition."""

from ctresample.operators.base import LinearOperator, dot_test
from ctresample.operators.choice import make_projector
from ctresample.operators.projector import Projector
from ctresample.operators.sparse import SparseProjector
from ctresample.operators.streamed import StreamedProjector
from ctresample.operators.weighted import Weighted

__all__ = [
    "LinearOperator",
    "Projector",
    "SparseProjector",
    "StreamedProjector",
    "Weighted",
    "dot_test",
    "make_projector",
]
