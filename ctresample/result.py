"""What a reconstruction hands back, and one line of a results table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ctresample.display import as_html, hu_picture, middle, slices_in_words
from ctresample.errors import GeometryError
from ctresample.paths import StrPath, as_path
from ctresample.sinogram import Sinogram
from ctresample.volume import Volume

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Labelled:
    """What has a method and a preset, and so a name in pictures and tables."""

    method: str
    preset: str

    @property
    def label(self) -> str:
        """Method and preset in one."""
        return f"{self.method} {self.preset}".strip()


@dataclass(frozen=True, kw_only=True)
class ResultRow(Labelled):
    """The figures of one slice under one method: a line of the results table, in its column order.

    Figures are NaN where there are none: of a method that failed, of a region that is empty.

    Attributes:
        condition: name of the scan: views, beam and dose.
        views: number of projection angles it was given.
        seed: of the noise and of methods that sample.
        slice: name of the slice, without patient data.
        patient: a number, the same for slices of one patient.
        method: the solver (``fbp``, ``tv``, ``resample``).
        preset: the named settings it ran with.
        psnr_db: PSNR against the truth over ``data_range_hu``, in dB.
        data_range_hu: the range that PSNR and SSIM were computed over, in HU.
        ssim: structural similarity over ``data_range_hu``.
        rmse_hu: root mean square error over the whole slice, in HU.
        mae_hu: mean absolute error over the whole slice, in HU.
        soft_tissue_rmse_hu: the same over regions of `ctresample.metrics.region_masks`, as are the next five.
        soft_tissue_mae_hu: see above.
        lung_rmse_hu: see above.
        lung_mae_hu: see above.
        body_rmse_hu: see above.
        body_mae_hu: see above.
        worst_region_rmse_hu: of `ctresample.metrics.structure_errors`, as are the next two.
        dense_spots: see above.
        lost_spots: see above.
        flicker: of `ctresample.metrics.flicker`, of the slice and its neighbours in a volume; 1 is right. NaN of slices
            that were reconstructed by themselves.
        measured_rmse_hu: root mean square over the whole slice of that part of the error that the data could have told,
            in HU; see `ctresample.consistency.open_part`.
        invented_rmse_hu: of the rest, which the data leave open and the method filled in.
        residual_ratio: observed data residual over the one the noise predicts. About 1 when the
            image fits the data as well as the true one would, below 1 when it fits noise.
        seconds: wall time for this slice.
        denoiser_calls: forward passes of the denoiser (of FBP-UNet: its network) with this slice in the batch.
        encoder_calls: of the autoencoder's encoder.
        decoder_calls: of the autoencoder's decoder.
        denoiser_backwards: backward passes through the denoiser.
        encoder_backwards: through the encoder.
        decoder_backwards: through the decoder.
        projections: by the operator, those in gradients and the one that measures the residual included.
        back_projections: by its adjoint; FBP's own is not one.
        peak_memory_mb: highest memory of the process above that at the start, in 10^6 bytes: resident memory, on a
            GPU what the tensors took. Of the whole batch, and blind to what was freed before and not given back.
        failure: why there is no image, in words; empty where there is one.
    """

    condition: str
    views: int
    seed: int
    slice: str
    patient: int
    method: str
    preset: str
    psnr_db: float = math.nan
    data_range_hu: float = math.nan
    ssim: float = math.nan
    rmse_hu: float = math.nan
    mae_hu: float = math.nan
    soft_tissue_rmse_hu: float = math.nan
    soft_tissue_mae_hu: float = math.nan
    lung_rmse_hu: float = math.nan
    lung_mae_hu: float = math.nan
    body_rmse_hu: float = math.nan
    body_mae_hu: float = math.nan
    worst_region_rmse_hu: float = math.nan
    dense_spots: float = math.nan
    lost_spots: float = math.nan
    flicker: float = math.nan
    measured_rmse_hu: float = math.nan
    invented_rmse_hu: float = math.nan
    residual_ratio: float = math.nan
    seconds: float = math.nan
    denoiser_calls: float = math.nan
    encoder_calls: float = math.nan
    decoder_calls: float = math.nan
    denoiser_backwards: float = math.nan
    encoder_backwards: float = math.nan
    decoder_backwards: float = math.nan
    projections: float = math.nan
    back_projections: float = math.nan
    peak_memory_mb: float = math.nan
    failure: str = ""


@dataclass(frozen=True)
class ModelIdentity:
    """Which learned model took part.

    Attributes:
        name: as its config calls it.
        sha256: one hash over all its weights; None of a model that was never in a file.
    """

    name: str
    sha256: str | None


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Reconstruction(Labelled):
    """Reconstructed slices with all that is needed to judge, to repeat and to write them.

    Example:
        >>> from ctresample import Volume, reconstruct, simulate
        >>> water = Volume(np.zeros((2, 16, 16)), np.diag([4, 4, 2, 1]))
        >>> result = reconstruct(simulate(water, n_views=12, size=16), method="fbp")
        >>> result
        Reconstruction(fbp, 2 slices of 16 x 16 pixels, data residual ...)
        >>> result.volume
        Volume(2 slices of 16 x 16 pixels, 4 x 4 x 2 mm)
        >>> [file.name for file in result.to_dicom("series")]
        ['0001.dcm', '0002.dcm']
        >>> result.to_nifti("image.nii.gz")

    Attributes:
        image_hu: float32 array ``[slice, y, x]`` in HU.
        sinogram: what was reconstructed; it says where the slices lie.
        residual_ratio: one value a slice: observed data residual over the one the noise predicts. The slices of a
            cone beam, which are measured together, have one value in common.
        residual_history: data residual after each step, mean over slices; empty for a direct method.
        seconds: wall time for all slices.
        settings: every setting the solver ran with, by name.
        seed: of the random generator; ``None`` when the method draws no random numbers.
        method: the solver.
        preset: the named settings it started from.
        model: the learned model, of a method that has one.
        device: where it was computed.
        z_coupling: how strongly slices helped each other (0: not at all), and why.
        doubts: what is doubtful about the scan and the residual, a sentence each, with the likely cause.
    """

    image_hu: NDArray[np.float32]
    sinogram: Sinogram
    residual_ratio: tuple[float, ...]
    residual_history: tuple[float, ...]
    seconds: float
    settings: dict[str, object]
    seed: int | None
    method: str
    preset: str
    model: ModelIdentity | None = None
    device: str = "cpu"
    z_coupling: dict[str, object] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse parts that do not fit each other."""
        if self.image_hu.ndim != 3 or 0 in self.image_hu.shape:
            raise GeometryError(f"image_hu has shape {self.image_hu.shape}; expected (slices, rows, columns), none 0")
        if not len(self.residual_ratio) == len(self.image_hu) == self.sinogram.n_slices:
            raise GeometryError(
                f"{len(self.image_hu)} slices but {len(self.residual_ratio)} residual ratios, of a sinogram of "
                f"{self.sinogram.n_slices}; expected as many of each"
            )

    @property
    def volume(self) -> Volume:
        """The images with their place in the patient and the headers of the source."""
        scan = self.sinogram
        return Volume(self.image_hu, scan.affine, scan.headers, scan.slice_offsets_mm)

    def plot(
        self, *others: Reconstruction | Volume, slice_number: int | None = None, window: str = "soft tissue"
    ) -> Figure:
        """Draw a slice with matplotlib, beside the same slice of others: other methods, the true volume.

        Args:
            others: of the same shape.
            slice_number: from 0; by default the middle one.
            window: "soft tissue", "lung", "bone" or "brain".
        """
        from ctresample.plots import plot_slices  # with matplotlib, which is slow to load

        stacks = {self.label: self.image_hu}
        for number, other in enumerate(others, 2):
            name = "volume" if isinstance(other, Volume) else other.label
            hu = other.hu if isinstance(other, Volume) else other.image_hu
            stacks[f"{name} ({number})" if name in stacks else name] = hu
        return plot_slices(stacks, self.volume.spacing_mm, slice_number=slice_number, window=window)

    def to_dicom(self, folder: StrPath) -> list[Path]:
        """Write a derived DICOM series, as ``ctresample reconstruct`` does; equal results get equal UIDs.

        Args:
            folder: new or empty.

        Returns:
            The files in slice order.

        Raises:
            OutputError: the folder is not empty or cannot be written.
            DicomError: the source's headers cannot be used.
        """
        from ctresample.pipelines.results import save as result_files

        return result_files.to_dicom(self, as_path(folder, "folder"))

    def to_nifti(self, file: StrPath) -> None:
        """Write a compressed NIfTI file in HU, without anything of the DICOM headers.

        Args:
            file: a new file; its name ends with ``.nii.gz``.

        Raises:
            GeometryError: slices that are not evenly spaced, which NIfTI cannot express.
            OutputError: the file exists or cannot be written.
            UsageError: a name with another ending.
        """
        from ctresample.pipelines.results import save as result_files

        result_files.to_nifti(self, as_path(file, "file"))

    def save(self, folder: StrPath, *, formats: Sequence[str] = ("dicom",)) -> None:
        """Write the folder that ``ctresample reconstruct`` writes: the images and ``run.json``, whole or not at all.

        Args:
            folder: new or empty.
            formats: of "dicom", "nifti" and "nrrd".

        Raises:
            OutputError: the folder is not empty or cannot be written.
            UsageError: an unknown format.
        """
        from ctresample.pipelines.results import save as result_files

        result_files.save(self, as_path(folder, "folder"), formats)

    def __repr__(self) -> str:
        seed = "" if self.seed is None else f", seed {self.seed}"
        slices = slices_in_words(self.image_hu.shape)
        return f"Reconstruction({self.label}, {slices}, data residual {self._residual:.3g}{seed})"

    def _repr_html_(self) -> str:
        model = None if self.model is None else self.model.name
        return as_html(
            "Reconstruction",
            hu_picture(middle(self.image_hu)),
            {
                "method": self.label,
                "model": model,
                "slices": slices_in_words(self.image_hu.shape),
                "data residual": f"{self._residual:.3g} of what the noise predicts",
                "views": self.sinogram.geometry.n_views,
                "seed": self.seed,
                "seconds": f"{self.seconds:.1f}",
            },
        )

    @property
    def _residual(self) -> float:
        return sum(self.residual_ratio) / len(self.residual_ratio)
