"""Images shown to the prior shifted and mirrored at random, so that the grids of its networks leave no trace.

Terris, Moreau, Pustelnik and Tachella, "Equivariant plug-and-play image reconstruction", CVPR 2024: the anatomy that a
prior knows is the same wherever it lies, but its networks are not indifferent to shifts and mirrors. Their errors are
of another kind each time, and average out over the steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Frame:
    """How each slice of a batch is shown to the prior.

    Attributes:
        shifts: pixels ``(rows, columns)`` of each slice; what leaves at one edge comes back at the other.
        mirrored: whether the columns of each slice are in reverse order, before the shift.
    """

    shifts: tuple[tuple[int, int], ...]
    mirrored: tuple[bool, ...]

    @classmethod
    def drawn(cls, generators: Sequence[torch.Generator], max_shift: int) -> Frame:
        """A random frame: shifts up to ``max_shift`` pixels each way, mirrored or not; of each slice its own."""
        shifts, mirrored = [], []
        for generator in generators:
            rows, columns = torch.randint(-max_shift, max_shift + 1, (2,), generator=generator).tolist()
            shifts.append((rows, columns))
            mirrored.append(bool(torch.randint(2, (), generator=generator)))
        return cls(tuple(shifts), tuple(mirrored))

    def there(self, x: torch.Tensor) -> torch.Tensor:
        """Images ``(B, 1, rows, columns)`` as the prior is to see them."""
        moved = [
            torch.roll(one.flip(-1) if mirror else one, shift, (-2, -1))
            for one, shift, mirror in zip(x, self.shifts, self.mirrored, strict=True)
        ]
        return torch.stack(moved)

    def back(self, x: torch.Tensor) -> torch.Tensor:
        """Images as the prior sees them, in their own place; the inverse of `there`, to the last bit."""
        moved = []
        for one, (rows, columns), mirror in zip(x, self.shifts, self.mirrored, strict=True):
            one = torch.roll(one, (-rows, -columns), (-2, -1))
            moved.append(one.flip(-1) if mirror else one)
        return torch.stack(moved)
