"""Linear operators on torch tensors: the contract, the sparse projector and weighting."""

from ctresample.operators.base import LinearOperator, dot_test
from ctresample.operators.sparse import SparseProjector
from ctresample.operators.weighted import Weighted

__all__ = ["LinearOperator", "SparseProjector", "Weighted", "dot_test"]
