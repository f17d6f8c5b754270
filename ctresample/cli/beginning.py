"""What ``ctresample`` alone says: three commands to begin with."""

from __future__ import annotations

import ctresample

TEXT = f"""\
ctresample {ctresample.__version__}: CT images from few views. For research, not for diagnosis.

Three commands to begin with:

  ctresample demo
      sample slices from 25 views, three methods; then open demo-output/report.html
  ctresample reconstruct MY_CT -o result --views 25 --photons 1e5
      a folder of CT slices (DICOM): scanned with 25 views, reconstructed, compared; then open result/report.html
  ctresample info FILE_OR_FOLDER
      what a CT series, a scan, a prior or a result is, and what to do with it

All verbs: ctresample --help. One of them: ctresample reconstruct --help. Tab key: ctresample --install-completion.
"""
