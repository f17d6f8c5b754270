"""Structural similarity that can be differentiated, for training."""

from __future__ import annotations

import torch
import torch.nn.functional as F

WINDOW_SIZE = 11
SIGMA_PX = 1.5


def ssim(x: torch.Tensor, y: torch.Tensor, data_range: float) -> torch.Tensor:
    """Mean structural similarity (Wang et al., IEEE Trans. Image Process. 2004, equation 13), 1 for equal images.

    With the Gaussian window of 11 x 11 pixels and standard deviation 1.5 and the constants of the paper, where the
    window lies within the image.

    Args:
        x: images ``(B, 1, H, W)``, at least 11 pixels high and wide.
        y: the images compared with, of the same shape.
        data_range: distance between the lowest and the highest possible value.
    """
    offsets = torch.arange(WINDOW_SIZE, device=x.device, dtype=x.dtype) - WINDOW_SIZE // 2
    window = torch.exp(-offsets.square() / (2 * SIGMA_PX**2))
    window = window / window.sum()

    def mean(image: torch.Tensor) -> torch.Tensor:
        return F.conv2d(F.conv2d(image, window.view(1, 1, 1, -1)), window.view(1, 1, -1, 1))

    c_1, c_2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    mu_x, mu_y = mean(x), mean(y)
    var_x, var_y = mean(x * x) - mu_x**2, mean(y * y) - mu_y**2
    cov = mean(x * y) - mu_x * mu_y
    similarity = (2 * mu_x * mu_y + c_1) * (2 * cov + c_2) / ((mu_x**2 + mu_y**2 + c_1) * (var_x + var_y + c_2))
    return similarity.mean()
