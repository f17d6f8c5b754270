"""The file format of sinograms, and whether what one holds can be."""
