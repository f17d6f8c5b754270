"""A prior of your own: autoencoder, then diffusion model, on slices of your patients. Here only to show the way.

Twenty steps of each train nothing; a prior that is of use takes hours and thousands of slices (see Training).
"""

# %% Slices to train on, and slices of other patients to stop on
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt

import ctresample
from ctresample.data_tools.training_data import TrainingSlices
from ctresample.pipelines.training.autoencoder import train_autoencoder
from ctresample.pipelines.training.autoencoder_settings import AutoencoderSettings
from ctresample.pipelines.training.prior import train_prior
from ctresample.pipelines.training.prior_settings import PriorSettings
from ctresample.pipelines.training.recipe import read_recipe

samples = sorted((Path(ctresample.__file__).parent / "demo_data").glob("*.dcm"))
place = Path(tempfile.mkdtemp())
for name, chosen in {"train": samples[:6] + samples[7:8], "val": samples[10:]}.items():
    (place / name).mkdir()
    for sample in chosen:
        shutil.copy(sample, place / name)
slices, held_out = (TrainingSlices.read(place / name, on_warning=print) for name in ("train", "val"))
slices.check_apart(held_out)  # no patient in both
print(slices.summary)

# %% First the autoencoder; `ctresample train autoencoder` is this
settings = read_recipe("toy", "autoencoder", AutoencoderSettings)
settings = replace(settings, run=replace(settings.run, steps=20, validate_every=10))
train_autoencoder(slices, held_out, place / "run", settings)

# %% Then the diffusion model on its latents; `ctresample train prior` is this
settings = read_recipe("toy", "prior", PriorSettings)
settings = replace(settings, run=replace(settings.run, steps=20, validate_every=10), pool=24)
prior = train_prior(slices, held_out, place / "run", place / "run" / "diffusion", settings)

# %% The folder is a prior, and says its error at each noise level: of this one, hopeless
levels, errors = zip(*prior.config.denoising_rmse_hu, strict=True)
figure, axis = plt.subplots(figsize=(5, 3), layout="constrained")
axis.plot(levels, errors, "o-")
axis.set(xlabel="share of signal left (noise on the left)", ylabel="denoising error, HU")
shutil.rmtree(place)
