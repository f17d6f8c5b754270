"""Images that a report shows, kept in memory or in a folder that a stopped benchmark finds again."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctresample.files import as_output_error, write_file
from ctresample.pipelines.benchmark.compare import Outcome
from ctresample.pipelines.benchmark.runs import Run
from ctresample.pipelines.benchmark.slice_images import SliceImages
from ctresample.pipelines.viewer.zoom import Zoom, zoom_on_error
from ctresample.result import ResultRow

Image = NDArray[np.floating[Any]]

_TRUTH = "truth"


class Pictures:
    """Truth and reconstructions of a few slices, of the first noise draw.

    Args:
        folder: where each is kept as a float32 array in HU; None to keep them in memory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._images: dict[tuple[str, str, str], Image] = {}

    def add(self, outcome: Outcome) -> None:
        """Keep the image of an outcome, unless it is a failure."""
        if outcome.image is not None:
            self._put(outcome.row, _TRUTH, outcome.truth_hu)
            self._put(outcome.row, outcome.row.label, outcome.image.hu[0])

    def slices(
        self, rows: Sequence[ResultRow], *, baseline: str = "", zoom: Zoom | None = None
    ) -> dict[str, SliceImages]:
        """What `write_report` shows: by name of the slice, in the order of the rows.

        Args:
            rows: the whole table.
            baseline: label of the method whose error says what to enlarge; of all methods where it is not there.
            zoom: the region to enlarge in all slices instead.
        """
        several = len({row.condition for row in rows}) > 1
        found: dict[tuple[str, str], dict[str, Image]] = {}
        for row in rows:
            image = self._get(row, row.label)
            if image is not None:
                found.setdefault((row.slice, row.condition), {}).setdefault(row.label, image)
        slices = {}
        for (name, condition), by_method in found.items():
            row = next(row for row in rows if (row.slice, row.condition) == (name, condition))
            truth = self._get(row, _TRUTH)
            if truth is None:
                continue
            judged = [by_method[baseline]] if baseline in by_method else list(by_method.values())
            region = zoom or zoom_on_error(truth, judged)
            title = f"{name}, {condition}" if several else name
            slices[title] = SliceImages(truth, by_method, condition, region)
        return slices

    def _put(self, row: ResultRow, label: str, image: Image) -> None:
        self._images[row.condition, row.slice, label] = image
        if self._folder is None:
            return
        path = self._path(row, label)
        with as_output_error(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        np.save(content, image.astype(np.float32))
        write_file(path, content.getbuffer())

    def _get(self, row: ResultRow, label: str) -> Image | None:
        image = self._images.get((row.condition, row.slice, label))
        if image is None and self._folder is not None and self._path(row, label).is_file():
            image = np.load(self._path(row, label), allow_pickle=False)
        return image

    def _path(self, row: ResultRow, label: str) -> Path:
        assert self._folder is not None  # noqa: S101  # asked for by callers that have seen to it
        return self._folder / _file_name(row.condition) / row.slice / f"{_file_name(label)}.npy"


def pictured_slices(runs: Sequence[Run], n_slices: int, n_pictures: int) -> set[int]:
    """Indices of slices to show: of those that every method gets, spread evenly."""
    shared = min((run.slices(n_slices) for run in runs), key=len)
    n = min(n_pictures, len(shared))
    return {shared[(2 * k + 1) * len(shared) // (2 * n)] for k in range(n)}


def _file_name(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")
