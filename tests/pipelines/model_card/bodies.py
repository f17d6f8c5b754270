"""Slices with an oval body and organs of random place, size and brightness, and stand-ins for priors."""

from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F

from ctresample.data_tools.training_data import TrainingSlices


def bodies(n: int, seed: int, patients: int = 2) -> TrainingSlices:
    """``n`` slices of ``patients`` patients; other seeds are other patients."""
    generator = np.random.default_rng(seed)
    y, x = (np.mgrid[:512, :512] - 255.5) / 256
    hu = np.full((n, 512, 512), -1000, np.int16)
    for image in hu:
        wide, high = generator.uniform(0.55, 0.9), generator.uniform(0.4, 0.7)
        body = (x / wide) ** 2 + (y / high) ** 2 < 1
        image[body] = generator.integers(-100, 100)
        for _ in range(7):
            cx, cy = generator.uniform(-0.5, 0.5, 2)
            rx, ry = generator.uniform(0.08, 0.3, 2)
            organ = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1
            image[organ & body] = generator.choice([-800, -100, 60, 200, 450])
    return TrainingSlices(hu, np.arange(n) % patients, tuple(f"{seed}-{p}" for p in range(patients)), f"digest{seed}")


class PixelPrior:
    """Latents are the mean HU of 4 x 4 pixels over 1000; what the denoiser estimates is given.

    Args:
        estimate: clean latents at whatever noise, ``(1, 1, 16, 16)`` or one an image.
        error_hu: of the decoder by the HU it decodes.
    """

    patch = 4

    def __init__(self, estimate: torch.Tensor | None = None, error_hu=lambda hu: 0.0) -> None:
        self.config = SimpleNamespace(name="pixels", hu_range=(-1000.0, 2000.0), image_size=64, provenance={})
        self.alpha_bar = torch.linspace(0.999, 0.001, 100, dtype=torch.float64)
        self.device = torch.device("cpu")
        self._estimate, self._error_hu = estimate, error_hu

    def check_shape(self, shape):
        assert all(side % self.patch == 0 for side in shape)

    def encode(self, hu):
        return F.avg_pool2d(hu, self.patch) / 1000

    def decode(self, z):
        hu = F.interpolate(z * 1000, scale_factor=self.patch)
        return hu + self._error_hu(hu)

    def predict(self, z_t, t):
        a, s = float(self.alpha_bar[t]) ** 0.5, float(1 - self.alpha_bar[t]) ** 0.5
        z_0 = self._estimate.expand_as(z_t)
        return z_0, (z_t - a * z_0) / s
