"""Maps beside a reconstruction: where it disagrees with the data, and where its prior was free to choose."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from ctresample.choices import Window
from ctresample.errors import UsageError
from ctresample.operators import make_projector
from ctresample.pipelines.reconstruction.physics import LINEAR, Physics
from ctresample.sinogram import Sinogram
from ctresample.solvers.fbp import fbp
from ctresample.solvers.fdk import fdk
from ctresample.units import hu_to_mu

WINDOW: Window = "hann"
CUTOFF = 0.25
"""Of the ramp filter in residual maps. A good reconstruction explains the data up to their noise, so at full resolution
the map would show little else; a quarter leaves an eighth of it, and blurs what is narrower than about four bins."""


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
    if sinogram.geometry.name == "helical":
        raise UsageError("a residual map of a helical scan is not there yet; leave it out, or use reconstruct --rebin")
    if sinogram.angle_shifts_rad is not None:  # slices of equal angles together
        found = np.empty_like(image_hu, np.float32)
        shifts = np.array(sinogram.angle_shifts_rad)
        for shift in sorted(set(sinogram.angle_shifts_rad)):
            chosen = np.flatnonzero(shifts == shift)
            part = sinogram.part(chosen.tolist())
            found[chosen] = residual_map(part, image_hu[chosen], physics=physics, device=device, batch_size=batch_size)
        return found
    A = make_projector(sinogram.geometry, sinogram.grid, device=device)
    measured_as = Physics(tube_kilovolts=physics.tube_kilovolts)
    scan = sinogram.geometry
    back_project = fdk if scan.is_volume else fbp
    values, images = (scan.as_batch(torch.from_numpy(part)) for part in (sinogram.values, image_hu.astype(np.float32)))
    maps = []
    for first in range(0, len(values), batch_size):
        y, hu = (part[first : first + batch_size].to(A.device) for part in (values, images))
        model = measured_as.problem(sinogram, A, y, y).model
        misfit = y - model(hu_to_mu(hu, sinogram.mu_water_per_mm))
        mu = back_project(misfit, A.geometry, A.grid, window=WINDOW, cutoff=CUTOFF, extrapolate=False)
        maps.append(scan.as_slices(mu * (1000 / sinogram.mu_water_per_mm)).cpu().numpy())
    return np.concatenate(maps)


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
