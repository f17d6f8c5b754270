"""A learned prior: 25 views by total variation, by a network that is shown the scan, and by ReSample.

All fit the data to their noise. What the data leave open, the prior fills in with what it has seen before: look at the
kidneys of this abdomen, whose texture `draft` makes up, and at the bowel, which nobody gets right.
"""

# %% A slice of the samples from 25 views
from pathlib import Path

import ctresample
from ctresample import reconstruct, simulate
from ctresample.metrics import DATA_RANGE_HU, psnr_db
from ctresample.plots import plot_slices

ct = Path(ctresample.__file__).parent / "demo_data" / "slice-08.dcm"
scan = simulate(ct, n_views=25, photons=1e5)

# %% Two ways without a prior's chain, and one with it
results = {
    "TV": reconstruct(scan, method="tv"),
    "itnet": reconstruct(scan, method="itnet"),
    "ReSample draft": reconstruct(scan, method="resample", preset="draft", seed=1),
}

# %% Beside the truth: a noiseless scan of 400 views
truth = reconstruct(simulate(ct, n_views=400), method="fbp", window="ramp")
plot_slices({"truth": truth.image_hu} | {name: one.image_hu for name, one in results.items()}, truth.volume.spacing_mm)
for name, one in results.items():
    psnr = psnr_db(one.image_hu[0], truth.image_hu[0], data_range_hu=DATA_RANGE_HU)
    print(f"{name}: {psnr:.1f} dB, data residual {one.residual_ratio[0]:.2f}")
