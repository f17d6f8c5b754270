"""The names that users choose among, each spelt here and nowhere else. Importing them costs nothing: no torch."""

from __future__ import annotations

from typing import Literal, get_args

SliceBeam = Literal["parallel", "fan", "fan-curved"]
"""Beams that see one slice at a time."""

Beam = Literal[SliceBeam, "cone", "helical"]
BEAMS: tuple[Beam, ...] = get_args(Beam)
SLICE_BEAMS: tuple[SliceBeam, ...] = get_args(SliceBeam)

VOLUME_BEAMS: tuple[Beam, ...] = tuple(beam for beam in BEAMS if beam not in SLICE_BEAMS)
"""Beams that see all slices at once."""

DetectorShape = Literal["flat", "curved"]
"""Of a fan."""

Window = Literal["ramp", "shepp-logan", "cosine", "hamming", "hann"]
"""Of the ramp filter: how much noise FBP damps, from least to most."""
WINDOWS: tuple[Window, ...] = get_args(Window)

ViewWeights = Literal["arcs", "equal"]
"""What a view counts in FBP: the arc to its neighbours, or as much as every other."""
VIEW_WEIGHTS: tuple[ViewWeights, ...] = get_args(ViewWeights)

Cleaning = Literal["rings", "bad-bins", "zingers"]
"""What a detector got wrong and `ctresample.cleaning` takes out of a sinogram."""
CLEANING: tuple[Cleaning, ...] = get_args(Cleaning)

Model = Literal["line-integrals", "counts"]
"""What a reconstruction takes to be measured."""
MODELS: tuple[Model, ...] = get_args(Model)

ZCoupling = float | str
"""How strongly neighbouring slices help each other: "auto", "none" or a strength, of which 1 is what "auto" takes."""

WarmStart = Literal["itnet", "coarse-tv", "tv", "cgls"]
"""Solver of the image that sampling starts from."""

TrainedPrediction = Literal["epsilon", "v_prediction"]
"""What a diffusion model is trained to predict: the noise, or noise and image mixed (Salimans and Ho, ICLR 2022)."""

Prediction = Literal[TrainedPrediction, "sample"]
"""What diffusion models of others may predict, too: the image itself."""

ModelKind = Literal["latent prior", "pixel prior", "fbp-unet"]
"""Of learned models."""

VOLUME_SUFFIXES = {"nifti": ".nii.gz", "nrrd": ".nrrd"}
"""Formats of a volume in one file, and how its name ends. A line more is a format more, if SimpleITK has it."""

FORMATS = ("dicom", *VOLUME_SUFFIXES)
"""Of results."""

MapKind = Literal["residual", "origin", "tv-difference", "uncertainty", "lower", "upper", "half-width"]
"""Of maps beside a reconstruction."""

INTERVALS = (68, 80, 90, 95)
"""Coverages in per cent that intervals are calibrated for."""
