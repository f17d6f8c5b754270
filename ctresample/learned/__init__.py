"""Learned models, as the rest of the package sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ctresample.choices import ModelKind

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class LearnedModel(Protocol):
    """A model that took part in a result: networks on their device, and what tells which it is.

    Attributes:
        kind: what methods ask for.
        name: as its config calls it.
        sha256: one hash over all its weights; None of a model that was never in a file.
        config: dataclass of what is needed to use it.
    """

    @property
    def kind(self) -> ModelKind: ...  # noqa: D102

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def sha256(self) -> str | None: ...  # noqa: D102

    @property
    def config(self) -> DataclassInstance: ...  # noqa: D102

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """`PriorError` if it cannot take images of ``(rows, columns)``."""
