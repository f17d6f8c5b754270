"""What is done to every series of a batch."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ctresample
from ctresample.data_tools.deidentify import read_key, read_or_make_key
from ctresample.finite_json import finite
from ctresample.learned.folders import find_prior, weights_sha256
from ctresample.learned.image_unet import find_image_unet
from ctresample.pipelines.reconstruction.methods import method_named
from ctresample.pipelines.results.options import ResultOptions
from ctresample.pipelines.scan.scan import Scan


@dataclass(frozen=True, kw_only=True)
class BatchSettings(ResultOptions):
    """All that the results follow from, beside the inputs.

    With the device "cuda" each worker process takes a GPU of its own; the seed is that of the noise, too, and each
    series gets what it would get on its own.

    Attributes:
        scan: how DICOM series are scanned first.
        every: of sinogram files, take every so many-th view only.
        allow_gaps: take series with uneven steps.
        resample_tilt: take series of a tilted gantry, made upright.
        even_steps_mm: interpolate series with uneven steps at even ones.
        one_series: take the images of each folder as one series, whatever their UIDs.
        any_class: take CT images that are stored as another class.
        deidentification_key: file of the secret key, to de-identify all headers; None to keep them.
        retain_device: with a key, keep what names the scanner.
    """

    scan: Scan
    every: int = 1
    allow_gaps: bool = False
    resample_tilt: bool = False
    even_steps_mm: float | None = None
    one_series: bool = False
    any_class: bool = False
    deidentification_key: Path | None = None
    retain_device: bool = False

    def record(self) -> dict[str, Any]:
        """The same as JSON, with version, solver's settings and hash of the weights: equal where results are.

        Raises:
            PriorError: the learned model is not there.
        """
        chosen, name = method_named(self.method), self.prior_name()
        solver = chosen.load_settings(self.preset if chosen.has_presets else "")
        own = asdict(self) | {
            "prior": None,
            "preset": self.preset if chosen.has_presets else None,
            "device": self.device.partition(":")[0],
            "deidentification_key": self._key_hash(),
        }
        if name is not None:
            folder = (find_image_unet if chosen.needs == "fbp-unet" else find_prior)(name)
            own["prior"] = {"sha256": weights_sha256(folder)}
        record = {"ctresample": ctresample.__version__, **own, "solver": asdict(solver) if solver else None}
        return dict(json.loads(json.dumps(finite(record))))  # as it will be read

    def short_hash(self, text: str, *, may_make_key: bool = True) -> str:
        """Twelve hex digits in the place of a text; with a de-identification key only its owner can tell of which."""
        if self.deidentification_key is None:
            return hashlib.sha256(text.encode()).hexdigest()[:12]
        key = (read_or_make_key if may_make_key else read_key)(self.deidentification_key)
        return hmac.digest(key, f"batch {text}".encode(), hashlib.sha256).hex()[:12]

    def _key_hash(self) -> str | None:
        """Tells keys apart, and nothing of them: they are long random numbers."""
        if self.deidentification_key is None:
            return None
        return hashlib.sha256(read_or_make_key(self.deidentification_key)).hexdigest()[:12]
