"""The views of a slice's neighbours, taken as further views of the slice itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from ctresample.operators.base import LinearOperator
from ctresample.operators.stack import one_by_one


class NeighbourViews(LinearOperator):
    """What the rays of each slice and of those near it measure of an error that they have in common.

    If the slice has the error ``e``, the one ``j`` slices on has ``alike_j e`` (and another of its own, which is noise
    here), of which its rays measure ``A_(k+j) alike_j e``. Slices are a batch, ``(slices, 1, rows, columns)`` to
    ``(slices, 1, offsets * views, detectors)``, and none depends on others than those near it.

    Args:
        A: of a stack, ``(1, 1, slices, rows, columns)`` to ``(1, 1, slices, views, detectors)``.
        alike: by offset ``j``, what every voxel of a slice has in common with the one ``j`` slices on, from 0 to 1;
            broadcastable to ``(1, 1, slices, rows, columns)``.
        weights: of the rays of the slice ``j`` on, by offset, ``(1, 1, slices, views, detectors)``; 0 where there is
            no such slice.
    """

    def __init__(
        self, A: LinearOperator, alike: Mapping[int, torch.Tensor], weights: Mapping[int, torch.Tensor]
    ) -> None:
        self._A, self._alike, self._weights = A, alike, weights
        views, detectors = A.range_shape[1:]
        self.domain_shape, self.range_shape = A.domain_shape[1:], (len(alike) * views, detectors)
        self.device, self.dtype, self.exact_adjoint = A.device, A.dtype, A.exact_adjoint

    @property
    def row_norms(self) -> torch.Tensor:
        """As if all that slices have in common were theirs alone: about right."""
        return self.gathered(self._A.row_norms)

    def gathered(self, y: torch.Tensor) -> torch.Tensor:
        """The measurement of a stack as the slices' own: what was measured of each and of those near it, weighted."""
        return one_by_one(torch.cat([weight * there(y, j) for j, weight in self._weights.items()], 3))

    def differences(self, volume: torch.Tensor) -> torch.Tensor:
        """What the rays near a slice measure of its difference from those that they pass, as far as both are alike."""
        return self._seen(lambda j: self._alike[j] * (there(volume, j) - volume))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        volume = x.reshape(1, 1, *self._A.domain_shape)
        return self._seen(lambda j: self._alike[j] * volume)

    def _seen(self, image_of: Callable[[int], torch.Tensor]) -> torch.Tensor:
        """What the rays of the slice ``j`` on see of the image that each slice has for it, one offset after another."""
        seen = [weight * there(self._A.forward(there(image_of(j), -j)), j) for j, weight in self._weights.items()]
        return one_by_one(torch.cat(seen, 3))

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        slices, (views, detectors) = self._A.domain_shape[0], self._A.range_shape[1:]
        x = y.new_zeros(1, 1, *self._A.domain_shape)
        parts = y.reshape(1, 1, slices, len(self._alike), views, detectors).unbind(3)
        for (j, a), part in zip(self._alike.items(), parts, strict=True):
            x = x + a * there(self._A.adjoint(there(self._weights[j] * part, -j)), j)
        return one_by_one(x)


def there(stack: torch.Tensor, j: int) -> torch.Tensor:
    """In place of every slice ``(1, 1, slices, ...)`` the one ``j`` on; beyond an end it goes on at the other."""
    return stack.roll(-j, 2) if j else stack
