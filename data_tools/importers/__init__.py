"""Sinograms of other programs: NPY, NPZ, TIFF, MATLAB and HDF5 files, each with what its format leaves unsaid."""

from ctresample.data_tools.importers.read import Preset, import_sinogram

__all__ = ["Preset", "import_sinogram"]
