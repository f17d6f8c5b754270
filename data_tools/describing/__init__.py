"""What a file or folder is and holds, in a few facts without patient data."""

from ctresample.data_tools.describing.anything import describe, next_step
from ctresample.data_tools.describing.models import BUNDLED_PRIORS, bundled_priors

__all__ = ["BUNDLED_PRIORS", "bundled_priors", "describe", "next_step"]
