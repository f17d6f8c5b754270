"""Sinogram files: HDF5 in the shape of NXtomo, with all that a reconstruction needs beside the values.

::

    /entry                              NXentry, definition "NXtomo": other tomography programs find their way
        instrument/detector/data        float32 [view, slice or detector row, detector], line integrals, gzip
        instrument/detector/...         image_key (all 0), pixel sizes; source distances of a fan or cone beam
        sample/rotation_angle           degrees
        data/                           the same data sets under a second name (hard links)
        ctresample/                     what this reader goes by
            schema_version              2; files of version 1, which knew no offsets, are read too
            geometry                    JSON, see `ctresample.data_tools.sinogram.schema`
            photons                     float32 [view, detector]; only where the photons differ from ray to ray
            headers                     one DICOM JSON text a slice; only of sinograms that come from DICOM
            bad_rays                    uint8 [view, slice or detector row, detector], 1 where values are not known;
                                        only where some are not
            slice_offsets_mm            float64 [slice], from 0 upwards; only of slices that are not evenly spaced
            angle_shifts_rad            float64 [slice], added to all angles; only where slices are seen from different
                                        ones. ``sample/rotation_angle`` then holds the angles before

NXtomo has one frame a view, whose rows are the slices (of a cone beam the detector's rows), so the first two axes are
those of `Sinogram.values` swapped. A file with ``headers`` holds patient data. Equal sinograms give equal bytes.
"""

OWN = "/entry/ctresample"
"""The group that this reader goes by."""

KEYS = {"schema_version", "geometry", "photons", "headers", "slice_offsets_mm", "bad_rays", "angle_shifts_rad"}
"""All that it may hold."""
