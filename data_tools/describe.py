"""What a file or folder is and holds, in a few facts without patient data: for ``ctresample info``.

Loads no torch, and h5py or pydicom only for what needs them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

import ctresample
from ctresample.bounded_files import read_json
from ctresample.data_tools.describe_results import describe_map, describe_results
from ctresample.data_tools.plain_text import one_line
from ctresample.errors import CTResampleError, DicomError, PriorError, UsageError
from ctresample.paths import StrPath, as_path

if TYPE_CHECKING:
    from ctresample.data_tools.dicom.discovery import Discovery
    from ctresample.data_tools.dicom.series import FoundSeries
    from ctresample.geometry import Geometry, Grid, HelicalBeam
    from ctresample.sinogram import Sinogram
    from ctresample.volume import Volume

# as in ctresample.learned, apart from which this describes
PRIOR_CONFIG = "prior.json"
WEIGHT_FILES = (".ckpt", ".pt", ".pth", ".safetensors")
BUNDLED_PRIORS = Path(ctresample.__file__).parent / "priors"

UNET_CONFIG = "fbp-unet.json"  # as in ctresample.learned.image_unet

PATIENT_IDENTITY_REMOVED = "00120062"

Facts = dict[str, str]


def describe(path: StrPath, *, one_series: bool = False, any_class: bool = False) -> Facts:
    """Facts about a sinogram file, a place of CT images, a result folder or a prior, in the order to show them.

    Everything is read through, so that a file that describes well also reads well.

    Args:
        path: a file or folder, images in zip files too; or the name of a bundled prior, where no file or folder has it.
        one_series: take the images of each folder as one series, whatever their UIDs.
        any_class: take CT images that are stored as another class.

    Returns:
        Names of facts and their values, each one line. A series that cannot be read as it is says why, and
        with which options it can be, under "problem"; of several series each has a line.

    Raises:
        UsageError: there is nothing of that name, or nothing that ctresample reads.
        SinogramError: a sinogram file that cannot be read.
        DicomError: no CT image in a folder, or an image that cannot be read.
        VolumeFileError: a NIfTI, NRRD or MetaImage file that cannot be read.
        PriorError: a prior whose config cannot be read, or a model that is not yet a prior.
    """
    path = as_path(path, "path")
    bundled = BUNDLED_PRIORS / path
    if path.exists() and (found := describe_results(path)):
        facts = found
    elif (path / PRIOR_CONFIG).is_file():
        facts = _prior(path)
    elif (path / UNET_CONFIG).is_file():
        facts = _unet(path)
    elif (path / "model_index.json").is_file() or (path / "unet").is_dir():
        raise PriorError(
            f"{path} is a diffusers pipeline, not a prior of ctresample; `ctresample prior import` makes a prior of it"
        )
    elif path.is_file() and path.suffix in WEIGHT_FILES:
        raise PriorError(
            f"{path} holds weights, not a prior of ctresample; `ctresample prior import` makes a prior of it"
        )
    elif path.is_dir():
        facts = _folder(path, one_series, any_class)
    elif path.is_file():
        facts = _file(path, one_series, any_class)
    elif len(path.parts) == 1 and (bundled / PRIOR_CONFIG).is_file():
        facts = _prior(bundled)
    elif len(path.parts) == 1 and (bundled / UNET_CONFIG).is_file():
        facts = _unet(bundled)
    else:
        names = ", ".join(sorted(one.name for one in BUNDLED_PRIORS.glob("*"))) or "none"
        raise UsageError(
            f"{path} is no file, folder or name of a prior; expected a sinogram file, a DICOM file or folder, a result "
            f"folder, a prior folder or a bundled prior ({names})"
        )
    if about := describe_map(path):
        facts = about | {name: value for name, value in facts.items() if name not in about and "note" not in name}
    return {one_line(name, 40): one_line(value, 1000) for name, value in facts.items()}


def bundled_priors() -> list[str]:
    """Names of the priors that come with ctresample."""
    return sorted(config.parent.name for config in BUNDLED_PRIORS.glob(f"*/{PRIOR_CONFIG}"))


# ---------------------------------------------------------------- sinograms


def _file(path: Path, one_series: bool, any_class: bool) -> Facts:
    import h5py

    from ctresample.data_tools.volume_source import check_kind, is_volume_file

    check_kind(path)
    if is_volume_file(path):
        return _volume(path)

    if h5py.is_hdf5(path):
        return _sinogram(path)
    from ctresample.data_tools.dicom.discovery import find_series
    from ctresample.data_tools.importers.formats import format_of

    discovery = find_series(path, one_series=one_series, any_class=any_class)
    if discovery.series or discovery.damaged:
        return _dicom(path, discovery)
    if foreign := format_of(path):
        raise UsageError(
            f"{path} is a file of another program ({foreign.name}); `ctresample import` makes a sinogram file of it"
        )
    reasons = ", ".join(discovery.left_out) or "an empty zip file"
    raise UsageError(
        f"{path} is neither a sinogram file (HDF5) nor a CT image ({reasons}); expected one of these, or a prior"
    )


def _sinogram(path: Path) -> Facts:
    from ctresample.data_tools.sinogram.file import read_sinogram, read_summary

    summary, sinogram = read_summary(path), read_sinogram(path)
    values, photons = sinogram.values, sinogram.photons
    facts = {
        "kind": f"sinogram (HDF5, schema version {summary.version})",
        "slices": str(summary.n_slices),
        "slice step": _slice_step(float(np.linalg.norm(sinogram.affine[:3, 2])), sinogram.slice_offsets_mm is None),
        **_scan(sinogram.geometry),
        **_stagger(sinogram),
        **_grid(sinogram.grid),
        "photons": "no noise" if photons is None else f"{_range(photons)} a ray",
        "electronic noise": f"{sinogram.electronic_noise:.4g} photons",
        "line integrals": f"{values.min():.4g} to {values.max():.4g}",
        "water": f"{sinogram.mu_water_per_mm:.4g} per mm",
        "origin": sinogram.origin,
        "DICOM headers": _headers(sinogram),
        "written by": summary.model.software,
    }
    if photons is None:
        del facts["electronic noise"]
    return facts


def _headers(sinogram: Sinogram) -> str:
    """Whether there are DICOM headers, and whether each says that the patient's identity was removed."""
    if not sinogram.headers:
        return "none"
    if all(header.get(PATIENT_IDENTITY_REMOVED) == {"vr": "CS", "Value": ["YES"]} for header in sinogram.headers):
        return "yes, marked as de-identified"
    return "yes, with patient data"


