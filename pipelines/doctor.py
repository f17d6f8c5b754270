"""Examine this installation: what is there, what works, and what to install where something is missing."""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from ctresample.data_tools.describing import BUNDLED_PRIORS, bundled_priors
from ctresample.data_tools.plain_text import one_line

State = Literal["ok", "warn", "fail"]

OLDEST_PYTHON = (3, 11)
LITTLE_MEMORY = 4 * 1024**3
"""Available bytes below which the larger scans (512 x 512 pixels, 180 views) may not fit."""


@dataclass(frozen=True)
class Finding:
    """One thing examined.

    Attributes:
        name: what, in a word or two.
        state: "ok"; "warn", something optional is missing; "fail", ctresample cannot do its work.
        detail: what was found, and the fix where there is one.
    """

    name: str
    state: State
    detail: str


def examine() -> list[Finding]:
    """Look at everything, in the order to show it. Imports torch and ASTRA, so it takes seconds."""
    findings: list[Finding] = []
    for name, check in _CHECKS.items():
        try:
            findings += check()
        except Exception as error:  # a broken installation breaks in its own ways; the other checks go on
            findings.append(Finding(name, "fail", f"{type(error).__name__}: {one_line(str(error))}; install it anew"))
    return findings


def _python() -> Iterator[Finding]:
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        yield Finding("Python", "fail", f"{found}; expected {oldest} or newer")
    else:
        yield Finding("Python", "ok", found)


def _package() -> Iterator[Finding]:
    try:
        yield Finding("ctresample", "ok", version("ctresample"))
    except PackageNotFoundError:
        yield Finding("ctresample", "fail", "its metadata is missing; install it with pip instead of copying files")


def _torch() -> Iterator[Finding]:
    if find_spec("torch") is None:
        yield Finding("torch", "fail", "not installed; pip install torch")
        return
    import torch

    yield Finding("torch", "ok", f"{torch.__version__}, {torch.get_num_threads()} CPU threads")
    with warnings.catch_warnings(record=True) as caught:  # an old driver only shows as a warning
        warnings.simplefilter("always")
        available = torch.cuda.is_available()
    reason = f" ({one_line(str(caught[0].message))})" if caught else ""
    if available:
        yield from map(_cuda_device, range(torch.cuda.device_count()))
    elif torch.version.cuda:
        detail = f"torch is built for CUDA {torch.version.cuda} but finds no device{reason}; it runs on the CPU"
        yield Finding("GPU", "warn", detail)
    elif shutil.which("nvidia-smi"):
        detail = "torch is a CPU build on a machine with NVIDIA's driver; install a CUDA build to use the GPU"
        yield Finding("GPU", "warn", detail)
    else:
        yield Finding("GPU", "ok", "none; torch runs on the CPU")


def _cuda_device(index: int) -> Finding:
    import torch

    name = f"GPU {index}"
    try:
        torch.ones(8, device=f"cuda:{index}").sum().item()  # a build without code for this device fails only here
        free, total = torch.cuda.mem_get_info(index)
    except RuntimeError as error:
        return Finding(name, "fail", f"{one_line(str(error))}; use --device cpu, or a torch built for this device")
    model = torch.cuda.get_device_name(index)
    return Finding(name, "ok", f"{model}, {free / 1e9:.1f} of {total / 1e9:.1f} GB free, CUDA {torch.version.cuda}")


def _astra() -> Iterator[Finding]:
    if find_spec("astra") is None:
        yield Finding(
            "ASTRA",
            "warn",
            "not installed, the built-in projector serves; pip install 'ctresample[astra]' (Linux, Windows)",
        )
        return
    import astra
    import numpy as np

    rays, pixels = astra.create_proj_geom("parallel", 1.0, 8, [0.0]), astra.create_vol_geom(8, 8)
    projector = astra.create_projector("linear", rays, pixels)
    number, sums = astra.create_sino(np.ones((8, 8), np.float32), projector)
    astra.data2d.delete(number)
    astra.projector.delete(projector)
    if not np.allclose(sums, 8):
        yield Finding("ASTRA", "fail", f"{version('astra-toolbox')} projects wrongly; install it anew")
        return
    # asks only whether there is a device: running a CUDA projection without one can kill the process
    cuda = "CUDA works" if astra.use_cuda() else "without CUDA"
    yield Finding("ASTRA", "ok", f"{version('astra-toolbox')}, projects on the CPU, {cuda}")


