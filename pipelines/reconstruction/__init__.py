"""From a sinogram to images: the methods, the physics, and the ways of calling."""
