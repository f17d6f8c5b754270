"""One series as a task, and what came of it: both travel between processes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from ctresample.data_tools.dicom.series import FoundSeries
from ctresample.files import unfinished_folder
from ctresample.pipelines.batch.settings import BatchSettings


@dataclass(frozen=True, eq=False)
class Job:
    """A series to reconstruct; the result follows from this alone.

    Attributes:
        key: of the series.
        source: what to read.
        n_slices: how many the result will have.
        folder: the absolute place of the result.
        settings: what to do.
        created: the date that the result bears.
        threads: of torch.
        batch_size: slices reconstructed together; fewer where memory runs out.
        stamp: of the input when it was found.
        share: ``(k, n)``: not the result, but every n-th of the parts it is made of; None for the result.
    """

    key: str
    source: FoundSeries | Path
    n_slices: int
    folder: Path
    settings: BatchSettings
    created: datetime
    threads: int
    batch_size: int
    stamp: str
    share: tuple[int, int] | None = None

    @property
    def parts_folder(self) -> Path:
        """Where workers that share a series put its parts."""
        return unfinished_folder(self.folder)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a job: JSON-able, without patient data.

    Attributes:
        key: of the series.
        status: "done" or "failed".
        stamp: of the input: over sizes and times of its files.
        fingerprint: over every byte of them; empty for a failure.
        reason: of a failure.
        slices: in the result.
        seconds: wall time.
        batch_size: the one that memory was enough for.
        residual_ratio: mean over slices; 1 fits the data as well as their noise allows.
        psnr_db: mean over slices against the source, None where no source was scanned.
        ssim: the same.
        rmse_hu: the same.
        files: in the result folder.
        n_bytes: of them.
        sha256: over their names and contents.
        doubts: what is doubtful about the scan and the image, a sentence each.
        notes: what was said while the series was read, scanned and cleaned.
    """

    key: str
    status: Literal["done", "failed"]
    stamp: str
    fingerprint: str = ""
    reason: str = ""
    slices: int = 0
    seconds: float = 0.0
    batch_size: int = 0
    residual_ratio: float | None = None
    psnr_db: float | None = None
    ssim: float | None = None
    rmse_hu: float | None = None
    files: int = 0
    n_bytes: int = 0
    sha256: str = ""
    doubts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
