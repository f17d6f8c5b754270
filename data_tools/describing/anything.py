"""What a file or folder is and holds, in a few facts without patient data: for ``ctresample info``.

Loads no torch, and h5py or pydicom only for what needs them.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from ctresample.data_tools.describing.images import series_facts, volume_facts
from ctresample.data_tools.describing.models import WEIGHT_FILES, bundled_facts, bundled_models, model_facts
from ctresample.data_tools.describing.results import describe_map, describe_results
from ctresample.data_tools.describing.sinograms import sinogram_facts
from ctresample.data_tools.describing.words import Facts
from ctresample.data_tools.plain_text import one_line
from ctresample.errors import CTResampleError, PriorError, UsageError
from ctresample.paths import StrPath, as_path

_NEXT = {
    "CT ": "ctresample reconstruct {} -o result --views 25 --photons 1e5",  # image, series or volume
    "sinogram": "ctresample reconstruct {} -o result",
    "latent diffusion prior": "ctresample reconstruct SCAN -o result --prior {}",
}
"""What to do with a kind of thing, by how its name begins."""


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
    if path.exists() and (found := describe_results(path) or model_facts(path)):
        facts = found
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
    elif bundled := bundled_facts(path):
        facts = bundled
    else:
        names = ", ".join(bundled_models()) or "none"
        raise UsageError(
            f"{path} is no file, folder or name of a prior; expected a sinogram file, a DICOM file or folder, a result "
            f"folder, a prior folder or a bundled prior ({names})"
        )
    if about := describe_map(path):
        facts = about | {name: value for name, value in facts.items() if name not in about and "note" not in name}
    return {one_line(name, 40): one_line(value, 1000) for name, value in facts.items()}


def next_step(path: Path, facts: Facts) -> Facts:
    """A command to go on with, of what `describe` told; none where a problem names one, or one must choose first."""
    command = next((one for kind, one in _NEXT.items() if facts.get("kind", "").startswith(kind)), None)
    if command is None or any(name.startswith("problem") for name in facts):
        return {}
    return {"next": command.format(shlex.quote(str(path)))}


def _file(path: Path, one_series: bool, any_class: bool) -> Facts:
    import h5py

    from ctresample.data_tools.volume_source import check_kind, is_volume_file

    check_kind(path)
    if is_volume_file(path):
        return volume_facts(path)

    if h5py.is_hdf5(path):
        return sinogram_facts(path)
    from ctresample.data_tools.dicom.discovery import find_series
    from ctresample.data_tools.importers.formats import format_of

    discovery = find_series(path, one_series=one_series, any_class=any_class)
    if discovery.series or discovery.damaged:
        return series_facts(path, discovery)
    if foreign := format_of(path):
        raise UsageError(
            f"{path} is a file of another program ({foreign.name}); `ctresample import` makes a sinogram file of it"
        )
    reasons = ", ".join(discovery.left_out) or "an empty zip file"
    raise UsageError(
        f"{path} is neither a sinogram file (HDF5) nor a CT image ({reasons}); expected one of these, or a prior"
    )


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
    facts = series_facts(path, discovery) if discovery.series or not volumes else {"kind": "no CT series (DICOM)"}
    for number, file in enumerate(volumes, 1):
        try:
            told = volume_facts(file)
        except CTResampleError as error:
            facts[f"problem of volume {number}"] = str(error)
            continue
        facts[f"volume {number}"] = f"{file}: " + ", ".join(told[name] for name in ("kind", "matrix", "HU range"))
    return facts
