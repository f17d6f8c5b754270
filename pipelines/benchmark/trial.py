"""One method on batches of one scan: images with their figures, or why there are none."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

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
        projector: of its geometry and grid.
        truths: one a slice.
        run: the method and its settings.
        seed: of methods that sample.
        model: the learned one, if the method needs it.
        device: where to reconstruct.
    """

    sinogram: Sinogram
    projector: Projector
    truths: Sequence[Volume]
    run: Run
    seed: int
    model: Any
    device: torch.device | str

    def batch(self, numbers: Sequence[int], progress: Callable[[float], None]) -> list[Tried]:
        """Slices of these numbers together; where that fails, one by one, so that each is judged by itself."""
        began = time.perf_counter()
        try:
            return self._images(numbers, progress)
        except FAILURES as error:
            reason = reason_of(error)
        # only here, for while an error is being handled it keeps what had been computed in memory
        if len(numbers) > 1:
            return [self.batch([number], progress)[0] for number in numbers]
        return [(None, {"failure": reason, "seconds": time.perf_counter() - began})]

    def _images(self, numbers: Sequence[int], progress: Callable[[float], None]) -> list[Tried]:
        kept, n = list(numbers), len(numbers)
        part = self.sinogram.part(kept)
        tally = Tally()
        with counted_networks(self.model, tally), PeakMemory(self.device) as memory:
            result = reconstruct(
                part,
                method=self.run.method,
                settings=self.run.load_settings(),
                prior=self.model,
                seed=self.seed,
                z_coupling="none",
                device=self.device,
                batch_size=n,
                progress=progress,
                projector=CountedProjector(self.projector, tally),
                slice_numbers=kept,
            )
        common = {
            "seconds": result.seconds / n,
            "peak_memory_mb": memory.megabytes,
            **{name: tally[name] / n for name in COUNTED},
        }
        truths = np.concatenate([self.truths[k].hu for k in kept])
        errors = error_parts(part, result.image_hu - truths, device=self.device, batch_size=n, projector=self.projector)
        pixel_mm = result.sinogram.grid.pixel_size_mm
        return [
            (
                image,
                {
                    **image_figures(image, truth, pixel_mm),
                    **origin_figures(measured, invented),
                    "residual_ratio": ratio,
                    **common,
                },
            )
            for image, truth, measured, invented, ratio in zip(
                result.image_hu, truths, *errors, result.residual_ratio, strict=True
            )
        ]
