"""What tests of ctresample, and of whatever extends it, are made of.

    phantoms            ellipses and spheres with known images and known line integrals
    priors              diffusion models small enough for tests, one of them with a posterior known exactly
    posterior           that posterior, in closed form
    PretendDevice       a device that computes on the CPU, refuses to mix with it, and counts waits and launches
    dot_test            whether an adjoint is one

A solver of your own is tested as those here are: on `phantoms.head` through a `make_projector`, against
`posterior.gaussian_posterior` with `priors.GaussianPrior`, and inside a `PretendDevice`.
"""

from ctresample.operators import dot_test
from ctresample.testing import phantoms, posterior, priors
from ctresample.testing.pretend_device import PretendDevice

__all__ = ["PretendDevice", "dot_test", "phantoms", "posterior", "priors"]
