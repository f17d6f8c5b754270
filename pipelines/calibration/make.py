"""Make a calibration: reconstruct scans whose truth is known, and look how far off the images are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ctresample.choices import INTERVALS
from ctresample.errors import CalibrationError
from ctresample.learned import LearnedModel
from ctresample.learned.latent_prior import LatentPrior
from ctresample.metrics import rmse_hu
from ctresample.pipelines.calibration.calibration import BOUND, Calibration, Factor, TissueErrors
from ctresample.pipelines.calibration.conformal import factor_of, fewest_units, quantiles_of, rank_bound
from ctresample.pipelines.calibration.expected_error import expected_error_hu, rough_image_hu
from ctresample.pipelines.calibration.known import KnownScans, joined
from ctresample.pipelines.calibration.scan_kind import ScanKind
from ctresample.pipelines.calibration.slice_rmse import SliceRMSE, left_out, slice_figures
from ctresample.pipelines.calibration.tissues import TISSUES, tissue_numbers
from ctresample.pipelines.calibration.typical import FALSE_ALARMS, Typical, figures_of
from ctresample.result import Reconstruction
from ctresample.sinogram import Sinogram

ENOUGH_PIXELS = 100
"""Of a tissue in a slice, to count."""

FEWEST_SLICES = fewest_units(0.9)
"""Without so many there is no interval worth having."""

_FEWEST_PATIENTS = 3
"""Without so many nothing is typical."""

_FEWEST_PATIENTS_OF_A_FIT = fewest_units(0.9)
"""Without so many no error of a slice is fitted to its figures."""


@dataclass
class _Slice:
    """What is kept of a slice; by tissue the number of pixels, and sums over them."""

    patient: str
    quantiles: dict[int, NDArray[np.float64]]
    error2: NDArray[np.float64]
    expected2: NDArray[np.float64]
    rmse_hu: float
    of_error: NDArray[np.float64]
    of_prior: NDArray[np.float64] | None


@dataclass
class Seen:
    """What was seen so far, slice by slice."""

    slices: list[_Slice] = field(default_factory=list)

    def add(
        self,
        image_hu: NDArray[np.float32],
        truth_hu: NDArray[np.float32],
        expected_hu: NDArray[np.float32],
        patient: str,
        of_error: NDArray[np.float64],
        of_prior: NDArray[np.float64] | None = None,
    ) -> None:
        """Add slices ``[slice, y, x]`` of one patient.

        Args:
            image_hu: the reconstruction.
            truth_hu: what was scanned.
            expected_hu: from `expected_error_hu`.
            patient: whose.
            of_error: from `slice_figures`.
            of_prior: from `figures_of`, where there is a latent prior.
        """
        for k, (image, truth, expected) in enumerate(zip(image_hu, truth_hu, expected_hu, strict=True)):
            error, tissue = np.abs(image - truth).astype(np.float64), tissue_numbers(image).ravel()
            error2, expected2 = (
                np.bincount(tissue, weights=values.astype(np.float64).ravel() ** 2, minlength=len(TISSUES))
                / values.size
                for values in (error, expected)
            )
            ratio, count = (error / expected).ravel(), np.bincount(tissue, minlength=len(TISSUES))
            kept = {t: quantiles_of(ratio[tissue == t]) for t in range(len(TISSUES)) if count[t] >= ENOUGH_PIXELS}
            own = None if of_prior is None else of_prior[k]
            self.slices.append(_Slice(patient, kept, error2, expected2, rmse_hu(image, truth), of_error[k], own))

    def tissues(self) -> dict[str, TissueErrors]:
        """The factors of each tissue that enough units have."""
        found = {}
        for number, name in enumerate(TISSUES):
            having = [one for one in self.slices if number in one.quantiles]
            patients: dict[str, list[_Slice]] = {}
            for one in having:
                patients.setdefault(one.patient, []).append(one)
            by = {
                "patients": [
                    quantiles_of(np.concatenate([o.quantiles[number] for o in own])) for own in patients.values()
                ],
                "slices": [one.quantiles[number] for one in having],
            }
            factors = {}
            for level in INTERVALS:
                unit = _unit(len(patients), len(having), level)
                if unit:
                    factors[level] = Factor(factor_of(by[unit], level / 100), unit, len(by[unit]))
            if factors:
                # every patient counts the same
                means = [
                    np.mean([[one.error2[number], one.expected2[number]] for one in own], axis=0)
                    for own in patients.values()
                ]
                error2, expected2 = np.sum(means, axis=0)
                found[name] = TissueErrors(float(np.sqrt(error2 / expected2)), factors)
        return found

    def plainly_expected_hu(self, tissues: dict[str, TissueErrors]) -> NDArray[np.float64]:
        """The root mean square error of each slice that follows from its expected errors as they are."""
        rms = rms_by_number(tissues)
        return np.sqrt(np.stack([one.expected2 for one in self.slices]) @ rms**2)

    def slice_rmse(self) -> tuple[SliceRMSE, NDArray[np.float64]] | None:
        """The fit to all, and what the one to the others expects of each slice; None of too few patients or slices."""
        patients = [one.patient for one in self.slices]
        if len(set(patients)) < _FEWEST_PATIENTS_OF_A_FIT or len(self.slices) < fewest_units(BOUND / 100):
            return None
        figures, true = np.stack([one.of_error for one in self.slices]), [one.rmse_hu for one in self.slices]
        return SliceRMSE.fit(figures, true), left_out(figures, true, patients)

    def scaled(self, scale: NDArray[np.float64]) -> Seen:
        """The same with expected errors that are so many times as large in each slice."""
        return Seen(
            [
                replace(one, quantiles={t: q / factor for t, q in one.quantiles.items()})
                for one, factor in zip(self.slices, scale.tolist(), strict=True)
            ]
        )

    def rmse_factor(self, expected_hu: NDArray[np.float64]) -> Factor | None:
        """How far above the expected RMSE that of a slice may lie; None of too few slices."""
        if len(self.slices) < fewest_units(BOUND / 100):
            return None
        return Factor(rank_bound(self._ratios(expected_hu), BOUND / 100), "slices", len(self.slices))

    def looseness(self, expected_hu: NDArray[np.float64]) -> float:
        """How far the bound that follows from expected RMSE lies above the true ones: mean of the logarithms' distance.

        Of `fewest_units` slices for it, or more.
        """
        factor = rank_bound(self._ratios(expected_hu), BOUND / 100)
        return float(np.mean(np.log(factor / np.asarray(self._ratios(expected_hu)))))

    def _ratios(self, expected_hu: NDArray[np.float64]) -> list[float]:
        return [one.rmse_hu / expected for one, expected in zip(self.slices, expected_hu.tolist(), strict=True)]

    @property
    def n_patients(self) -> int:
        """Whose slices they are."""
        return len({one.patient for one in self.slices})

    def typical(self) -> Typical | None:
        """What is typical of them; None without a latent prior, or of too few patients."""
        names = sorted({one.patient for one in self.slices})
        figures = [one.of_prior for one in self.slices if one.of_prior is not None]
        if (
            len(figures) < len(self.slices)
            or len(names) < _FEWEST_PATIENTS
            or len(figures) < fewest_units(1 - FALSE_ALARMS)
        ):
            return None
        return Typical.of(np.stack(figures), [names.index(one.patient) for one in self.slices])


def rms_by_number(tissues: dict[str, TissueErrors]) -> NDArray[np.float64]:
    """The root mean square of each tissue in units of the expected error; of one not calibrated the largest of all."""
    largest = max(one.rms for one in tissues.values())
    return np.array([tissues[name].rms if name in tissues else largest for name in TISSUES])


def make_calibration(
    scans: KnownScans,
    reconstruct: Callable[[Sinogram, int], Reconstruction],
    *,
    model: LearnedModel | None,
    device: str = "cpu",
    batch_size: int = 8,
    progress: Callable[[float, str], None] | None = None,
) -> Calibration:
    """Reconstruct and compare.

    Args:
        scans: with their truths, all of one kind.
        reconstruct: a scan; told the number of slices before it, which its random numbers follow from.
        model: the learned one that takes part, on ``device``.
        device: where to compute.
        batch_size: slices together.
        progress: told the fraction done, and what is being done.

    Raises:
        CalibrationError: scans of more than one kind, or of none; too few slices.
    """
    if scans.slice_by_slice and scans.count < FEWEST_SLICES:
        raise _too_few(f"{scans.count} slice(s)")
    seen, kind, first, told, done = Seen(), None, None, progress or (lambda share, step: None), 0
    for known in joined(scans.make(), batch_size) if scans.slice_by_slice else scans.make():
        told(done / scans.count, f"scan {done + 1} of {scans.count}")
        own = ScanKind.of(known.sinogram)
        if kind is not None and (other := kind.difference(own, any_pixels=True)) is not None:
            raise CalibrationError(f"scan {done + 1} is of another kind than the first: {other}; calibrate each kind")
        result = reconstruct(known.sinogram, len(seen.slices))
        image, scan = result.image_hu, known.sinogram
        rough = rough_image_hu(scan, device=device, batch_size=batch_size)
        seen.add(
            image,
            known.truth_hu,
            expected_error_hu(image, rough),
            known.patient,
            slice_figures(scan, image, rough, device=device),
            figures_of(image, model, batch_size=batch_size) if isinstance(model, LatentPrior) else None,
        )
        kind = own if kind is None else kind.with_pixels_of(own)
        first = first or result
        done += scan.n_slices if scans.slice_by_slice else 1
    if kind is None or first is None or len(seen.slices) < FEWEST_SLICES:
        raise _too_few(f"{len(seen.slices)} slice(s) of {seen.n_patients} patient(s)")
    return calibration_of(seen, kind, first)


def _too_few(what: str) -> CalibrationError:
    return CalibrationError(
        f"{what} are too few to calibrate on; expected slices of {FEWEST_SLICES} patients or more, or at the very "
        f"least {FEWEST_SLICES} slices"
    )


def calibration_of(seen: Seen, kind: ScanKind, result: Reconstruction) -> Calibration:
    """What was seen as a calibration for results like this one.

    Raises:
        CalibrationError: no tissue is there often enough.
    """
    tissues = seen.tissues()
    if not tissues:
        raise CalibrationError(
            f"no tissue has {ENOUGH_PIXELS} pixels in {FEWEST_SLICES} of {len(seen.slices)} slices; expected CT images"
        )
    expected, of_slice = seen.plainly_expected_hu(tissues), None
    fitted = seen.slice_rmse()
    if fitted is not None and seen.looseness(fitted[1]) < seen.looseness(expected):
        of_slice, better = fitted
        scaled = seen.scaled(better / expected).tissues()
        tissues = {name: replace(one, factors=scaled[name].factors) for name, one in tissues.items()}
        expected = better
    return Calibration(
        method=result.method,
        preset=result.preset,
        settings=result.settings,
        prior=result.model,
        scan=kind,
        n_patients=seen.n_patients,
        n_slices=len(seen.slices),
        tissues=tissues,
        rmse=seen.rmse_factor(expected),
        typical=seen.typical(),
        slice_rmse=of_slice,
    )


def _unit(n_patients: int, n_slices: int, level: int) -> str:
    """What counts as exchangeable: patients where there are enough, else slices; "" of too few of either."""
    least = fewest_units(level / 100)
    return "patients" if n_patients >= least else "slices" if n_slices >= least else ""
