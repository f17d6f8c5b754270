"""Edits of data sets for the series builder of the tests, ``make_series(edit=...)``."""

import math

import numpy as np
from pydicom.uid import ExplicitVRBigEndian

SLANTED = (math.cos(0.26), 0, -math.sin(0.26), 0, 1, 0)
"""An orientation that no axis of the patient goes with."""


def set_elements(**elements):
    def edit(ds, z):
        for keyword, value in elements.items():
            setattr(ds, keyword, value)

    return edit


def without(*keywords):
    """A series of two images that lack these elements."""

    def build(folder, dicom):
        def edit(ds, z):
            for keyword in keywords:
                delattr(ds, keyword)

        dicom.make_series(folder, n=2, edit=edit)

    return build


def compress(syntax):
    return lambda ds, z: ds.compress(syntax, generate_instance_uid=False)


def retag(syntax):
    """Another transfer syntax by name, the pixels as they were."""
    return lambda ds, z: setattr(ds.file_meta, "TransferSyntaxUID", syntax)


def big_endian(ds, z):
    ds.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    ds.PixelData = np.frombuffer(ds.PixelData, "<i2").astype(">i2").tobytes()
