"""The choices of ReSample: one setting changed at a time, on one slice, with few steps.

Every part of the published algorithm is a field of `ReSampleSettings`. One slice decides nothing: the figures that
count are those of several patients, in the page on ReSample; this shows how they are made.
"""

# %% A scan, and the settings that everything is compared with
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt

import ctresample
from ctresample import PRESETS, reconstruct, simulate
from ctresample.metrics import DATA_RANGE_HU, psnr_db

ct = Path(ctresample.__file__).parent / "demo_data" / "slice-08.dcm"
truth = simulate(ct, n_views=400)
scan = simulate(ct, n_views=25, photons=1e5)
base = replace(PRESETS["fast"], n_steps=12)

# %% As it is, and two variations
changes = {
    "as it is": {},
    "frame at rest": {"moving_frame": False},
    "last estimate only": {"averaged_steps": 0},
}
results = {
    name: reconstruct(scan, method="resample", settings=replace(base, **change)) for name, change in changes.items()
}

# %% Against a noiseless scan of 400 views
reference = reconstruct(truth, method="fbp", window="ramp").image_hu[0]
figures = [psnr_db(one.image_hu[0], reference, data_range_hu=DATA_RANGE_HU) for one in results.values()]
figure, axis = plt.subplots(figsize=(6, 2.5), layout="constrained")
axis.barh(list(results), figures)
axis.set(xlim=(min(figures) - 1, max(figures) + 0.5), xlabel="PSNR against the noiseless scan, dB")