def _stagger(sinogram: Sinogram) -> Facts:
    if sinogram.angle_shifts_rad is None:
        return {}
    shifts = np.degrees(sorted(set(sinogram.angle_shifts_rad)))
    return {"stagger": f"slices seen from {len(shifts)} sets of angles, turned by {shifts[0]:.4g} to {shifts[-1]:.4g}°"}


def _scan(geometry: Geometry) -> Facts:
    beam, detector = geometry.words, f"{geometry.n_detectors} bins of {geometry.detector_pitch_mm:.4g} mm"
    offsets = {"detector": geometry.detector_offset_mm}
    lengths = geometry.lengths_mm
    if "source_to_axis_mm" in lengths:
        beam += (
            f"; source to axis {lengths['source_to_axis_mm']:.6g} "
            f"mm, to detector {lengths['source_to_detector_mm']:.6g} mm"
        )
        offsets["axis"] = lengths["axis_offset_mm"]
    if geometry.is_volume:
        row_mm, pitch_mm = lengths["detector_row_pitch_mm"], lengths["detector_pitch_mm"]
        detector = f"{_by(geometry.view_shape)} bins of {row_mm:.4g} x {pitch_mm:.4g} mm"
        offsets["detector rows"] = lengths["detector_row_offset_mm"]
    first, last = (math.degrees(angle) for angle in (min(geometry.angles_rad), max(geometry.angles_rad)))
    facts = {
        "views": f"{geometry.n_views}, from {first:.4g} to {last:.4g} degrees",
        "beam": beam,
        "detector": detector,
    }
    if geometry.name == "helical":
        facts |= _helix(cast("HelicalBeam", geometry))
    out_of_line = [f"{what} by {offset:.4g} mm" for what, offset in offsets.items() if offset]
    return facts | ({"out of line": ", ".join(out_of_line)} if out_of_line else {})


