"""The memory that a process holds, looked at from outside."""

from __future__ import annotations

from pathlib import Path


def resident_mb(pid: int) -> float:
    """In 10^6 bytes; 0 of a process that is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")), 0) * 1024 / 1e6
