"""Writing derived DICOM series that say what they are and where they come from."""
