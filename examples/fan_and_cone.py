"""Fan and cone beams: one phantom under three geometries, each by its own filtered back projection.

The cone sees all slices at once; away from its middle plane FDK is an approximation, and its ends show it.
"""

# %% A volume of three balls
import numpy as np

from ctresample import Volume, reconstruct, simulate

z, y, x = np.mgrid[:24, :64, :64]
hu = np.full(z.shape, -1000.0, np.float32)
hu[(y - 32) ** 2 + (x - 32) ** 2 < 26**2] = 0.0
for depth, across in ((4, 18), (12, 32), (20, 46)):
    hu[(z - depth) ** 2 + (y - 32) ** 2 + (x - across) ** 2 < 5**2] = 300.0
balls = Volume(hu, np.diag([4.0, 4.0, 4.0, 1.0]))

# %% Parallel, fan and cone
beams = ("parallel", "fan", "cone")
scans = {beam: simulate(balls, n_views=90, beam=beam, size=64) for beam in beams}
scans["fan"].plot()
images = [reconstruct(scan, method="fbp") for scan in scans.values()]
images[0].plot(*images[1:], slice_number=12)

# %% Near the end of the cone
images[0].plot(*images[1:], slice_number=4)
