"""One method on batches of one scan: images with their figures, or why there are none."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ctresample.metrics import flicker
from ctresample.operators import Projector
from ctresample.pipelines.benchmark.memory import PeakMemory
from ctresample.pipelines.benchmark.runs import FAILURES, Run, reason_of
from ctresample.pipelines.benchmark.scoring import image_figures, origin_figures
from ctresample.pipelines.benchmark.tally import COUNTED, CountedProjector, Tally, counted_networks
from ctresample.pipelines.reconstruction.maps import error_parts
from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.sinogram import Sinogram
from ctresample.volume import Volume

Tried = tuple[NDArray[np.float32] | None, dict[str, Any]]
"""An image in HU and its columns of the results table; of a failure no image, its reason and its seconds."""


@dataclass(frozen=True)
class Trial:
    """A method on one scan.

    Attributes:
        sinogram: of all slices that were scanned together.
        projector: of its geometry and grid; None where slices are seen from different angles.
        truths: one a slice.
        numbers: of the slices among all, by which they draw their random numbers.
        run: the method and its settings.
        seed: of methods that sample.
        model: the learned one, if the method needs it.
        device: where to reconstruct.
        by_volume: the slices are neighbours in one volume, and reconstructed as such.
        batch_size: of a volume: slices that are worked on together.
    """

    sinogram: Sinogram
    projector: Projector | None
    truths: Sequence[Volume]
    numbers: Sequence[int]
    run: Run
    seed: int
    model: Any
    device: torch.device | str
    by_volume: bool = False
    batch_size: int = 8

    def batch(self, numbers: Sequence[int], progress: Callable[[float], None]) -> list[Tried]:
        """Slices of these numbers together; where that fails, one by one, so that each is judged by itself.

        A volume has no slices by themselves, and fails as a whole.
        """
        began = time.perf_counter()
        try:
            return self._images(numbers, progress)
        except FAILURES as error:
            reason = reason_of(error)
        # only here, for while an error is being handled it keeps what had been computed in memory
        if len(numbers) > 1 and not self.by_volume:
            return [self.batch([number], progress)[0] for number in numbers]
        seconds = (time.perf_counter() - began) / len(numbers)
        return [(None, {"failure": reason, "seconds": seconds}) for _ in numbers]

    def _images(self, numbers: Sequence[int], progress: Callable[[float], None]) -> list[Tried]:
        kept, n = list(numbers), len(numbers)
        part = self.sinogram if self.by_volume else self.sinogram.part(kept)
        size = self.batch_size if self.by_volume else n
        tally, A = Tally(), self.projector
        with counted_networks(self.model, tally), PeakMemory(self.device) as memory:
            result = reconstruct(
                part,
                method=self.run.method,
                settings=self.run.load_settings(),
                prior=self.model,
                seed=self.seed,
                z_coupling=self.run.z_coupling or "none",
                device=self.device,
                batch_size=size,
                progress=progress,
                projector=None if A is None else CountedProjector(A, tally),
                slice_numbers=[self.numbers[k] for k in kept],
            )
        common = {
            "seconds": result.seconds / n,
            "peak_memory_mb": memory.megabytes,
            **{name: tally[name] / n for name in COUNTED},
            **({} if A is not None else dict.fromkeys(("projections", "back_projections"), math.nan)),  # not counted
        }
        truths = [self.truths[k] for k in kept]
        truth_hu = np.concatenate([truth.hu for truth in truths])
        flickers = _flickers(result.image_hu, truth_hu) if self.by_volume else [math.nan] * n
        origins: Iterable[dict[str, float]] = [{}] * n
        if not part.geometry.is_volume:  # of a whole volume they would take longer than the image
            parts = error_parts(part, result.image_hu - truth_hu, device=self.device, batch_size=size, projector=A)
            origins = map(origin_figures, *parts)
        return [
            (
                image,
                {
                    **image_figures(image, truth.hu[0], truth.spacing_mm[0]),
                    **origin,
                    "flicker": unrest,
                    "residual_ratio": ratio,
                    **common,
                },
            )
            for image, truth, origin, unrest, ratio in zip(
                result.image_hu, truths, origins, flickers, result.residual_ratio, strict=True
            )
        ]


def _flickers(image_hu: NDArray[np.float32], truth_hu: NDArray[np.float32]) -> list[float]:
    """Of each slice with its neighbours; NaN of one that has none."""
    n = len(image_hu)
    near = [slice(max(k - 1, 0), k + 2) for k in range(n)]
    return [flicker(image_hu[few], truth_hu[few]) if n > 1 else math.nan for few in near]
