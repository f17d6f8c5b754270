"""Everything that touches outside files: CT images as DICOM in and out, and sinogram containers."""
