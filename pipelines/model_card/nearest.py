"""The training slice that an image is nearest to, as a whole or in part, shifted, turned, scaled or mirrored."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from ctresample.data_tools.training_data import NATIVE_SIZE, TrainingSlices
from ctresample.pipelines.work import Work
from ctresample.units import AIR_HU

COARSE, FINE = 16, 64
"""Pixels a side on which all parts of slices are tried, and on which the best are brought into line."""

KEPT = 32
"""Parts of slices that are brought into line."""

POSES = tuple((turn, scale) for turn in (-7.0, 0.0, 7.0) for scale in (0.85, 1.0, 1.15))
"""Ways to turn (in degrees) and scale an image; training turns by up to 10 degrees and scales by up to 20 %."""

TONES_HU = (-1000.0, 500.0)
"""Images are compared between these: what distinguishes two slices is their tissue, not how bright bone is."""

_CROP = NATIVE_SIZE // 2
_CORNERS = tuple((i, j) for i in range(0, _CROP + 1, _CROP // 2) for j in range(0, _CROP + 1, _CROP // 2))
_PLACES = 1 + len(_CORNERS)  # the whole slice, then its parts at the scanner's pixel size
_CHUNK = 64
_DESCENTS = 60
_LEAST_VARIANCE = 1e-4  # of an image: below, it is as good as flat


@dataclass(frozen=True)
class Nearest:
    """The nearest training slice of one image.

    Attributes:
        distance: root mean square difference over the standard deviation of the image, where both are known; 0 for
            a copy, around 1 for images that share nothing.
        slice_index: of the training slice.
        place: 0 for the whole slice, else the part of it at the scanner's pixel size.
        place_of: affine map ``(2, 3)`` from places in the image to those in that part, both from -1 to 1.
    """

    distance: float
    slice_index: int
    place: int
    place_of: tuple[tuple[float, float, float], ...]


def nearest_slices(
    images: torch.Tensor, slices: TrainingSlices, on_progress: Callable[[float], None] | None = None
) -> list[Nearest]:
    """The nearest training slice of each image.

    Training shows a prior whole slices and parts of them at the scanner's pixel size; an image is compared with both.
    All of them are tried at low resolution: mirrored, turned, scaled and with every shift of up to a quarter of the
    image. The best are then brought into line with it at a higher one, by descent on turn, scale and shift.

    Args:
        images: ``(n, 1, size, size)`` in HU.
        slices: all that the prior was trained on.
        on_progress: told the fraction done, from 0 to 1.
    """
    work = Work(2.0, (lambda share, _: on_progress(share)) if on_progress else None)
    work.start("all parts", 1.0)
    tones = _tones(images)
    coarse = [_posed(_shrunk(image[None], COARSE)) for image in tones]
    tried: list[list[tuple[torch.Tensor, torch.Tensor]]] = [[] for _ in images]
    for first in range(0, len(slices.hu), _CHUNK):
        parts = torch.cat([_parts(slices, k, COARSE) for k in range(first, min(first + _CHUNK, len(slices.hu)))])
        for poses, found in zip(coarse, tried, strict=True):
            found.append(_best_shifts(*poses, parts))
        work.share(min(1.0, (first + _CHUNK) / len(slices.hu)))
    work.start("the best", 1.0)
    nearest = []
    for image, found in zip(tones, tried, strict=True):
        distances, maps = (torch.cat(chunks) for chunks in zip(*found, strict=True))
        best = distances.argsort()[:KEPT]
        places = [divmod(number, _PLACES) for number in best.tolist()]
        parts = torch.stack([_parts(slices, index, FINE)[place] for index, place in places])
        aligned, maps = _brought_into_line(_shrunk(image[None], FINE), parts, maps[best])
        k = int(aligned.argmin())
        (slice_index, place), place_of = places[k], tuple((a, b, c) for a, b, c in maps[k].tolist())
        nearest.append(Nearest(float(aligned[k]), slice_index, place, place_of))
        work.share(len(nearest) / len(images))
    return nearest


def in_line(slices: TrainingSlices, nearest: Nearest, size: int) -> torch.Tensor:
    """The training slice that was found, brought into line with the image: ``(size, size)`` in HU, air around."""
    found = F.adaptive_avg_pool2d(_cut(slices.hu[nearest.slice_index], nearest.place), size) - AIR_HU
    return _sampled(found, torch.tensor([nearest.place_of]))[0][0] + AIR_HU


def centre_parts(slices: TrainingSlices, size: int) -> torch.Tensor:
    """The middle of every slice at the scanner's pixel size, ``(n, 1, size, size)`` in HU."""
    middle = _CORNERS.index((_CROP // 2, _CROP // 2)) + 1
    return torch.cat([F.adaptive_avg_pool2d(_cut(slices.hu[k], middle), size) for k in range(len(slices.hu))])


def _cut(hu: NDArray[np.int16], place: int) -> torch.Tensor:
    """A place of a slice, ``(1, 1, rows, columns)``."""
    row, column, side = (0, 0, NATIVE_SIZE) if place == 0 else (*_CORNERS[place - 1], _CROP)
    return torch.from_numpy(hu[row : row + side, column : column + side].astype(np.float32))[None, None]


def _parts(slices: TrainingSlices, index: int, size: int) -> torch.Tensor:
    """All places of a slice in tones, ``(_PLACES, size, size)``."""
    hu = slices.hu[index]
    return torch.cat([_shrunk(_tones(_cut(hu, place)), size) for place in range(_PLACES)])[:, 0]


def _tones(hu: torch.Tensor) -> torch.Tensor:
    """0 to 1 over `TONES_HU`."""
    low, high = TONES_HU
    return (hu.clamp(low, high) - low) / (high - low)


def _shrunk(image: torch.Tensor, size: int) -> torch.Tensor:
    return F.adaptive_avg_pool2d(image, size)


def _posed(image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """An image ``(1, 1, n, n)`` in all poses, each also mirrored.

    Returns:
        The images ``(poses, n, n)``, which of their pixels are known, and the linear maps ``(poses, 2, 2)`` from
        places in them to places in the image.
    """
    maps = torch.tensor(
        [
            [
                [mirror * math.cos(turn) / scale, -math.sin(turn) / scale],
                [mirror * math.sin(turn) / scale, math.cos(turn) / scale],
            ]
            for turn, scale in ((math.radians(turn), scale) for turn, scale in POSES)
            for mirror in (1.0, -1.0)
        ]
    )
    moved, known = _sampled(image.expand(len(maps), -1, -1, -1), F.pad(maps, (0, 1)))
    return moved, known, maps


def _sampled(images: torch.Tensor, theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Images ``(n, 1, m, m)`` looked up at ``theta`` of each place, and where that lies inside of them."""
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    known = (grid.detach().abs() < 1 - 1 / images.shape[-1]).all(-1)
    return F.grid_sample(images, grid, align_corners=False)[:, 0], known.float()


def _best_shifts(
    poses: torch.Tensor, known: torch.Tensor, maps: torch.Tensor, parts: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Least distance of an image in any pose, under any shift, to each part ``(n, m, m)``, and the map that has it.

    The squared differences of all shifts come from three correlations, made by one FFT.

    Returns:
        Distances ``(n,)``, and affine maps ``(n, 2, 3)`` from places in the image to places in the part.
    """
    m = parts.shape[-1]
    reach = m // 4
    padded = (m + reach, m + reach)  # so that no shift within reach wraps around
    lags = torch.cat([torch.arange(reach + 1), torch.arange(-reach, 0)])

    def spectrum(x: torch.Tensor) -> torch.Tensor:
        return torch.fft.rfft2(x, s=padded)

    def at_lags(product: torch.Tensor) -> torch.Tensor:
        return torch.fft.irfft2(product, s=padded)[..., lags[:, None], lags]

    ones, p, p_squared = (spectrum(x) for x in (torch.ones(m, m), parts, parts.square()))
    least = torch.full((len(parts),), math.inf)
    best = torch.zeros(len(parts), 2, 3)
    for pose, mask, linear in zip(poses, known, maps, strict=True):
        there, x, x_squared = (spectrum(a * mask).conj() for a in (torch.ones(m, m), pose, pose.square()))
        count = at_lags(there * ones).clamp(min=1)
        variance = at_lags(x_squared * ones) / count - (at_lags(x * ones) / count).square()
        squares = at_lags(x_squared * ones + there * p_squared - 2 * x * p) / count
        distance, where = (squares.clamp(min=0) / variance.clamp(min=_LEAST_VARIANCE)).sqrt().flatten(1).min(1)
        shift = torch.stack([lags[where % len(lags)], lags[where // len(lags)]], -1) * (2 / m)
        nearer = distance < least
        least = torch.where(nearer, distance, least)
        inverse = torch.linalg.inv(linear).expand(len(parts), 2, 2)
        best = torch.where(nearer[:, None, None], torch.cat([inverse, shift[:, :, None]], -1), best)
    return least, best


def _brought_into_line(
    image: torch.Tensor, parts: torch.Tensor, maps: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Least distance of an image ``(1, 1, m, m)`` to each part ``(n, m, m)`` on Adam's way down from ``maps``.

    Returns:
        Distances ``(n,)``, and the maps ``(n, 2, 3)`` that have them.
    """
    change = torch.zeros(len(parts), 4, requires_grad=True)  # log scale, turn in radians, shift
    optimiser = torch.optim.Adam([change], lr=0.01)
    least, best = torch.full((len(parts),), math.inf), maps
    for _ in range(_DESCENTS):
        scale, turn = change[:, 0].exp(), change[:, 1]
        cos, sin = scale * turn.cos(), scale * turn.sin()
        turned = torch.stack([cos, -sin, sin, cos], -1).view(-1, 2, 2) @ maps[:, :, :2]
        moved = torch.cat([turned, maps[:, :, 2:] + change[:, 2:, None]], -1)
        seen, known = _sampled(parts[:, None], moved)
        count = known.sum((1, 2)).clamp(min=1)
        mean = (image[0] * known).sum((1, 2)) / count
        variance = ((image[0] - mean[:, None, None]).square() * known).sum((1, 2)) / count
        squares = ((seen - image[0]).square() * known).sum((1, 2)) / count / variance.clamp(min=_LEAST_VARIANCE)
        distance = squares.detach().sqrt()
        best = torch.where((distance < least)[:, None, None], moved.detach(), best)
        least = torch.minimum(least, distance)
        optimiser.zero_grad()
        squares.sum().backward()
        optimiser.step()
    return least, best
