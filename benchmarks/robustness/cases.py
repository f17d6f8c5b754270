"""One damaged file, made from a seed and a number, and what the loaders make of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from byte_mutations import BYTES, Mutation
from dicom_mutations import DICOM
from dicom_samples import ct_image, encode, sound_images
from hdf5_mutations import HDF5
from prior_mutations import CONFIG, SAFETENSORS, sound_prior
from pydicom import config
from sequence_mutations import FRAMES, SEQUENCES
from sinogram_mutations import BY_FORMAT, change_zip
from sinogram_samples import Sample, sound_sinograms

from ctresample.data_tools.describing import describe
from ctresample.data_tools.dicom.discovery import find_series
from ctresample.data_tools.dicom.files import SkippedFile
from ctresample.data_tools.dicom.series import load_series, verdict
from ctresample.data_tools.dicom_export.provenance import Provenance
from ctresample.data_tools.dicom_export.write import write_ct_series
from ctresample.data_tools.importers import import_sinogram
from ctresample.data_tools.sinogram.reading import read_sinogram
from ctresample.data_tools.sinogram.writing import write_sinogram
from ctresample.errors import CTResampleError
from ctresample.learned.latent_prior import LatentPrior

KINDS = ("dicom", "sinograms", "priors")
ZIP: dict[str, Mutation] = {"members that lie": change_zip}
_STRUCTURED_SHARE = 0.6
_RUN = Provenance("0.1.0", "fuzz")


class Cases:
    """The damaged files of one kind.

    Args:
        kind: one of `KINDS`.
        seed: each (seed, number) is always the same file.
        scratch: a folder for making samples.
    """

    def __init__(self, kind: str, seed: int, scratch: Path) -> None:
        self._kind, self._seed = kind, seed
        if kind == "dicom":
            self._samples = {name: Sample("a.dcm", content) for name, content in sound_images().items()}
            self._neighbour = encode(ct_image(0))
        elif kind == "priors":
            self._prior = sound_prior(scratch / "sound")
            self._samples = {name: Sample(name, content) for name, content in self._prior.items()}
        else:
            self._samples = sound_sinograms(scratch)

    def make(self, number: int, folder: Path) -> str:
        """Write a case into an empty folder; returns what was done, in words."""
        random = np.random.default_rng([self._seed, KINDS.index(self._kind), number])
        name = list(self._samples)[int(random.integers(len(self._samples)))]
        sample, done = self._samples[name], [name]
        in_sidecar = name.endswith("sidecar")
        content = sample.sidecar if in_sidecar and sample.sidecar else sample.content
        own = self._mutations(name)
        tables = [own if own and random.random() < _STRUCTURED_SHARE else BYTES]
        tables += [BYTES] * int(random.integers(2))  # what is damaged already can no longer be opened to change it
        for table in tables:
            what = list(table)[int(random.integers(len(table)))]
            changed = _changed(table[what], content, random)
            done.append(what if changed else f"{what} (did not apply)")
            content = changed or content
        for place, whole in (self._prior if self._kind == "priors" else {}).items():
            (folder / place).parent.mkdir(exist_ok=True)
            (folder / place).write_bytes(whole)
        (folder / sample.name).write_bytes(sample.content if in_sidecar else content)
        if sample.sidecar:
            (folder / sample.sidecar_name).write_bytes(content if in_sidecar else sample.sidecar)
        if self._kind == "dicom":
            (folder / "sound.dcm").write_bytes(self._neighbour)
        return ": ".join([done[0], ", ".join(done[1:])])

    def _mutations(self, name: str) -> dict[str, Mutation]:
        if self._kind == "dicom":
            if name == "zip":
                return ZIP
            frames = FRAMES if name.startswith("multi-frame") else {}
            plain = name in ("explicit", "multi-frame")  # explicit little endian, as what is inserted
            return {} if name == "without preamble" else DICOM | frames | (SEQUENCES if plain else {})
        if self._kind == "priors":
            return SAFETENSORS if name.endswith(".safetensors") else CONFIG
        if name.startswith("own") or name in ("DXchange", "NXtomo", "MATLAB 7.3"):
            return HDF5
        return BY_FORMAT.get(name, {})

    def load(self, folder: Path, out: Path) -> tuple[str, list[str]]:
        """All that reads such a file: ``read``, ``refused`` or ``left out`` by the first of it, and what was said.

        Whatever else a loader raises comes out.
        """
        said: list[str] = []
        read = {"dicom": _dicom, "sinograms": _sinogram, "priors": _prior}[self._kind]
        results = [_one(step, said) for step in read(folder, out, said)]
        return results[0], said


def _changed(mutation: Mutation, content: bytes, random: np.random.Generator) -> bytes | None:
    """The damaged file; None where pydicom or h5py cannot even write it, or could not read it after the last change."""
    before = config.settings.writing_validation_mode
    config.settings.writing_validation_mode = config.IGNORE
    try:
        return mutation(content, random)
    except Exception:  # noqa: BLE001, RUF100 - of whatever library makes it
        return None
    finally:
        config.settings.writing_validation_mode = before


def _one(step: Callable[[], object], said: list[str]) -> str:
    try:
        step()
    except CTResampleError as error:
        said.append(str(error))
        return "refused"
    except SkippedFile as reason:
        said.append(str(reason))
        return "left out"
    return "read"


def _dicom(folder: Path, out: Path, said: list[str]) -> Iterator[Callable[[], object]]:
    yield lambda: said.extend(describe(folder / "a.dcm").values())
    with contextlib.suppress(CTResampleError):
        said.extend(describe(folder).values())
    discovery = find_series(folder)
    said.extend(discovery.damaged)
    for number, found in enumerate(discovery.series):
        said.append(found.describe())
        verdict(found)

        def load(found=found, number=number) -> None:  # noqa: ANN001
            volume = load_series(found, allow_gaps=True, resample_tilt=True, on_warning=said.append)
            write_ct_series(volume, out / str(number), description="fuzz", provenance=_RUN)

        with contextlib.suppress(CTResampleError):
            load()


def _prior(folder: Path, _out: Path, said: list[str]) -> Iterator[Callable[[], object]]:
    yield lambda: LatentPrior.from_pretrained(folder)
    yield lambda: said.extend(describe(folder).values())


def _sinogram(folder: Path, out: Path, said: list[str]) -> Iterator[Callable[[], object]]:
    path = next(entry for entry in sorted(folder.iterdir()) if entry.suffix not in (".json", ".yaml"))
    sidecars = [entry for entry in folder.iterdir() if entry.suffix in (".json", ".yaml")]

    def convert() -> None:
        sinogram = import_sinogram(path, sidecar=sidecars[0], on_note=said.append) if sidecars else read_sinogram(path)
        write_sinogram(sinogram, out / "scan.h5")

    yield convert
    if not sidecars:  # those of other programs are refused by name
        yield lambda: said.extend(describe(path).values())
    else:
        with contextlib.suppress(CTResampleError):
            describe(path)
