"""Low dose: what photons do to the image, and what weighing each ray by its noise gives back.

FBP takes all rays alike. WLS and TV weigh each by the photons that arrived: rays through both shoulders count little.
"""

# %% The same slice with 100,000 and with 3,000 photons a ray
from pathlib import Path

import ctresample
from ctresample import reconstruct, simulate

ct = Path(ctresample.__file__).parent / "demo_data" / "slice-03.dcm"
for photons in (1e5, 3e3):
    scan = simulate(ct, n_views=120, photons=photons, size=128)
    reconstruct(scan, method="fbp").plot(reconstruct(scan, method="wls"), reconstruct(scan, method="tv"))