def _helix(geometry: HelicalBeam) -> Facts:
    heights = geometry.centre_z_mm
    facts = {
        "helix": f"from z {heights[0]:.5g} to {heights[-1]:.5g} mm, {abs(geometry.feed_mm):.4g} mm a turn, pitch "
        f"{geometry.pitch:.3g}"
    }
    if geometry.spots.any():
        facts["focal spot"] = f"flies among {len(np.unique(geometry.spots.round(5), axis=0))} places"
    return facts


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


def _folder(path: Path, one_series: bool, any_class: bool) -> Facts:
    """The CT series below a folder, and the volume files beside them; or its projections."""
    from ctresample.data_tools.ct_pd.series import is_projection_folder

    if is_projection_folder(path):
        from ctresample.data_tools.ct_pd.describing import projection_facts

        return projection_facts(path)
    from ctresample.data_tools.ct_source import volume_files
    from ctresample.data_tools.dicom.discovery import find_series

    volumes = volume_files(path)
    discovery = find_series(path, one_series=one_series, any_class=any_class)
    facts = _dicom(path, discovery) if discovery.series or not volumes else {"kind": "no CT series (DICOM)"}
    for number, file in enumerate(volumes, 1):
        try:
            told = _volume(file)
        except CTResampleError as error:
            facts[f"problem of volume {number}"] = str(error)
            continue
        facts[f"volume {number}"] = f"{file}: " + ", ".join(told[name] for name in ("kind", "matrix", "HU range"))
    return facts


def _volume(path: Path) -> Facts:
    from ctresample.data_tools.ct_source import NO_HEADERS
    from ctresample.data_tools.volume_source import read_volume_file

    notes = [f"{path} {NO_HEADERS}"]
    volume = read_volume_file(path, notes.append)
    column_mm, row_mm, _ = volume.spacing_mm
    facts = {
        "kind": f"CT volume ({'NIfTI' if '.nii' in path.name.lower() else path.suffix[1:].upper()})",
        "slices": str(len(volume.hu)),
        "matrix": _by(volume.hu.shape[1:]),
        "pixel size": f"{row_mm:.4g} x {column_mm:.4g} mm",
        "slice step": _slice_step(volume.spacing_mm[2], even=True),
        "HU range": f"{volume.hu.min():g} to {volume.hu.max():g}",
    }
    return facts | {f"note {number}": note for number, note in enumerate(notes, 1)}


def _dicom(place: Path, discovery: Discovery) -> Facts:
    from ctresample.data_tools.dicom.discovery import counts, one_series_hint, only_series
    from ctresample.data_tools.dicom.series import doubts_of, verdict

    if not discovery.series:
        only_series(discovery, place)  # says why there is none
    facts: Facts = {}
    if len(discovery.series) == 1:
        facts = _series(discovery.series[0])
    else:
        facts["kind"] = f"{len(discovery.series)} CT series (DICOM)"
        for number, found in enumerate(discovery.series, 1):
            problem, options = verdict(found)
            facts[f"series {number}"] = f"{found.shown_uid}, key {found.key}: {found.describe()}"
            if problem:
                facts[f"problem {number}"] = problem + _proceed(options)
            try:
                doubts = doubts_of(found)
            except DicomError as error:
                doubts = []
                facts.setdefault(f"problem {number}", str(error))
            if doubts:
                facts[f"note {number}"] = "; ".join(doubts)
        facts["choose with"] = f"--series UID, or --series KEY{one_series_hint(discovery.series)}"
    if discovery.left_out:
        facts["left out"] = counts(discovery.left_out)
    if discovery.damaged:
        n_more = len(discovery.damaged) - 1
        facts["damaged"] = discovery.damaged[0] + (f" (and {n_more} more)" if n_more else "")
    return facts


def _proceed(options: tuple[str, ...]) -> str:
    """What the problem itself does not say: that it takes more than one option."""
    return f"; proceed with {' '.join(options)}" if len(options) > 1 else ""


