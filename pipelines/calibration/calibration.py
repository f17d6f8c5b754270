"""A calibration: what errors of one kind of result were on scans whose truth is known, in a small JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ctresample.bounded_files import read_json
from ctresample.choices import INTERVALS
from ctresample.errors import CalibrationError
from ctresample.files import write_file
from ctresample.finite_json import finite
from ctresample.pipelines.calibration.scan_kind import ScanKind
from ctresample.pipelines.calibration.slice_rmse import SliceRMSE
from ctresample.pipelines.calibration.tissues import TISSUES
from ctresample.pipelines.calibration.typical import Typical
from ctresample.result import ModelIdentity

FORMAT = "ctresample calibration 1"

BOUND = 95
"""Of bounds of a slice's PSNR and RMSE, in per cent."""

UNITS = ("patients", "slices")

_LARGEST = 1e3
"""Multiple of the expected error that a file is believed: those of real ones are 1 to 20."""


@dataclass(frozen=True)
class Factor:
    """A multiple of the expected error that the true one stays below.

    Attributes:
        value: the multiple.
        unit: what was exchanged for new ones, one of `UNITS`.
        n: how many of them.
    """

    value: float
    unit: str
    n: int


@dataclass(frozen=True)
class TissueErrors:
    """Of one tissue: errors as multiples of the expected error.

    Attributes:
        rms: root mean square.
        factors: by coverage in per cent.
    """

    rms: float
    factors: Mapping[int, Factor]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What errors were.

    Attributes:
        method: of reconstruction.
        preset: or "".
        settings: all that the method ran with.
        prior: which learned model; None of a method without one.
        scan: what kind of scan.
        n_patients: whose slices they were.
        n_slices: in all.
        tissues: by name; those that the slices had too little of are missing.
        rmse: of slices: the multiple of the expected RMSE that the true one stays below at `BOUND` per cent.
        slice_rmse: the expected RMSE of a slice, which its expected errors are brought to; None of too few slices, and
            in files of before: then it follows from the expected errors as they are.
        typical: what the prior makes of such reconstructions; None of a method without a latent prior.
    """

    method: str
    preset: str
    settings: Mapping[str, Any]
    prior: ModelIdentity | None
    scan: ScanKind
    n_patients: int
    n_slices: int
    tissues: Mapping[str, TissueErrors]
    rmse: Factor | None
    typical: Typical | None
    slice_rmse: SliceRMSE | None = None

    @property
    def words(self) -> str:
        """What it is of."""
        model = f", prior {self.prior.name}" if self.prior else ""
        return f"{self.method} {self.preset}".strip() + f"{model}, {self.scan.words}"

    def why_not(
        self,
        *,
        method: str,
        preset: str,
        prior: ModelIdentity | None,
        scan: ScanKind,
        settings: Mapping[str, Any] | None = None,
    ) -> str | None:
        """Why it does not fit a result, in words; None where it does.

        Args:
            method: of the result.
            preset: of the result.
            prior: of the result.
            scan: that was reconstructed.
            settings: that the method ran with; None where they are not known yet.
        """
        if (method, preset) != (self.method, self.preset):
            wanted, found = (f"{a} {b}".strip() for a, b in ((self.method, self.preset), (method, preset)))
            return f"the result is by {found}, not {wanted}"
        if prior != self.prior and not _same(prior, self.prior):
            return f"the result is with {_named(prior)}, not {_named(self.prior)}"
        if (difference := self.scan.difference(scan)) is not None:
            return difference
        if settings is not None and (other := _other_settings(self.settings, settings)):
            hint = "; --z-coupling none takes slices by themselves" if "z_coupling" in other else ""
            return f"its settings differ in {other}{hint}"
        return None

    def save(self, path: Path) -> None:
        """Write it; `OutputError` if that cannot be done."""
        record = {"format": FORMAT, **asdict(self)}
        record["tissues"] = {
            name: {"rms": one.rms, "factors": {str(level): asdict(f) for level, f in one.factors.items()}}
            for name, one in self.tissues.items()
        }
        write_file(path, json.dumps(finite(_rounded(record)), indent=1, allow_nan=False) + "\n")

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """Read one; `CalibrationError` for anything else."""
        try:
            raw = read_json(path)
            if not isinstance(raw, dict) or raw.get("format") != FORMAT:
                raise ValueError(f"it is no {FORMAT!r}")
            prior, typical, rmse, of_slice = raw["prior"], raw["typical"], raw["rmse"], raw.get("slice_rmse")
            return cls(
                method=str(raw["method"]),
                preset=str(raw["preset"]),
                settings=dict(raw["settings"]),
                prior=None if prior is None else ModelIdentity(str(prior["name"]), prior["sha256"]),
                scan=ScanKind.from_json(raw["scan"]),
                n_patients=_count(raw["n_patients"]),
                n_slices=_count(raw["n_slices"]),
                tissues=_tissues(raw["tissues"]),
                rmse=None if rmse is None else _factor(rmse),
                typical=None if typical is None else Typical.from_json(typical),
                slice_rmse=None if of_slice is None else SliceRMSE.from_json(of_slice),
            )
        except (OSError, ValueError, KeyError, TypeError, IndexError, OverflowError, AttributeError) as error:
            reason = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
            raise CalibrationError(
                f"{path} cannot be used as a calibration ({reason}); expected a file that `ctresample calibrate` wrote"
            ) from None


def _count(raw: Any) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int) or raw < 1:
        raise ValueError(f"a number of patients or slices is {str(raw)[:40]!r}")
    return raw


def _multiple(raw: Any) -> float:
    found = float(raw)
    if isinstance(raw, bool) or not 0 < found < _LARGEST:
        raise ValueError(f"a multiple of the expected error is {str(raw)[:40]!r}")
    return found


def _factor(raw: Mapping[str, Any]) -> Factor:
    if raw["unit"] not in UNITS:
        raise ValueError(f"a unit is {str(raw['unit'])[:40]!r}")
    return Factor(_multiple(raw["value"]), raw["unit"], _count(raw["n"]))


def _tissues(raw: Mapping[str, Any]) -> dict[str, TissueErrors]:
    found = {
        name: TissueErrors(
            _multiple(raw[name]["rms"]), {int(level): _factor(one) for level, one in raw[name]["factors"].items()}
        )
        for name in TISSUES
        if name in raw
    }
    if not found or not all(one.factors and set(one.factors) <= set(INTERVALS) for one in found.values()):
        raise ValueError("a tissue has no factors, or of other intervals than there are")
    return found


def _other_settings(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """The names of settings that differ, in one text; ``coupled`` is none: what slices share says nothing of one."""
    a, b = (json.loads(json.dumps(finite(dict(one)), default=str)) for one in (wanted, found))
    return ", ".join(sorted(name for name in (a.keys() | b.keys()) - {"coupled"} if a.get(name) != b.get(name)))


def _same(a: ModelIdentity | None, b: ModelIdentity | None) -> bool:
    """Weights are what counts; of those that never were in a file there is only the name."""
    return a is not None and b is not None and a.sha256 is not None and a.sha256 == b.sha256


def _named(prior: ModelIdentity | None) -> str:
    return "no learned model" if prior is None else f"prior {prior.name} (SHA-256 {(prior.sha256 or 'none')[:12]})"


def _rounded(value: Any) -> Any:
    """Numbers to six digits: more are not known."""
    if isinstance(value, Mapping):
        return {name: one if name == "settings" else _rounded(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
