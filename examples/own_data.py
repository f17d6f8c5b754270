"""Arrays of your own: a sinogram from NumPy, its geometry in words, and what is doubtful about it.

Nothing is guessed: bins have a size in mm, views an angle in radians, and the image a grid.
"""

# %% A measured array, here made by hand: a disc of water, 60 mm in radius, seen from 90 angles
import numpy as np

from ctresample import ImageGrid, ParallelBeam, Sinogram, reconstruct

bins_mm = (np.arange(128) - 63.5) * 1.5
chord_mm = 2 * np.sqrt(np.clip(60.0**2 - bins_mm**2, 0, None))
values = np.tile(0.0192 * chord_mm, (1, 90, 1))

# %% With its geometry it is a sinogram
beam = ParallelBeam(np.linspace(0, np.pi, 90, endpoint=False), n_detectors=128, detector_pitch_mm=1.5)
scan = Sinogram(values, beam, ImageGrid((96, 96), pixel_size_mm=1.5), np.diag([1.5, 1.5, 5.0, 1.0]), photons=1e5)
scan.plot()

# %% The image is in HU: water is 0
result = reconstruct(scan, method="fbp")
result.plot()
