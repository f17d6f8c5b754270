"""Image quality against a known truth: whole slices, windows and the body."""

from ctresample.metrics.image import DATA_RANGE_HU, flicker, mae_hu, psnr_db, rmse_hu, ssim
from ctresample.metrics.places import local_rms, worse_places
from ctresample.metrics.regions import REGIONS, body_mask, region_masks
from ctresample.metrics.structures import StructureErrors, structure_errors, worst_square

__all__ = [
    "DATA_RANGE_HU",
    "REGIONS",
    "StructureErrors",
    "body_mask",
    "flicker",
    "local_rms",
    "mae_hu",
    "psnr_db",
    "region_masks",
    "rmse_hu",
    "ssim",
    "structure_errors",
    "worse_places",
    "worst_square",
]
