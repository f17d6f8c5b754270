"""From a sinogram to a finished result folder."""