def _series(found: FoundSeries) -> Facts:
    from ctresample.data_tools.dicom.series import load_series, verdict

    first = found.headers[0]
    one = len(found.headers) == 1 and first.frame is None
    problem, options = verdict(found)
    notes: list[str] = []
    volume: Volume | None = None
    try:
        gaps, tilt = ("--allow-gaps" in options, "--resample-tilt" in options)
        volume = load_series(found, allow_gaps=gaps, resample_tilt=tilt, on_warning=notes.append)
    except DicomError as error:
        if one:
            raise
        problem, options = problem or str(error), ()  # what else it is stays worth telling
    facts = {"kind": "CT image (DICOM)" if one else "CT series (DICOM)"}
    if not one:
        facts["slices"] = f"{found.n_slices} {found.facing}"
    row_mm, column_mm = first.spacing_mm
    facts |= {"matrix": _by(first.shape), "pixel size": f"{row_mm:.4g} x {column_mm:.4g} mm"}
    if volume and not one:
        facts["slice step"] = _slice_step(volume.spacing_mm[2], volume.slice_offsets_mm is None)
    if volume:
        facts["HU range"] = f"{volume.hu.min():g} to {volume.hu.max():g}"
    facts["series UID"] = found.shown_uid
    facts |= {f"note {number}": note for number, note in enumerate(notes, 1)}
    if problem:
        facts["problem"] = problem + _proceed(options)
    return facts


def _slice_step(mm: float, even: bool) -> str:
    return f"{mm:.4g} mm{'' if even else ' (median), uneven'}"


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


# ---------------------------------------------------------------- priors


def _prior(folder: Path) -> Facts:
    """Read the config plainly: the class that checks it in full comes with torch."""

    def facts_of(config: dict[str, Any]) -> Facts:
        low, high = map(float, config["hu_range"])
        errors = [float(error) for _, error in sorted(config["denoising_rmse_hu"])]
        return {
            "kind": "latent diffusion prior",
            "name": str(config["name"]),
            "image size": _by((int(config["image_size"]), int(config["image_size"]))),
            "HU range": f"{low:g} to {high:g}",
            "latents": f"{len(config['latent_mean'])} channels, patches of {int(config['patch_size'])} pixels",
            "denoising error": f"{errors[0]:.4g} HU (most noise) to {errors[-1]:.4g} HU (least)",
            "weights": _weights(folder),
        }

    return _of_config(folder / PRIOR_CONFIG, facts_of)


def _unet(folder: Path) -> Facts:
    def facts_of(config: dict[str, Any]) -> Facts:
        photons, side = config["photons"], int(config["image_size"])
        dose = "no noise" if photons is None else f"{_range(np.array(photons, float))} photons a ray"
        return {
            "kind": "U-Net on FBP images, of one kind of scan",
            "name": str(config["name"]),
            "scan": f"{config['beam']}, {int(config['n_views'])} views over {math.degrees(config['arc_rad']):.4g} "
            f"degrees, {dose}",
            "image size": _by((side, side)),
            "weights": _weights(folder, ("network",)),
        }

    return _of_config(folder / UNET_CONFIG, facts_of)


def _of_config(path: Path, facts_of: Callable[[dict[str, Any]], Facts]) -> Facts:
    """What a model's config says, and where it is from; `PriorError` if it is not whole."""
    try:
        config: dict[str, Any] = read_json(path)
        facts = facts_of(config)
        for name, value in dict(config["provenance"]).items():
            facts.setdefault(str(name), value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    except (OSError, ValueError, KeyError, TypeError, IndexError, OverflowError) as error:
        raise PriorError(
            f"{path} cannot be used: {type(error).__name__} {one_line(str(error))}; expected a full config"
        ) from error
    return facts


def _weights(folder: Path, parts: tuple[str, ...] = ("vae", "unet")) -> str:
    files = {part: sorted((folder / part).glob("*.safetensors")) for part in parts}
    missing = [part for part, found in files.items() if not found]
    if missing:
        return f"missing: {' and '.join(missing)}"
    n_bytes = sum(file.stat().st_size for found in files.values() for file in found)
    return f"{n_bytes / 1e6:,.1f} MB"
