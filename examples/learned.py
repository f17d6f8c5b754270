"""A learned prior: 25 views by total variation, by a network that is shown the scan, and by ReSample.

All three fit the data to their noise. What the data leave open, the prior fills in with what it has seen before.
"""

# %% A slice of the samples from 25 views
from pathlib import Path

import ctresample
from ctresample import reconstruct, simulate

ct = Path(ctresample.__file__).parent / "demo_data" / "slice-08.dcm"
scan = simulate(ct, n_views=25, photons=1e5)

# %% Three ways, from the fastest to the best
tv = reconstruct(scan, method="tv")
itnet = reconstruct(scan, method="itnet")
draft = reconstruct(scan, method="resample", preset="draft", seed=1)
tv.plot(itnet, draft)

# %% The same in the lung window, and how well each explains the data (1: as well as their noise allows)
tv.plot(itnet, draft, window="lung")
for result in (tv, itnet, draft):
    print(f"{result.method}: {result.residual_ratio[0]:.2f}")
