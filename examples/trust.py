"""Trust: where the image disagrees with the data, where the prior made up what they leave open, and how far off it is.

Two maps in HU. One is large where the measurement contradicts the image; the other where another seed, which fits the
data as well, gives another image. Where both are small an image may still be wrong: how far, only patients tell whose
truth was known, by a calibration.
"""

# %% A scan of 25 views, by ReSample with four seeds
from pathlib import Path

import matplotlib.pyplot as plt

import ctresample
from ctresample import LatentPrior, reconstruct, simulate
from ctresample.metrics import DATA_RANGE_HU, psnr_db
from ctresample.pipelines.calibration.judge import Judge
from ctresample.pipelines.reconstruction.maps import residual_map, uncertainty_map

ct = Path(ctresample.__file__).parent / "demo_data" / "slice-11.dcm"
scan = simulate(ct, n_views=25, photons=1e5)
results = [reconstruct(scan, method="resample", preset="draft", seed=seed) for seed in range(4)]
results[0].plot(results[1])

# %% The two maps
spread = uncertainty_map(result.image_hu for result in results)[0]
misfit = residual_map(scan, results[0].image_hu)[0]
figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for axis, (title, image, colours) in zip(
    axes, (("between seeds, SD in HU", spread, "magma"), ("misfit to the data in HU", misfit, "RdBu_r")), strict=True
):
    limit = float(abs(image).max())
    drawn = axis.imshow(image, colours, vmin=-limit if colours == "RdBu_r" else 0, vmax=limit)
    axis.set(title=title, xticks=[], yticks=[])
    figure.colorbar(drawn, ax=axis)

# %% An interval for each pixel, and bounds: calibrated on patients whose truth was known. Here it is known, too
model = LatentPrior.from_pretrained("ct256")
judge = Judge.of(scan, method="resample", preset="draft", model=model, prior="ct256")
trust = judge.trust(results[0], coverage=90)
truth_hu = reconstruct(simulate(ct, n_views=400), method="fbp", window="ramp").image_hu
error_hu = abs(results[0].image_hu - truth_hu)[0]
half_width_hu = trust.interval.half_width_hu[0]
print(trust.bounds_in_words)
print(f"in truth {psnr_db(results[0].image_hu[0], truth_hu[0], data_range_hu=DATA_RANGE_HU):.1f} dB; ", end="")
print(f"the interval of 90 % holds the truth of {(error_hu < half_width_hu).mean():.0%} of the pixels")
figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for axis, (title, image) in zip(
    axes, (("half-width of the interval", half_width_hu), ("error", error_hu)), strict=True
):
    drawn = axis.imshow(image, "magma", vmin=0, vmax=float(half_width_hu.max()))
    axis.set(title=f"{title}, HU", xticks=[], yticks=[])
    figure.colorbar(drawn, ax=axis)
