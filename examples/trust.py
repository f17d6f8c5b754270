"""Trust: where the image disagrees with the data, and where the prior made up what they leave open.

Two maps in HU. The first is large where the measurement contradicts the image; the second where another seed, which
fits the data as well, gives another image. Where both are small an image may still be wrong.
"""

# %% A scan of 25 views, by ReSample with four seeds
from pathlib import Path

import matplotlib.pyplot as plt

import ctresample
from ctresample import reconstruct, simulate
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
