"""FBP followed by a trained U-Net: the supervised method that others are measured against.

Jin, McCann, Froustey and Unser, "Deep Convolutional Neural Network for Inverse Problems in Imaging", IEEE TIP 26(9),
2017. It knows one kind of scan, and fits the data no better than the network happens to.
"""

from __future__ import annotations

import math

import torch

from ctresample.errors import PriorError
from ctresample.geometry import Geometry, Grid
from ctresample.learned.image_unet import ImageUNet
from ctresample.solvers.fbp import fbp
from ctresample.units import MU_WATER_PER_MM, hu_to_mu, mu_to_hu

_SAME_ARC = 0.02  # relative: an angle more or less at the end makes no other scan


@torch.no_grad()
def fbp_unet(
    y: torch.Tensor,
    geometry: Geometry,
    grid: Grid,
    model: ImageUNet,
    *,
    mu_water_per_mm: float = MU_WATER_PER_MM,
) -> torch.Tensor:
    """Attenuation in 1/mm from line integrals.

    Args:
        y: line integrals ``(B, 1, views, detectors)``.
        geometry: the scan, which must be of the kind that the network was trained for.
        grid: the image grid, of the size that the network was trained for.
        model: the network.
        mu_water_per_mm: attenuation of water that HU refer to.

    Returns:
        ``(B, 1, rows, columns)``, same device and type as ``y``.

    Raises:
        PriorError: another scan or image size than the network was trained for.
    """
    check_scan(model, geometry)
    model.check_shape(grid.shape)
    hu = mu_to_hu(fbp(y, geometry, grid, window=model.config.window), mu_water_per_mm)
    return hu_to_mu(model(hu), mu_water_per_mm)


def check_scan(model: ImageUNet, geometry: Geometry) -> None:
    """`PriorError` unless a scan has the beam, the views and the arc that the network was trained for."""
    config = model.config
    found, expected = (
        f"{n_views} {beam} views over {math.degrees(arc):.4g} degrees"
        for n_views, beam, arc in (
            (geometry.n_views, geometry.name, arc_rad(geometry)),
            (config.n_views, config.beam, config.arc_rad),
        )
    )
    same_arc = math.isclose(arc_rad(geometry), config.arc_rad, rel_tol=_SAME_ARC)
    if (geometry.n_views, geometry.name) != (config.n_views, config.beam) or not same_arc:
        raise PriorError(
            f"fbp-unet {config.name} was trained for {expected}; the scan has {found}; train one for it with "
            "`ctresample train fbp-unet`, or choose another method"
        )


def arc_rad(geometry: Geometry) -> float:
    """The arc of equally spaced views, end point excluded."""
    angles = geometry.angles_rad
    n = len(angles)
    return abs(angles[-1] - angles[0]) * n / (n - 1) if n > 1 else 0.0
