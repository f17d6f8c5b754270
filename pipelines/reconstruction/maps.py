"""Maps beside a reconstruction: where it disagrees with the data, and what its prior was free to choose."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from ctresample.choices import Window
from ctresample.consistency import open_part
from ctresample.errors import UsageError
from ctresample.geometry import Grid
from ctresample.metrics import local_rms
from ctresample.operators import Projector, Weighted, make_projector
from ctresample.pipelines.reconstruction.physics import LINEAR, Physics
from ctresample.sinogram import Sinogram
from ctresample.solvers.fbp import fbp
from ctresample.solvers.fdk import fdk
from ctresample.units import AIR_HU, MATTERS_HU, hu_to_mu

WINDOW: Window = "hann"
CUTOFF = 0.25
"""Of the ramp filter in residual maps. A good reconstruction explains the data up to their noise, so at full resolution
the map would show little else; a quarter leaves an eighth of it, and blurs what is narrower than about four bins."""

SPREAD_HU = MATTERS_HU
"""Noise a pixel, in HU, that parts measured and not measured."""

TOLERANCE_HU = 0.2
"""Of an origin map: a slice is done when an iteration of conjugate gradients moves it less (root mean square). What is
left then is 0.2 HU for 25 views, 0.3 for 60 (root mean square), and 4 in the worst pixel."""


def residual_map(
    sinogram: Sinogram,
    image_hu: NDArray[np.float32],
    *,
    physics: Physics = LINEAR,
    device: torch.device | str = "cpu",
    batch_size: int = 8,
) -> NDArray[np.float32]:
    """Where an image disagrees with what was measured, in HU: the smooth filtered back projection of ``y - A x``.

    That is FBP of the data minus FBP of the same scan of the image, so the streaks of few views cancel where the image
    explains the data. Positive where the scan saw more attenuation than the image has. The noise of the data is in it;
    what the views cannot see is not: an invention of the prior that no ray contradicts leaves no mark.

    Args:
        sinogram: what was measured.
        image_hu: ``[slice, y, x]`` in HU, on its grid.
        physics: what the measurement was taken to be; of a tube's spectrum ``A`` is the polychromatic model, and counts
            are compared as line integrals.
        device: where to compute.
        batch_size: slices computed together.

    Returns:
        ``[slice, y, x]`` differences in HU.
    """
    back_project = fdk if sinogram.geometry.is_volume else fbp
    measured_as = Physics(tube_kilovolts=physics.tube_kilovolts)

    def misfit(x: torch.Tensor, y: torch.Tensor, sigma: torch.Tensor, A: Projector) -> torch.Tensor:
        model = measured_as.problem(sinogram, A, y, sigma).model
        return back_project(y - model(x), A.geometry, A.grid, window=WINDOW, cutoff=CUTOFF, extrapolate=False)

    return _mapped("a residual map", misfit, sinogram, image_hu, device, batch_size)


def origin_map(
    sinogram: Sinogram,
    image_hu: NDArray[np.float32],
    *,
    physics: Physics = LINEAR,
    device: torch.device | str = "cpu",
    batch_size: int = 8,
    projector: Projector | None = None,
) -> NDArray[np.float32]:
    """What of an image the data do not determine, in HU: ``Q x`` of `ctresample.consistency.open_part`.

    What is left of the image without it is measured: the data ask for it, whatever the method. The map itself the data
    neither ask for nor speak against; a prior, a smoothness or a filter put it there, rightly or not. It has a sign:
    positive where attenuation was filled in, negative where it was taken away.

    Args:
        sinogram: what was measured.
        image_hu: ``[slice, y, x]`` in HU, on its grid.
        physics: what the measurement was taken to be; a nonlinear model is linearised at the image.
        device: where to compute.
        batch_size: slices computed together.
        projector: of the sinogram's geometry and grid, on ``device``; by default `make_projector`'s.

    Returns:
        ``[slice, y, x]`` in HU, 0 where all is measured.
    """
    unit = sinogram.mu_water_per_mm / 1000

    def not_measured(x: torch.Tensor, y: torch.Tensor, sigma: torch.Tensor, A: Projector) -> torch.Tensor:
        problem = physics.problem(sinogram, A, y, sigma)
        whitened = Weighted(problem.model.linearised(x), 1 / problem.sigma(x))
        return open_part(x, whitened, spread=SPREAD_HU * unit, tolerance=TOLERANCE_HU * unit)

    return _mapped("an origin map", not_measured, sinogram, image_hu, device, batch_size, projector)


def error_parts(
    sinogram: Sinogram,
    error_hu: NDArray[np.float32],
    *,
    device: torch.device | str = "cpu",
    batch_size: int = 8,
    projector: Projector | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """An error in HU, split into what the data could have told, ``P e``, and what they leave open, ``Q e``.

    Args:
        sinogram: what was measured.
        error_hu: ``[slice, y, x]``, a reconstruction minus the truth.
        device: where to compute.
        batch_size: slices computed together.
        projector: see `origin_map`.
    """
    # an attenuation that is zero is -1000 HU, so that an error becomes one by subtracting them
    left_open = origin_map(
        sinogram, error_hu + np.float32(AIR_HU), device=device, batch_size=batch_size, projector=projector
    )
    return error_hu - left_open, left_open


def check_scan(what: str, sinogram: Sinogram) -> None:
    """`UsageError` for a scan that no residual or origin map can be made of: of a helix rays leave the image."""
    if sinogram.geometry.name == "helical":
        raise UsageError(f"{what} of a helical scan is not there; leave it out, or use reconstruct --rebin")


def _mapped(
    what: str,
    make: Callable[[torch.Tensor, torch.Tensor, torch.Tensor, Projector], torch.Tensor],
    sinogram: Sinogram,
    image_hu: NDArray[np.float32],
    device: torch.device | str,
    batch_size: int,
    projector: Projector | None = None,
) -> NDArray[np.float32]:
    """A map in HU, batch by batch, of an attenuation that ``make`` computes of images, data, noise and projector."""
    check_scan(what, sinogram)
    if sinogram.angle_shifts_rad is not None:  # slices of equal angles together
        found = np.empty_like(image_hu, np.float32)
        shifts = np.array(sinogram.angle_shifts_rad)
        for shift in sorted(set(sinogram.angle_shifts_rad)):
            chosen = np.flatnonzero(shifts == shift)
            part = sinogram.part(chosen.tolist())
            found[chosen] = _mapped(what, make, part, image_hu[chosen], device, batch_size)
        return found
    A = projector or make_projector(sinogram.geometry, sinogram.grid, device=device)
    scan, water = sinogram.geometry, sinogram.mu_water_per_mm
    parts = sinogram.values, sinogram.sigma(), image_hu.astype(np.float32)
    values, sigmas, images = (scan.as_batch(torch.from_numpy(part)) for part in parts)
    maps = []
    for first in range(0, len(values), batch_size):
        y, sigma, hu = (part[first : first + batch_size].to(A.device) for part in (values, sigmas, images))
        mu = make(hu_to_mu(hu, water), y, sigma, A)
        maps.append(scan.as_slices(mu * (1000 / water)).cpu().numpy())
    return np.concatenate(maps)


def difference_map(image_hu: NDArray[np.float32], other_hu: NDArray[np.float32], grid: Grid) -> NDArray[np.float32]:
    """How far two images of one scan are from each other over each square centimetre, root mean square in HU.

    Where one of them is worse than the other by so much, over the same square, the map is at least that (see
    `ctresample.metrics.worse_places`): where it is small, neither is.

    Args:
        image_hu: ``[slice, y, x]`` in HU.
        other_hu: the same shape, such as by total variation, which invents little.
        grid: of both.
    """
    pixel_mm = (abs(grid.steps_mm[-2]), abs(grid.steps_mm[-1]))
    return np.stack([local_rms(one, pixel_mm) for one in image_hu - other_hu]).astype(np.float32)


def uncertainty_map(images_hu: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
    """How far reconstructions of one scan differ that had other random numbers: their standard deviation in HU.

    Where the data decide, they agree; where the prior fills in, they may differ. Errors that all share, such as those
    of the prior or the scan model, do not show.

    Args:
        images_hu: two or more images of one shape, made with independent random numbers; taken one at a time.

    Raises:
        UsageError: fewer than two.
    """
    count = 0
    mean = squares = np.zeros(1, np.float32)
    for image in images_hu:  # Welford's algorithm: no more than three images are held
        count += 1
        difference = image - mean
        mean = mean + difference / np.float32(count)
        squares = squares + difference * (image - mean)
    if count < 2:
        raise UsageError(f"uncertainty is asked for of {count} reconstruction(s); expected 2 or more")
    deviation: NDArray[np.float32] = np.sqrt(squares / np.float32(count - 1))
    return deviation
