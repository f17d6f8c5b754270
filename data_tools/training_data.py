"""Random training images from CT slices: balanced over patients, augmented, reproducible."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from ctresample.data_tools.shards.read import ShardStack, is_split, read_split
from ctresample.data_tools.shards.source import NATIVE_SIZE, Rejections, find_sources, iter_training_images
from ctresample.data_tools.training_batches import stream_batches
from ctresample.errors import UsageError
from ctresample.paths import StrPath, as_path
from ctresample.units import AIR_HU

__all__ = ["NATIVE_SIZE", "TrainingSlices"]


@dataclass(frozen=True)
class TrainingSlices:
    """CT slices to train on, in memory or in shards.

    Attributes:
        hu: int16 ``[n, 512, 512]``, at least -1000 HU (what lies outside the field of view reads as air); an array,
            or a stack that reads a slice from its shard when asked for it.
        patients: a number a slice, the same for slices of one patient.
        patient_hashes: of the patients' identifiers, to tell that two sets share none.
        digest: identifies the slices, for provenance.
    """

    hu: NDArray[np.int16] | ShardStack
    patients: NDArray[np.int64]
    patient_hashes: tuple[str, ...]
    digest: str

    @classmethod
    def read(cls, path: StrPath, on_warning: Callable[[str], None] | None = None) -> TrainingSlices:
        """The slices of one split of a set of shards, or every axial CT slice of a place of DICOM files.

        Shards stay on disk; DICOM slices are decoded into memory, half a megabyte each.

        Args:
            path: ``train`` or ``val`` of a folder that ``ctresample dataset`` made; or a folder tree of DICOM or
                zip files.
            on_warning: called with one line that says how many files were left out and why.

        Raises:
            DatasetError: a shard that is missing, damaged or cut short.
            DicomError: no usable CT slice.
            UsageError: the folder of all shards, where one split is expected.
        """
        path = as_path(path, "path")
        if is_split(path):
            stack, names, digest = read_split(path)
            hashes, patients = np.unique(names, return_inverse=True)
            return cls(stack, patients.astype(np.int64), tuple(hashes.tolist()), digest)
        rejected = Rejections()
        images, names, content = [], [], hashlib.sha256()
        for image in iter_training_images(find_sources([path], rejected), rejected):
            content.update(image.hu.tobytes())
            images.append(image.hu)
            names.append(image.patient)
        rejected.check_some_left([path], len(images))
        if rejected and on_warning:
            on_warning(f"{path}: left out {'; '.join(rejected.lines())}")
        hashes, patients = np.unique(names, return_inverse=True)
        return cls(np.stack(images), patients.astype(np.int64), tuple(hashes.tolist()), content.hexdigest()[:16])

    @property
    def summary(self) -> str:
        return f"{len(self.hu)} slices of {len(self.patient_hashes)} patients"

    def check_apart(self, held_out: TrainingSlices) -> None:
        """`UsageError` if a patient is in both sets: validation would then measure memory."""
        shared = set(self.patient_hashes) & set(held_out.patient_hashes)
        if shared:
            raise UsageError(
                f"{len(shared)} patients are in both the training and the validation folder; move their slices to one"
            )

    def whole(self, size: int, indices: Iterable[int] | None = None) -> torch.Tensor:
        """Slices unchanged on ``size`` x ``size`` pixels, ``(n, 1, size, size)`` in HU: all, or those asked for."""
        indices = range(len(self.hu)) if indices is None else indices
        # one by one: at full size and in floats they may not fit into memory together
        return torch.stack([F.adaptive_avg_pool2d(_hu(self.hu[k]), size)[0] for k in indices])

    @functools.cached_property
    def _balance(self) -> tuple[list[NDArray[np.int64]], NDArray[np.float64]]:
        """Indices of each patient's slices, and the chance of drawing each patient."""
        slices = [np.flatnonzero(self.patients == number) for number in np.unique(self.patients)]
        weight = np.sqrt([len(indices) for indices in slices])
        return slices, weight / weight.sum()

    def draw(
        self, generator: np.random.Generator, size: int, whole_share: float, four_share: float = 0.0
    ) -> torch.Tensor:
        """One augmented image ``(1, size, size)`` in HU.

        A patient is drawn with the square root of its number of slices, so that no scan dominates; then one of its
        slices, mirrored half of the time, turned by up to 10 degrees, scaled by up to 20 % and shifted: as a whole,
        or as a crop at the scanner's own pixel size.

        Args:
            generator: of all randomness.
            size: rows and columns wanted.
            whole_share: share of whole slices; the rest are crops.
            four_share: share of images that are four whole slices side by side, on pixels twice as wide.
        """
        if four_share and generator.random() < four_share:
            top, bottom = (
                torch.cat([self.draw(generator, size // 2, 1.0) for _ in range(2)], dim=-1) for _ in range(2)
            )
            return torch.cat([top, bottom], dim=-2)
        slices, share = self._balance
        index = int(generator.choice(slices[generator.choice(len(slices), p=share)]))
        x = _hu(self.hu[index]) - AIR_HU
        whole = generator.random() < whole_share
        scale = math.exp(generator.uniform(-0.2, 0.15)) * (1.0 if whole else size / NATIVE_SIZE)
        reach = 0.06 if whole else 0.4
        angle = math.radians(generator.uniform(-10, 10))
        mirror = 1.0 if generator.random() < 0.5 else -1.0
        shift = generator.uniform(-reach, reach, 2)
        cos, sin = scale * math.cos(angle), scale * math.sin(angle)
        if whole:
            # A large pixel is the mean of those it covers: here the mean around each point, then one sample of it.
            x = _running_mean(x, max(1, round(NATIVE_SIZE / size)))
        to_source = torch.tensor([[mirror * cos, -sin, shift[0]], [mirror * sin, cos, shift[1]]])
        grid = _grid(to_source * (NATIVE_SIZE / x.shape[-1]), size)
        drawn = F.grid_sample(x, grid, mode="bilinear" if whole else "bicubic", align_corners=False)
        return drawn[0] + AIR_HU

    def batch(
        self, seed: Sequence[int], n: int, size: int, whole_share: float, four_share: float = 0.0
    ) -> torch.Tensor:
        """``(n, 1, size, size)`` images; the same ``seed`` gives the same images."""
        drawn = [self.draw(np.random.default_rng([*seed, k]), size, whole_share, four_share) for k in range(n)]
        return torch.stack(drawn)

    def batches(
        self,
        seed: Sequence[int],
        n: int,
        size: int,
        whole_share: float,
        four_share: float = 0.0,
        *,
        first_step: int = 0,
        workers: int = 0,
    ) -> Iterator[torch.Tensor]:
        """The batches of steps ``first_step``, ``first_step + 1`` and so on without end, made ahead of their use.

        That of a step is ``batch((*seed, step), ...)`` whatever the step the run began with and the workers, so
        that a resumed training sees the images that it would have seen.

        Args:
            seed: of the run, and of the device where there are several.
            n: images a batch.
            size: rows and columns wanted.
            whole_share: share of whole slices.
            four_share: share of images of four slices, see `draw`.
            first_step: number of the first batch.
            workers: processes that make batches; 0 for none but this one, which then makes each when it is asked for.

        Raises:
            DatasetError: a shard cannot be read any more.
        """
        batch_of = functools.partial(self._batch_of_step, seed, n, size, whole_share, four_share)
        return stream_batches(batch_of, first_step, workers)

    def _batch_of_step(
        self, seed: Sequence[int], n: int, size: int, whole_share: float, four_share: float, step: int
    ) -> torch.Tensor:
        return self.batch((*seed, step), n, size, whole_share, four_share)


def _hu(stored: NDArray[np.int16]) -> torch.Tensor:
    return torch.from_numpy(stored.astype(np.float32))[None, None]


def _running_mean(x: torch.Tensor, k: int) -> torch.Tensor:
    """Mean of every ``k`` x ``k`` pixels, ``(..., n - k + 1, n - k + 1)``, around the same centre."""
    n = x.shape[-1] - k + 1
    for axis in (-2, -1):
        x = functools.reduce(torch.add, (x.narrow(axis, i, n) for i in range(k)))
    return x / k**2


def _grid(to_source: torch.Tensor, size: int) -> torch.Tensor:
    """Sampling points ``(1, size, size, 2)`` of an affine map ``(2, 3)``, as `torch.nn.functional.affine_grid`."""
    along = (torch.arange(size) + 0.5) * (2 / size) - 1
    column, row, shift = to_source.float().T
    return (along[:, None, None] * row + (along[:, None] * column + shift)[None])[None]
