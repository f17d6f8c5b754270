"""Judge a reconstruction by the calibrations that there are: of a file, or those of its prior's folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ctresample.errors import CalibrationError
from ctresample.learned import LearnedModel
from ctresample.learned.latent_prior import LatentPrior
from ctresample.paths import StrPath
from ctresample.pipelines.calibration.calibration import Calibration
from ctresample.pipelines.calibration.expected_error import expected_error_hu, rough_image_hu
from ctresample.pipelines.calibration.find import calibrations_of, fitting, misfit, that_of
from ctresample.pipelines.calibration.scan_kind import ScanKind
from ctresample.pipelines.calibration.slice_rmse import LEAST_HU, MOST_HU, slice_figures
from ctresample.pipelines.calibration.trust import Trust, expected_rmse_hu, interval_of, strictest_scores
from ctresample.pipelines.calibration.typical import figures_of
from ctresample.result import ModelIdentity, Reconstruction
from ctresample.sinogram import Sinogram


@dataclass(frozen=True, eq=False)
class Judge:
    """What results of a scan will be judged by.

    Attributes:
        calibrations: that may fit.
        file: the one that was asked for by name, if any; it must fit.
        kind: of the scan; None of one that no calibration can be of.
        no_kind: why.
        method: of the result.
        preset: of the result; "" where the method has none.
        model: the learned one.
    """

    calibrations: tuple[Calibration, ...]
    file: Path | None
    kind: ScanKind | None
    no_kind: str
    method: str
    preset: str
    model: LearnedModel | None

    @classmethod
    def of(
        cls,
        sinogram: Sinogram,
        *,
        method: str,
        preset: str,
        model: LearnedModel | None,
        prior: StrPath | None,
        file: StrPath | None = None,
        on_note: Callable[[str], None] | None = None,
    ) -> Judge:
        """Before anything is computed.

        Args:
            sinogram: to be reconstructed.
            method: of the result.
            preset: of the result.
            model: loaded.
            prior: its name or folder, where its calibrations are; None for none.
            file: of a calibration, in their place.
            on_note: told of calibrations that cannot be read.

        Raises:
            CalibrationError: the file cannot be read, or is of other results.
        """
        no_kind, kind = "", None
        try:
            kind = ScanKind.of(sinogram)
        except CalibrationError as error:
            if file is not None:
                raise
            no_kind = str(error)
        found: tuple[Calibration, ...]
        place = None if file is None else Path(file)
        judge = cls((), place, kind, no_kind, method, preset, model)
        found = tuple(calibrations_of(prior, on_note)) if place is None else (that_of(place, judge._why_not),)
        return replace(judge, calibrations=found)

    def trust(
        self, result: Reconstruction, *, coverage: int | None = None, device: str = "cpu", batch_size: int = 8
    ) -> Trust:
        """What is known of a result.

        Args:
            result: of the scan.
            coverage: of intervals, in per cent; None for no interval.
            device: where to compute.
            batch_size: slices together.

        Raises:
            CalibrationError: the calibration of a file is of other settings, or has no such interval.
        """
        calibration, why_not = fitting(self.calibrations, lambda one: self._why_not(one, result.settings))
        if self.kind is None:
            calibration, why_not = None, self.no_kind
        if calibration is None and self.file is not None:
            raise misfit(self.file, self.calibrations[0], why_not)
        trust = Trust(calibration=calibration, why_not=why_not)
        asked = self.calibrations if calibration is None else (calibration,)
        typicals = [one.typical for one in asked if one.typical and self._identity == one.prior]
        if typicals and isinstance(self.model, LatentPrior):
            figures = figures_of(result.image_hu, self.model, batch_size=batch_size)
            scores, limit = strictest_scores(typicals, figures)
            trust = replace(trust, scores=scores, limit=limit)
        if calibration is None:
            return trust if coverage is None else replace(trust, no_interval=why_not)
        rough = rough_image_hu(result.sinogram, device=device, batch_size=batch_size)
        expected = expected_error_hu(result.image_hu, rough)
        rmse = expected_rmse_hu(calibration, result.image_hu, expected)
        if calibration.slice_rmse is not None:
            figures = slice_figures(result.sinogram, result.image_hu, rough, device=device)
            better = calibration.slice_rmse.of(figures)
            if not ((better > LEAST_HU) & (better < MOST_HU)).all():
                reason = f"its calibration would expect an error of {better.max():.3g} HU, which none is"
                if self.file is not None:
                    raise CalibrationError(f"{self.file} cannot be used: {reason}")
                return replace(trust, calibration=None, why_not=reason, no_interval=reason if coverage else "")
            expected *= (better / rmse).astype(np.float32)[:, None, None]
            rmse = tuple(better.tolist())
        factor = calibration.rmse
        at_most = () if factor is None else tuple((factor.value * np.asarray(rmse)).tolist())
        trust = replace(trust, expected_rmse_hu=rmse, rmse_at_most_hu=at_most)
        if coverage is None:
            return trust
        if not any(coverage in one.factors for one in calibration.tissues.values()):
            reason = f"its calibration has too few slices ({calibration.n_slices}) for {coverage} %"
            if self.file is not None:
                raise CalibrationError(f"{self.file} has too few slices ({calibration.n_slices}) for {coverage} %")
            return replace(trust, no_interval=reason)
        return replace(trust, interval=interval_of(calibration, result.image_hu, expected, coverage))

    def _why_not(self, calibration: Calibration, settings: Mapping[str, Any] | None = None) -> str | None:
        if self.kind is None:
            return self.no_kind
        return calibration.why_not(
            method=self.method, preset=self.preset, prior=self._identity, scan=self.kind, settings=settings
        )

    @property
    def _identity(self) -> ModelIdentity | None:
        return None if self.model is None else ModelIdentity(self.model.name, self.model.sha256)
