"""What every series of a batch starts with: its sinogram, and the learned model."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctresample.data_tools.ct_source import read_ct_volume
from ctresample.data_tools.dicom.series import FoundSeries, Warn, load_series
from ctresample.data_tools.sinogram.reading import read_sinogram
from ctresample.data_tools.volume_source import is_volume_file
from ctresample.learned import LearnedModel
from ctresample.pipelines.batch.settings import BatchSettings
from ctresample.pipelines.results.options import ResultOptions
from ctresample.pipelines.results.run import load_model
from ctresample.pipelines.scan.measure import scanned
from ctresample.sinogram import Sinogram

Share = Callable[[float], None]


def measured(
    source: FoundSeries | Path,
    settings: BatchSettings,
    progress: Share | None = None,
    on_warning: Warn | None = None,
) -> tuple[Sinogram, NDArray[np.float32] | None]:
    """The sinogram of an input, and what was scanned, ``[z, y, x]`` in HU on its grid: None where it was measured.

    Args:
        source: a series or a volume file, which is scanned, or a sinogram file.
        settings: of the batch.
        progress: told the fraction of the scan done.
        on_warning: called with one line for each thing worth knowing of a series or a volume file.

    Raises:
        CTResampleError: an input that cannot be read, or settings that do not fit it.
    """
    if isinstance(source, Path) and not is_volume_file(source):
        return read_sinogram(source).every(settings.every), None
    if isinstance(source, Path):
        volume = read_ct_volume(source, on_warning=on_warning)
    else:
        volume = load_series(
            source,
            allow_gaps=settings.allow_gaps,
            resample_tilt=settings.resample_tilt,
            even_steps_mm=settings.even_steps_mm,
            on_warning=on_warning,
        )
    sinogram = settings.scan.scan(volume, seed=settings.seed, progress=progress)
    return sinogram, scanned(volume, settings.scan.size).hu


def learned_model(settings: BatchSettings) -> LearnedModel | None:
    """The learned model of the method, if it needs one; loaded once in a process."""
    return _load(settings.method, settings.prior_name(), settings.device)


@lru_cache(maxsize=1)
def _load(method: str, prior: str | None, device: str) -> LearnedModel | None:
    return load_model(ResultOptions(method=method, prior=prior, device=device))
