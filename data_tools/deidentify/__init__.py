"""Take out of DICOM headers what identifies a patient, by the Basic Profile of DICOM PS3.15."""

from ctresample.data_tools.deidentify.deidentifier import NOT_HANDLED, UNDATED, Deidentifier
from ctresample.data_tools.deidentify.key import new_key, read_key, read_or_make_key

__all__ = ["NOT_HANDLED", "UNDATED", "Deidentifier", "new_key", "read_key", "read_or_make_key"]
