"""Sparse views: one slice from 180, 60 and 25 views, by filtered back projection and total variation.

FBP answers missing views with streaks. TV keeps edges and pays with texture; how much it wins grows as views vanish.
"""

# %% A slice of the samples, scanned with ever fewer views
from pathlib import Path

import ctresample
from ctresample import reconstruct, simulate

ct = Path(ctresample.__file__).parent / "demo_data" / "slice-11.dcm"
scans = {n_views: simulate(ct, n_views=n_views, photons=1e5, size=128) for n_views in (180, 60, 25)}
scans[25].plot()

# %% Both methods from each
for scan in scans.values():
    reconstruct(scan, method="fbp").plot(reconstruct(scan, method="tv"))
