"""Training sets on disk: CT slices of many DICOM folders in a few HDF5 files (shards), split by patient.

::

    dataset.json            what there is: `Manifest`
    train/00000.h5 ...      shards of slices to train on
    val/00000.h5 ...        shards of slices of other patients, to stop on

A shard holds up to 256 slices, each packed on its own so that any one is read alone:

    hu            int16 [slice, row, column] of 512 x 512 pixels, at least -1000 HU, gzip with its checksum a slice
    patient       text [slice], SHA-256 of PatientID in hexadecimal digits
    spacing_mm    float32 [slice, (column, row, slice)], distances in mm
    licence       text
    schema_version

No identifier, date or name is kept. The hash of a patient is a pseudonym: who has a list of identifiers can find the
patient's in it, so shards are no more public than the images they are made from.
"""
