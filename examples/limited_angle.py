"""Limited angle: 120 degrees of 180. What no ray saw, no classical method can know.

Edges along the missing directions fade. They look smooth, not noisy, which is why they mislead.
"""

# %% A full half circle, and two thirds of it
import math
from pathlib import Path

import ctresample
from ctresample import reconstruct, simulate

ct = Path(ctresample.__file__).parent / "demo_data" / "slice-07.dcm"
whole = simulate(ct, n_views=90, photons=1e5, size=128)
part = simulate(ct, n_views=60, arc_rad=math.radians(120), photons=1e5, size=128)
part.plot()

# %% Side by side, in the lung window
reconstruct(whole, method="tv").plot(reconstruct(part, method="tv"), window="lung")
