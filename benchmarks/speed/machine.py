"""What a benchmark ran on, without names or paths."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("ctresample", "torch", "numpy", "scipy", "astra-toolbox", "scikit-image", "itk-rtk")


def describe_machine() -> dict[str, Any]:
    """Date, processor, cores, memory, GPU and versions."""
    import torch

    cuda = torch.cuda.is_available()
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "gpu": torch.cuda.get_device_name() if cuda else None,
        "system": platform.system(),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
    }


def in_words(machine: dict[str, Any]) -> str:
    """One paragraph of it."""
    versions = ", ".join(f"{name} {number or 'missing'}" for name, number in machine["versions"].items())
    return (
        f"{machine['date']}: {machine['processor']}, {machine['cores']} cores ({machine['threads']} threads), "
        f"{machine['memory_gb']} GB, {machine['gpu'] or 'no GPU'}, {machine['system']}; {versions}."
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
