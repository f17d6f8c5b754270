"""Sound CT images in many encodings, as a start for damage; all name a planted patient."""

from __future__ import annotations

import io
import zipfile

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

PLANTED = "PLANTED"
SIZE = 32


def ct_image(z: int) -> Dataset:
    """One slice, with sequences and private elements as scanners write them."""
    ds = _image(CTImageStorage, z)
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [-16, -16, 2.5 * z], [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.SliceThickness = [1, 1], 2.5
    ds.RescaleSlope, ds.RescaleIntercept, ds.PixelPaddingValue = 1, -1024, 0
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = CTImageStorage, "1.2.3.4"
    ds.ReferencedImageSequence = [reference, reference]
    block = ds.private_block(0x0029, "SOMEONE'S HEADER", create=True)
    block.add_new(0x10, "OB", bytes(64))
    ds.PixelData = _stored(z).tobytes()
    return ds


def enhanced_image(n: int = 3) -> Dataset:
    """Several slices in one image, rescale and position in its functional groups."""
    ds = _image(EnhancedCTImageStorage, 0)
    ds.NumberOfFrames = n
    shared, measures, transformation, orientation = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [1, 1], 2.5
    transformation.RescaleSlope, transformation.RescaleIntercept, transformation.RescaleType = 1, -1024, "HU"
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    shared.PixelValueTransformationSequence = [transformation]
    ds.SharedFunctionalGroupsSequence, ds.PerFrameFunctionalGroupsSequence = [shared], []
    for z in range(n):
        frame, position = Dataset(), Dataset()
        position.ImagePositionPatient = [-16, -16, 2.5 * z]
        frame.PlanePositionSequence = [position]
        ds.PerFrameFunctionalGroupsSequence.append(frame)
    ds.PixelData = b"".join(_stored(z).tobytes() for z in range(n))
    return ds


def encode(ds: Dataset) -> bytes:
    """As a file, whatever rules it breaks."""
    stream = io.BytesIO()
    ds.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def sound_images() -> dict[str, bytes]:
    """Files by their encoding."""
    found = {}
    for name, syntax in {
        "explicit": ExplicitVRLittleEndian,
        "implicit": ImplicitVRLittleEndian,
        "deflated": DeflatedExplicitVRLittleEndian,
    }.items():
        ds = ct_image(1)
        ds.file_meta.TransferSyntaxUID = syntax
        found[name] = encode(ds)
    ds = ct_image(1)
    ds.PixelData = _stored(1).byteswap().tobytes()
    ds["PixelData"].VR = "OW"
    ds.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    found["big endian"] = encode(ds)
    for name, syntax in {"RLE": RLELossless, "JPEG-LS": JPEGLSLossless, "JPEG 2000": JPEG2000Lossless}.items():
        ds = ct_image(1)
        ds.compress(syntax, generate_instance_uid=False)
        found[name] = encode(ds)
    found["multi-frame"] = encode(enhanced_image())
    ds = enhanced_image()
    ds.compress(RLELossless, generate_instance_uid=False)
    found["multi-frame RLE"] = encode(ds)
    found["without preamble"] = found["implicit"][132 + 12 + int.from_bytes(found["implicit"][140:144], "little") :]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for z in (1, 2):
            archive.writestr(f"series/{z}", encode(ct_image(z)))
    found["zip"] = stream.getvalue()
    return found


def _image(kind: str, z: int) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = kind, f"1.2.3.9.{z}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = "1.2.3", "1.2.3.1", "1.2.3.2"
    ds.Modality, ds.ImageType, ds.InstanceNumber = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"], z
    ds.SpecificCharacterSet, ds.PatientName, ds.PatientID = "ISO_IR 100", f"{PLANTED}^NAME", f"{PLANTED}-ID"
    ds.StudyDescription, ds.SeriesDescription = f"{PLANTED} STUDY", f"{PLANTED} SERIES"
    ds.StudyDate, ds.PatientBirthDate = "20240301", "19600102"
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.Rows, ds.Columns = 1, "MONOCHROME2", SIZE, SIZE
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    return ds


def _stored(z: int) -> np.ndarray:
    return np.random.default_rng(z).integers(0, 2000, (SIZE, SIZE)).astype("<i2")
