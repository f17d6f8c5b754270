"""How far each pixel of a reconstruction may be off, up to a factor that a calibration finds: from the image itself.

Where a learned reconstruction goes far from the image that total variation makes of the same data, its prior has added
much; and there its errors are largest. Among what costs little, that distance followed the true error best on
validation slices (25 views, 1e5 photons a ray, preset draft: correlation 0.52 over pixels; image gradients 0.34 to
0.46, local standard deviation 0.47). Another seed's image would cost another reconstruction, and differs four times
less than the truth does.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from ctresample.operators import make_projector
from ctresample.sinogram import Sinogram
from ctresample.solvers.coarse_tv import coarse_tv
from ctresample.units import mu_to_hu

SMOOTHING_PIXELS = 4.0
"""Standard deviation of the Gaussian over the distance: intervals of lung, fat and soft tissue were 5 to 10 % shorter
than with 2, and no shorter with 6."""

FLOOR_HU = 5.0
"""No pixel is known better than this, however alike the two images are."""


def rough_image_hu(
    sinogram: Sinogram, *, device: torch.device | str = "cpu", batch_size: int = 8
) -> NDArray[np.float32]:
    """Total variation on coarse pixels, ``[slice, y, x]`` in HU, of slices that are all seen from the same angles."""
    A = make_projector(sinogram.geometry, sinogram.grid, device=device)
    images = []
    for first in range(0, sinogram.n_slices, batch_size):
        chosen = slice(first, first + batch_size)
        y, sigma = (torch.from_numpy(part[chosen, None]).to(A.device) for part in (sinogram.values, sinogram.sigma()))
        mu = coarse_tv(y, A, sigma=sigma, spacing=[abs(step / A.steps_mm[-1]) for step in A.steps_mm])
        images.append(mu_to_hu(mu, sinogram.mu_water_per_mm)[:, 0].cpu().numpy())
    return np.concatenate(images)


def expected_error_hu(image_hu: NDArray[np.float32], rough_hu: NDArray[np.float32]) -> NDArray[np.float32]:
    """The local distance of two images, before calibration.

    Args:
        image_hu: the reconstruction ``[slice, y, x]``.
        rough_hu: of the same scan, from `rough_image_hu`.
    """
    from scipy.ndimage import gaussian_filter  # here, for it takes long to import

    distance = np.abs(image_hu - rough_hu)
    smooth: NDArray[np.float32] = gaussian_filter(distance, (0, SMOOTHING_PIXELS, SMOOTHING_PIXELS)) + FLOOR_HU
    return smooth.astype(np.float32)
