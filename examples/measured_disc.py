"""A measured scan: a plastic disc with holes from a laboratory scanner, imported, thinned out, reconstructed.

No simulation: the scanner's own noise and faults are in it. The scan is of the Helsinki Tomography Challenge 2022.
"""

# %% Import it: what the file does not say, the sidecar beside it does
from pathlib import Path

import ctresample
from ctresample import import_sinogram, reconstruct

folder = Path(ctresample.__file__).parent / "demo_data"
scan = import_sinogram(folder / "htc2022_tb_stitched.npz").on_grid(128)
print(scan)
scan.plot()

# %% All its views, by filtered back projection
whole = reconstruct(scan, method="fbp")
whole.plot(window="bone")

# %% Every tenth view: FBP answers with streaks, total variation does not
few = scan.every(10)
reconstruct(few, method="fbp").plot(reconstruct(few, method="tv"), window="bone")
