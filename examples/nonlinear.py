"""Nonlinear models: few photons, fitted as counts instead of their logarithm.

Line integrals from the logarithm of few counts are too high on average, the more so the fewer arrive: here water is
several HU too dense in the middle. Fitting the counts themselves has no such bias.
"""

# %% A disc of water, 220 mm across, from 120 views with 1000 photons along each ray
import numpy as np

from ctresample import Physics, Volume, reconstruct, simulate

y, x = np.mgrid[:96, :96] - 47.5
disc = Volume(np.where(x**2 + y**2 < 44**2, 0.0, -1000.0)[None], np.diag([2.5, 2.5, 5.0, 1.0]))
scan = simulate(disc, n_views=120, photons=1000, size=96)

# %% By line integrals and by counts: water should be 0 HU in the middle, too
lines = reconstruct(scan, method="tv")
counts = reconstruct(scan, method="tv", physics=Physics(model="counts"))
lines.plot(counts)
middle = x**2 + y**2 < 15**2
for name, result in (("line integrals", lines), ("counts", counts)):
    print(f"{name}: {result.image_hu[0][middle].mean():.0f} HU in the middle")