def _simpleitk() -> Iterator[Finding]:
    if find_spec("SimpleITK") is None:
        detail = "not installed, so JPEG Lossless and JPEG-LS DICOM cannot be read; pip install SimpleITK"
        yield Finding("SimpleITK", "warn", detail)
    else:
        yield Finding("SimpleITK", "ok", f"{version('SimpleITK')}, reads JPEG Lossless and JPEG-LS DICOM")


def _codecs() -> Iterator[Finding]:
    from pydicom import uid
    from pydicom.pixels.decoders.base import get_decoder

    families = {
        "DICOM RLE": (uid.RLELossless, "pydicom"),
        "DICOM JPEG": (uid.JPEGBaseline8Bit, "pillow"),
        "DICOM JPEG 2000": (uid.JPEG2000Lossless, "pylibjpeg pylibjpeg-openjpeg"),
        "DICOM HTJ2K": (uid.HTJ2KLossless, "pylibjpeg pylibjpeg-openjpeg"),
    }
    for name, (syntax, packages) in families.items():
        plugins = get_decoder(syntax).available_plugins
        if plugins:
            yield Finding(name, "ok", f"read by {', '.join(plugins)}")
        else:
            yield Finding(name, "warn", f"no decoder; pip install {packages}")


def _prior() -> Iterator[Finding]:
    names = bundled_priors()
    whole = [
        name for name in names if all(any((BUNDLED_PRIORS / name / part).glob("*.safetensors")) for part in _PARTS)
    ]
    if whole:
        yield Finding("priors", "ok", f"bundled: {', '.join(whole)}")
    for name in sorted(set(names) - set(whole)):
        yield Finding("priors", "fail", f"bundled prior {name} lacks its weights; install ctresample anew")
    if not names:
        yield Finding("priors", "fail", "none bundled, which method resample needs; name the folder of one, or use tv")


_PARTS = ("vae", "unet")


def _machine() -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Finding("CPU cores", "ok", str(cores))
    free = free_memory_bytes()
    if free is None:
        yield Finding("memory", "ok", "how much is free cannot be told on this system")
    elif free < LITTLE_MEMORY:
        detail = f"{free / 1e9:.1f} GB free; large scans may not fit: close other programs, or use a smaller batch"
        yield Finding("memory", "warn", detail)
    else:
        yield Finding("memory", "ok", f"{free / 1e9:.1f} GB free")


def free_memory_bytes(root: Path = Path("/")) -> int | None:
    """Memory that new programs can have, in a container what its limit leaves; None where Linux does not say.

    Args:
        root: where ``proc`` and ``sys`` are mounted.
    """
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None
    group = root / "sys/fs/cgroup"
    try:
        limit, used = ((group / name).read_text().strip() for name in ("memory.max", "memory.current"))
        return free if limit == "max" else max(0, min(free, int(limit) - int(used)))
    except (OSError, ValueError):  # no container, or an older kind
        return free


def _checkers() -> Iterator[Finding]:
    found = shutil.which("dciodvfy")
    detail = found or "not found; optional, checks the DICOM that ctresample writes: apt-get install dicom3tools"
    yield Finding("dciodvfy", "ok", detail)


_CHECKS: dict[str, Callable[[], Iterator[Finding]]] = {
    "Python": _python,
    "ctresample": _package,
    "torch": _torch,
    "ASTRA": _astra,
    "SimpleITK": _simpleitk,
    "DICOM codecs": _codecs,
    "priors": _prior,
    "machine": _machine,
    "dciodvfy": _checkers,
}
