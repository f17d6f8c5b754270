"""The two steps from an input to images, as every series of a batch takes them."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctresample.data_tools.dicom_series import FoundSeries, load_series
from ctresample.data_tools.sinogram_file import read_sinogram
from ctresample.data_tools.volume_source import is_volume_file, read_volume_file
from ctresample.pipelines.batch.settings import BatchSettings
from ctresample.pipelines.loaded_prior import LoadedPrior
from ctresample.pipelines.methods import Needs, method_named
from ctresample.pipelines.reconstruct import reconstruct
from ctresample.pipelines.simulate import scanned
from ctresample.result import Reconstruction
from ctresample.sinogram import Sinogram
from ctresample.volume import Volume

Share = Callable[[float], None]


def measured(
    source: FoundSeries | Path, settings: BatchSettings, progress: Share | None = None
) -> tuple[Sinogram, NDArray[np.float32] | None]:
    """The sinogram of an input, and what was scanned, ``[z, y, x]`` in HU on its grid: None where it was measured.

    Args:
        source: a series or a volume file, which is scanned, or a sinogram file.
        settings: of the batch.
        progress: told the fraction of the scan done.

    Raises:
        CTResampleError: an input that cannot be read, or settings that do not fit it.
    """
    if isinstance(source, Path) and not is_volume_file(source):
        return read_sinogram(source).every(settings.every), None
    volume = read_volume_file(source) if isinstance(source, Path) else _loaded(source, settings)
    sinogram = settings.scan.scan(volume, seed=settings.seed, progress=progress)
    return sinogram, scanned(volume, settings.scan.size).hu


def _loaded(source: FoundSeries, settings: BatchSettings) -> Volume:
    return load_series(
        source,
        allow_gaps=settings.allow_gaps,
        resample_tilt=settings.resample_tilt,
        even_steps_mm=settings.even_steps_mm,
    )


def images_of(
    sinogram: Sinogram, settings: BatchSettings, batch_size: int, progress: Share | None = None
) -> Reconstruction:
    """Reconstruct a sinogram; see `ctresample.pipelines.reconstruct.reconstruct`."""
    learned = learned_model(settings)
    return reconstruct(
        sinogram,
        method=settings.method,
        preset=settings.preset,
        prior=learned.model if learned else None,
        seed=settings.seed,
        window=settings.window,
        physics=settings.physics,
        device=settings.device,
        batch_size=batch_size,
        progress=progress,
    )


def learned_model(settings: BatchSettings) -> LoadedPrior | None:
    """The learned model of the method, if it needs one; loaded once in a process."""
    name = settings.prior_name()
    return None if name is None else _load(name, settings.device, method_named(settings.method).needs)


@lru_cache(maxsize=1)
def _load(name: str, device: str, kind: Needs) -> LoadedPrior:
    return LoadedPrior.load(name, device, kind)
