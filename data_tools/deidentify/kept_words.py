"""Which attributes of words survive de-identification, and why.

The table of the standard names what identifies a patient today; it lets every other word through, whatever a scanner or
a person may have put there. So of attributes that hold words only these are kept; numbers stay as the table has them.
"""

from __future__ import annotations

WORD_VRS = {"AE", "AS", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT", "UN"}

KEPT_WORDS: dict[str, str] = {
    **dict.fromkeys(
        ("SpecificCharacterSet", "PhotometricInterpretation", "PresentationLUTShape", "PixelPresentation"),
        "to read the pixels",
    ),
    **dict.fromkeys(("RescaleType", "VOILUTFunction"), "to know the unit of the values"),
    **dict.fromkeys(("Modality", "ImageType", "FrameType", "ConversionType"), "what kind of image it is"),
    **dict.fromkeys(
        ("LossyImageCompression", "LossyImageCompressionMethod", "BurnedInAnnotation", "RecognizableVisualFeatures"),
        "what happened to the pixels",
    ),
    **dict.fromkeys(
        ("PatientPosition", "PatientOrientation", "Laterality", "ImageLaterality", "BodyPartExamined"),
        "which part of a body, and which way up",
    ),
    **dict.fromkeys(
        (
            "ScanOptions",
            "FilterType",
            "RotationDirection",
            "ConvolutionKernel",
            "ExposureModulationType",
            "AcquisitionType",
            "ReconstructionAlgorithm",
            "ImageFilter",
            "ConvolutionKernelGroup",
            "VolumetricProperties",
            "VolumeBasedCalculationTechnique",
            "ContentQualification",
            "MultienergyCTAcquisition",
        ),
        "how it was scanned and reconstructed",
    ),
    **dict.fromkeys(
        ("CodeValue", "CodingSchemeDesignator", "CodingSchemeVersion", "CodeMeaning", "ContextIdentifier"),
        "codes of public lists, in sequences",
    ),
    "SpatialLocationsPreserved": "whether places in source and result agree",
    "PatientIdentityRemoved": "says that it was de-identified",
    "LongitudinalTemporalInformationModified": "says that it was de-identified",
    "DeidentificationMethod": "says that it was de-identified",
}
"""By keyword, with the reason. Their values are not looked at: see `NOT_HANDLED`."""

DEVICE_WORDS = {
    "Manufacturer",
    "ManufacturerModelName",
    "SoftwareVersions",
    "StationName",
    "DeviceSerialNumber",
    "DeviceID",
    "DetectorID",
    "GantryID",
    "GeneratorID",
    "TransducerIdentificationSequence",
    "ManufacturerDeviceIdentifier",
    "DeviceDescription",
    "LongDeviceDescription",
    "ManufacturerDeviceClassUID",
    "DeviceUID",
}
"""What the Retain Device Identity Option (PS3.15 E.3.8) lets stay, as far as CT has it."""
