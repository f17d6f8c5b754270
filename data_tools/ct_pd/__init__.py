"""DICOM-CT-PD: raw projections of clinical scanners, a file a view (Chen et al., Med. Phys. 42(12), 2015)."""
