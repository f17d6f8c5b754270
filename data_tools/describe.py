"""What a file or folder is and holds, in a few facts without patient data: for ``ctresample info``.

Loads no torch, and h5py or pydicom only for what needs them.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import ctresample
from ctresample.data_tools.plain_text import one_line
from ctresample.errors import DicomError, PriorError, UsageError

if TYPE_CHECKING:
    from ctresample.data_tools.dicom_headers import SliceHeader
    from ctresample.geometry import Geometry, Grid
    from ctresample.volume import Volume

# as in ctresample.prior, which loads torch
PRIOR_CONFIG = "prior.json"
WEIGHT_FILES = (".ckpt", ".pt", ".pth", ".safetensors")
BUNDLED_PRIORS = Path(ctresample.__file__).parent / "priors"

Facts = dict[str, str]


def describe(path: Path) -> Facts:
    """Facts about a sinogram file, a DICOM file or folder, or a prior, in the order to show them.

    Everything is read through, so that a file that describes well also reads well.

    Args:
        path: a file or folder; or the name of a bundled prior, where no file or folder has it.

    Returns:
        Names of facts and their values, each one line. A DICOM folder that cannot be read as one volume says why
        under "problem".

    Raises:
        UsageError: there is nothing of that name, or nothing that ctresample reads.
        SinogramError: a sinogram file that cannot be read.
        DicomError: no CT image in a folder, or an image that cannot be read.
        PriorError: a prior whose config cannot be read, or a model that is not yet a prior.
    """
    if (path / PRIOR_CONFIG).is_file():
        facts = _prior(path)
    elif (path / "model_index.json").is_file() or (path / "unet").is_dir():
        raise PriorError(
            f"{path} is a diffusers pipeline, not a prior of ctresample; `ctresample prior import` makes a prior of it"
        )
    elif path.is_file() and path.suffix in WEIGHT_FILES:
        raise PriorError(
            f"{path} holds weights, not a prior of ctresample; `ctresample prior import` makes a prior of it"
        )
    elif path.is_dir():
        facts = _dicom_folder(path)
    elif path.is_file():
        facts = _file(path)
    elif str(path) in bundled_priors():
        facts = _prior(BUNDLED_PRIORS / path)
    else:
        bundled = ", ".join(bundled_priors()) or "none"
        raise UsageError(
            f"{path} is no file, folder or name of a prior; expected a sinogram file, a DICOM file or folder, a prior "
            f"folder or a bundled prior ({bundled})"
        )
    return {one_line(name, 40): one_line(value, 1000) for name, value in facts.items()}


def bundled_priors() -> list[str]:
    """Names of the priors that come with ctresample."""
    return sorted(config.parent.name for config in BUNDLED_PRIORS.glob(f"*/{PRIOR_CONFIG}"))


# ---------------------------------------------------------------- sinograms


def _file(path: Path) -> Facts:
    import h5py

    if h5py.is_hdf5(path):
        return _sinogram(path)
    from ctresample.data_tools.dicom_files import SkippedFile
    from ctresample.data_tools.importers.formats import format_of

    try:
        return _dicom_image(path)
    except SkippedFile as reason:
        foreign = format_of(path)
        if foreign:
            raise UsageError(
                f"{path} is a file of another program ({foreign}); `ctresample import` makes a sinogram file of it"
            ) from None
        raise UsageError(
            f"{path} is neither a sinogram file (HDF5) nor a CT image ({reason}); expected one of these, or a prior"
        ) from None


def _sinogram(path: Path) -> Facts:
    from ctresample.data_tools.sinogram_file import read_sinogram, read_summary

    summary, sinogram = read_summary(path), read_sinogram(path)
    values, photons = sinogram.values, sinogram.photons
    facts = {
        "kind": f"sinogram (HDF5, schema version {summary.version})",
        "slices": str(summary.n_slices),
        "slice step": f"{np.linalg.norm(sinogram.affine[:3, 2]):.4g} mm",
        **_scan(sinogram.geometry),
        **_grid(sinogram.grid),
        "photons": "no noise" if photons is None else f"{_range(photons)} a ray",
        "electronic noise": f"{sinogram.electronic_noise:.4g} photons",
        "line integrals": f"{values.min():.4g} to {values.max():.4g}",
        "water": f"{sinogram.mu_water_per_mm:.4g} per mm",
        "origin": sinogram.origin,
        "DICOM headers": "yes, with patient data" if summary.has_headers else "none",
        "written by": summary.model.software,
    }
    if photons is None:
        del facts["electronic noise"]
    return facts


def _scan(geometry: Geometry) -> Facts:
    from ctresample.geometry import ConeBeam, FanBeam, ParallelBeam

    beam, detector = "parallel", f"{geometry.n_detectors} bins of {geometry.detector_pitch_mm:.4g} mm"
    offsets = {"detector": geometry.detector_offset_mm}
    if not isinstance(geometry, ParallelBeam):
        shape = f"fan, {geometry.detector_shape} detector" if isinstance(geometry, FanBeam) else "cone, flat panel"
        beam = (
            f"{shape}; source to axis {geometry.source_to_axis_mm:.6g} mm, "
            f"to detector {geometry.source_to_detector_mm:.6g} mm"
        )
        offsets["axis"] = geometry.axis_offset_mm
    if isinstance(geometry, ConeBeam):
        rows, row_mm = geometry.n_detector_rows, geometry.detector_row_pitch_mm
        detector = f"{rows} x {geometry.n_detectors} bins of {row_mm:.4g} x {geometry.detector_pitch_mm:.4g} mm"
        offsets["detector rows"] = geometry.detector_row_offset_mm
    first, last = (math.degrees(angle) for angle in (min(geometry.angles_rad), max(geometry.angles_rad)))
    facts = {
        "views": f"{geometry.n_views}, from {first:.4g} to {last:.4g} degrees",
        "beam": beam,
        "detector": detector,
    }
    out_of_line = [f"{what} by {offset:.4g} mm" for what, offset in offsets.items() if offset]
    return facts | ({"out of line": ", ".join(out_of_line)} if out_of_line else {})


def _grid(grid: Grid) -> Facts:
    sizes = [abs(step) for step in grid.steps_mm]
    if len(grid.shape) == 2 and sizes[0] == sizes[1]:
        sizes = sizes[:1]
    kind = "pixels" if len(grid.shape) == 2 else "voxels"
    facts = {"image grid": f"{_by(grid.shape)} {kind} of {' x '.join(f'{size:.4g}' for size in sizes)} mm"}
    if any(grid.centre_mm):
        facts["image centre"] = f"({', '.join(f'{place:.4g}' for place in grid.centre_mm)}) mm from the axis"
    return facts


def _range(photons: float | np.ndarray) -> str:
    low, high = float(np.min(photons)), float(np.max(photons))
    return f"{low:,.6g}" if low == high else f"{low:,.6g} to {high:,.6g}"


# ---------------------------------------------------------------- DICOM


def _dicom_image(path: Path) -> Facts:
    from ctresample.data_tools.dicom_headers import read_slice_header
    from ctresample.data_tools.dicom_pixels import decode_slice

    header, decoded = read_slice_header(path), decode_slice(path)
    return {"kind": "CT image (DICOM)", **_matrix(header), "HU range": _hu_range(decoded.hu)}


def _dicom_folder(folder: Path) -> Facts:
    from ctresample.data_tools.dicom_files import SkippedFile, find_files
    from ctresample.data_tools.dicom_headers import read_slice_header
    from ctresample.data_tools.dicom_stack import describe_stack, group_stacks

    left_out: Counter[str] = Counter()
    problems: list[str] = []
    headers: list[SliceHeader] = []
    for path in find_files(folder):
        try:
            headers.append(read_slice_header(path))
        except SkippedFile as reason:
            left_out[str(reason)] += 1
        except DicomError as error:
            problems.append(str(error))
    if not headers:
        reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.most_common())
        detail = problems[0] if problems else reasons or "it is empty"
        raise DicomError(f"{folder}: no CT image ({detail}); expected a DICOM folder or a prior")
    stacks = group_stacks(headers)
    if len(stacks) == 1:
        return _series(folder, stacks[0])
    facts = {"kind": f"folder of {len(stacks)} CT series (DICOM)"}
    facts |= {f"series {number}": describe_stack(stack) for number, stack in enumerate(stacks, 1)}
    if left_out:
        facts["left out"] = ", ".join(f"{reason}: {count}" for reason, count in left_out.most_common())
    if problems:
        facts["problem"] = f"{problems[0]}{f' (and {len(problems) - 1} more)' * (len(problems) > 1)}"
    return facts


def _series(folder: Path, stack: list[SliceHeader]) -> Facts:
    from ctresample.data_tools.dicom_reader import read_ct_series

    facing = ("sagittal", "coronal", "axial")[int(np.abs(stack[0].normal).argmax())]
    notes: list[str] = []
    volume: Volume | None = None
    problem = ""
    try:
        volume = read_ct_series(folder, on_warning=notes.append)
    except DicomError as error:  # what it is stays worth telling
        problem = str(error)
    facts = {"kind": "CT series (DICOM)", "slices": f"{len(volume.hu if volume else stack)} {facing}"}
    facts |= _matrix(stack[0])
    if volume:
        facts |= {"slice step": f"{volume.spacing_mm[2]:.4g} mm", "HU range": _hu_range(volume.hu)}
    facts["series UID"] = stack[0].series_uid
    facts |= {f"note {number}": note for number, note in enumerate(notes, 1)}
    if problem:
        facts["problem"] = problem
    return facts


def _matrix(header: SliceHeader) -> Facts:
    row_mm, column_mm = header.spacing_mm
    return {"matrix": _by(header.shape), "pixel size": f"{row_mm:.4g} x {column_mm:.4g} mm"}


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _hu_range(hu: np.ndarray) -> str:
    return f"{hu.min():g} to {hu.max():g}"


# ---------------------------------------------------------------- priors


def _prior(folder: Path) -> Facts:
    """Read the config plainly: the class that checks it in full comes with torch."""
    path = folder / PRIOR_CONFIG
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        low, high = map(float, config["hu_range"])
        errors = [float(error) for _, error in sorted(config["denoising_rmse_hu"])]
        facts = {
            "kind": "latent diffusion prior",
            "name": str(config["name"]),
            "image size": _by((int(config["image_size"]), int(config["image_size"]))),
            "HU range": f"{low:g} to {high:g}",
            "latents": f"{len(config['latent_mean'])} channels, patches of {int(config['patch_size'])} pixels",
            "denoising error": f"{errors[0]:.4g} HU (most noise) to {errors[-1]:.4g} HU (least)",
            "weights": _weights(folder),
        }
        for name, value in dict(config["provenance"]).items():
            facts.setdefault(str(name), value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise PriorError(
            f"{path} cannot be used: {type(error).__name__} {one_line(str(error))}; expected a full config"
        ) from error
    return facts


def _weights(folder: Path) -> str:
    files = {part: sorted((folder / part).glob("*.safetensors")) for part in ("vae", "unet")}
    missing = [part for part, found in files.items() if not found]
    if missing:
        return f"missing: {' and '.join(missing)}"
    n_bytes = sum(file.stat().st_size for found in files.values() for file in found)
    return f"{n_bytes / 1e6:,.1f} MB"
