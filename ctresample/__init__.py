"""Sparse-view CT reconstruction: latent diffusion with hard data consistency, and the classical methods.

For research, not for diagnosis. All lengths are in mm, angles in radians, attenuation in 1/mm and images in HU. Every
name below comes straight from ``ctresample`` and loads on first use; ``help(ctresample.reconstruct)`` and so on say
more, with an example each.

From images to a scan and back
    simulate                a sinogram of a CT volume, as a low-dose scanner would have measured it
    reconstruct             HU images of a sinogram by any method
    Reconstruction          what comes back: images, figures, settings; writes itself as DICOM and NIfTI
    Scan                    a scanner and its scan in one record: ``Scan(n_views=25, photons=1e5).scan(volume)``
    Scanner                 bow-tie filter, tube-current modulation, blur and crosstalk of a simulated scanner
    Physics                 what a measurement is taken to be: line integrals, counts, a tube's spectrum
    METHODS                 the methods of `reconstruct` by name

Files
    read_ct_series          a DICOM series as a volume
    write_ct_series         a volume as a derived DICOM series; `Provenance` says in it how it was made
    read_sinogram           a sinogram file
    write_sinogram          the same, written
    import_sinogram         a sinogram of a scanner or another program
    cleaned                 a sinogram without rings, dead bins and zingers
    Volume                  HU values and where they lie in the patient
    Sinogram                line integrals with their geometry, noise and image grid

Geometry
    ParallelBeam, FanBeam, ConeBeam,
    HelicalBeam                         scans
    ImageGrid, VolumeGrid               images

Measurement models, on torch tensors
    make_projector                      the projector of a scan that fits into memory
    SparseProjector, StreamedProjector, ConeProjector, AstraProjector
    Transmission, Polychromatic         photon counts; a tube's spectrum in water and bone
    Spectrum                            of an X-ray tube
    LinearOperator, MeasurementModel    what a model of your own must do
    dot_test                            whether an adjoint is one
    from_astra, to_astra                geometries of the ASTRA Toolbox

Learned models
    LatentPrior, PixelPrior             diffusion models of CT images, in latents and in pixels
    ReSamplePipeline                    ReSample as a pipeline of diffusers
    ReSampleSettings, PRESETS           the choices of ReSample, and named sets of them

Solvers, on torch tensors
    fbp, fdk, cgls, sirt, wls, tv, resample
    solvers                             these and all others: ``ctresample.solvers.dps`` and so on

Modules
    geometry, operators, noise, metrics, units, solvers
    testing                             phantoms, small priors, exact posteriors, a pretend device

Errors
    CTResampleError                     the base of all errors that users can cause
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what type checkers and editors see of the table below
    from ctresample import geometry as geometry
    from ctresample import metrics as metrics
    from ctresample import noise as noise
    from ctresample import operators as operators
    from ctresample import solvers as solvers
    from ctresample import testing as testing
    from ctresample import units as units
    from ctresample.cleaning import cleaned as cleaned
    from ctresample.data_tools.dicom.read import read_ct_series as read_ct_series
    from ctresample.data_tools.dicom_export.write import Provenance as Provenance
    from ctresample.data_tools.dicom_export.write import write_ct_series as write_ct_series
    from ctresample.data_tools.importers import import_sinogram as import_sinogram
    from ctresample.data_tools.sinogram.reading import read_sinogram as read_sinogram
    from ctresample.data_tools.sinogram.writing import write_sinogram as write_sinogram
    from ctresample.errors import CTResampleError as CTResampleError
    from ctresample.geometry import ConeBeam as ConeBeam
    from ctresample.geometry import FanBeam as FanBeam
    from ctresample.geometry import ImageGrid as ImageGrid
    from ctresample.geometry import ParallelBeam as ParallelBeam
    from ctresample.geometry import VolumeGrid as VolumeGrid
    from ctresample.learned.latent_prior import LatentPrior as LatentPrior
    from ctresample.learned.pixel_prior import PixelPrior as PixelPrior
    from ctresample.noise import Scanner as Scanner
    from ctresample.operators import AstraProjector as AstraProjector
    from ctresample.operators import ConeProjector as ConeProjector
    from ctresample.operators import LinearOperator as LinearOperator
    from ctresample.operators import MeasurementModel as MeasurementModel
    from ctresample.operators import Polychromatic as Polychromatic
    from ctresample.operators import SparseProjector as SparseProjector
    from ctresample.operators import Spectrum as Spectrum
    from ctresample.operators import StreamedProjector as StreamedProjector
    from ctresample.operators import Transmission as Transmission
    from ctresample.operators import dot_test as dot_test
    from ctresample.operators import from_astra as from_astra
    from ctresample.operators import make_projector as make_projector
    from ctresample.operators import to_astra as to_astra
    from ctresample.pipelines.reconstruction.methods import METHODS as METHODS
    from ctresample.pipelines.reconstruction.physics import Physics as Physics
    from ctresample.pipelines.reconstruction.reconstruct import reconstruct as reconstruct
    from ctresample.pipelines.resample_pipeline import ReSamplePipeline as ReSamplePipeline
    from ctresample.pipelines.scan.scan import Scan as Scan
    from ctresample.pipelines.scan.simulate import simulate as simulate
    from ctresample.result import Reconstruction as Reconstruction
    from ctresample.sinogram import Sinogram as Sinogram
    from ctresample.solvers.cgls import cgls as cgls
    from ctresample.solvers.fbp import fbp as fbp
    from ctresample.solvers.fdk import fdk as fdk
    from ctresample.solvers.resample import PRESETS as PRESETS
    from ctresample.solvers.resample import ReSampleSettings as ReSampleSettings
    from ctresample.solvers.resample import resample as resample
    from ctresample.solvers.sirt import sirt as sirt
    from ctresample.solvers.tv import tv as tv
    from ctresample.solvers.wls import wls as wls
    from ctresample.volume import Volume as Volume

    __version__: str

# Threads that wait for each other by spinning make everything many times slower where other programs run; so long costs
# nothing where none do. OpenMP reads it once, when torch is loaded: of a torch imported before it changes nothing.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")

# Names by module. There is no __all__: help() would then print every class in full instead of the contents above.
_EXPORTS = {
    name: module
    for module, names in {
        "cleaning": "cleaned",
        "data_tools.dicom.read": "read_ct_series",
        "data_tools.dicom_export.write": "Provenance write_ct_series",
        "data_tools.importers": "import_sinogram",
        "data_tools.sinogram.reading": "read_sinogram",
        "data_tools.sinogram.writing": "write_sinogram",
        "errors": "CTResampleError",
        "geometry": "ConeBeam FanBeam HelicalBeam ImageGrid ParallelBeam VolumeGrid",
        "learned.latent_prior": "LatentPrior",
        "learned.pixel_prior": "PixelPrior",
        "noise": "Scanner",
        "operators": "AstraProjector ConeProjector LinearOperator MeasurementModel Polychromatic SparseProjector "
        "Spectrum StreamedProjector Transmission dot_test from_astra make_projector to_astra",
        "pipelines.reconstruction.methods": "METHODS",
        "pipelines.reconstruction.physics": "Physics",
        "pipelines.reconstruction.reconstruct": "reconstruct",
        "pipelines.resample_pipeline": "ReSamplePipeline",
        "pipelines.scan.scan": "Scan",
        "pipelines.scan.simulate": "simulate",
        "result": "Reconstruction",
        "sinogram": "Sinogram",
        "solvers.cgls": "cgls",
        "solvers.fbp": "fbp",
        "solvers.fdk": "fdk",
        "solvers.resample": "PRESETS ReSampleSettings resample",
        "solvers.sirt": "sirt",
        "solvers.tv": "tv",
        "solvers.wls": "wls",
        "volume": "Volume",
    }.items()
    for name in names.split()
}
_MODULES = frozenset({"geometry", "metrics", "noise", "operators", "solvers", "testing", "units"})


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        value: object = version("ctresample")
    elif name in _EXPORTS:
        value = getattr(import_module(f"ctresample.{_EXPORTS[name]}"), name)
    elif name in _MODULES:
        return import_module(f"ctresample.{name}")
    else:
        raise AttributeError(f"module 'ctresample' has no attribute {name!r}")
    globals()[name] = value  # the next access comes straight from the module
    return value


def __dir__() -> list[str]:
    shown = (name for name in globals() if name.startswith("__") and name != "__annotations__")
    return sorted({"__version__", *shown, *_EXPORTS, *_MODULES})
