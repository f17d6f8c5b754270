"""ReSample step by step: what the prior sees, what it makes of it, and what the data then change.

Noise hides what the data do not know; the denoiser puts in what CT looks like; a proximal step brings that back to the
measurement; and less noise is added for the next step. The loop below is that of the preset `fast`, with six steps.
"""

# %% A slice from 25 noisy views, as tensors, and an image by total variation to begin with
from pathlib import Path

import matplotlib.pyplot as plt
import torch

import ctresample
from ctresample import PRESETS, LatentPrior, make_projector, reconstruct, simulate
from ctresample.solvers.diffusion.schedule import steps_of
from ctresample.solvers.resample.hard_consistency import Problem
from ctresample.solvers.resample.resampling import stochastic_encode
from ctresample.units import MU_WATER_PER_MM, hu_to_mu, mu_to_hu

ct = Path(ctresample.__file__).parent / "demo_data" / "slice-11.dcm"
scan = simulate(ct, n_views=25, photons=1e5)
y, sigma = (torch.as_tensor(values)[:, None] for values in (scan.values, scan.sigma()))
A, prior, settings = make_projector(scan.geometry, scan.grid), LatentPrior.from_pretrained("ct256"), PRESETS["fast"]
problem = Problem.whitened(y, A, sigma, prior, settings, MU_WATER_PER_MM)
start = hu_to_mu(torch.as_tensor(reconstruct(scan, method="tv").image_hu)[:, None])

# %% Noise, estimate, agreement: the prior sees each image shifted and mirrored another way
generators = [torch.Generator().manual_seed(1)]
steps = steps_of(prior.scheduler, 6, settings.start_level, settings.stop_level)
seen = []
with torch.no_grad():
    problem.move_frame(generators)
    z = stochastic_encode(problem.encode(start), steps[0].alpha_bar, generators)
    for step in steps:
        noisy, (estimate, _) = problem.decode(z), prior.predict(z, step.t)
        estimated = problem.decode(estimate)
        agreed = problem.agree(estimate, step, "pixel", generators, relative_level=step.t / steps[0].t)
        seen.append((noisy, estimated, problem.agreed, problem.agreed - estimated))
        z = stochastic_encode(agreed, step.alpha_bar_previous, generators)

# %% After every step: noisy, estimated, made to agree, and what the data changed (red is more, ±200 HU)
figure, axes = plt.subplots(4, len(steps), figsize=(2.1 * len(steps), 8.8), layout="constrained")
for step, column, images in zip(steps, axes.T, seen, strict=True):
    column[0].set_title(f"{step.level:.1%} of the schedule", fontsize=9)
    for axis, image in zip(column[:3], images[:3], strict=True):
        axis.imshow(mu_to_hu(image[0, 0]), "gray", vmin=-160, vmax=240)
    column[3].imshow(images[3][0, 0] / MU_WATER_PER_MM * 1000, "RdBu_r", vmin=-200, vmax=200)
names = ("with noise", "the prior's estimate", "in agreement", "the difference")
for axis, name in zip(axes[:, 0], names, strict=True):
    axis.set_ylabel(name)
for axis in axes.flat:
    axis.set(xticks=[], yticks=[])
