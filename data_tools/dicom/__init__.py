"""Reading CT images of DICOM files, whatever they look like."""
