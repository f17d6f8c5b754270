"""Run cases in a process of its own, and see what else it does: open, write, unpickle, start, grow."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

MAX_CPU_S = 5.0
_KILL_CPU_S = MAX_CPU_S + 1.0
MAX_BYTES = 300 * 2**20
_LIMIT_BYTES = 6 * 2**30  # of address space: so that the machine survives what is looked for
_LONGEST_LINE = 4000
_FORBIDDEN = ("pickle.find_class", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect")


def work(kind: str, seed: int, numbers: range, scratch: Path, report: Connection) -> None:
    """Send ``(number, None)`` before a case and ``(number, outcome)`` after it.

    Args:
        kind: of the cases.
        seed: likewise.
        numbers: which cases.
        scratch: the only folder that may be written to.
        report: where to send.
    """
    resource.setrlimit(resource.RLIMIT_AS, (_LIMIT_BYTES, _LIMIT_BYTES))
    os.chdir(scratch)
    tempfile.tempdir = str(scratch)  # where one decoder, which takes only files, gets its input from
    from cases import Cases

    warnings.simplefilter("ignore")
    cases = Cases(kind, seed, scratch)
    watch = _Watch(scratch)
    sys.addaudithook(watch.hook)
    _forget_peak()
    for number in numbers:
        report.send((number, None))
        folder, out = scratch / f"case-{number}", scratch / "out"
        shutil.rmtree(out, ignore_errors=True)
        for place in (folder, out):
            place.mkdir()
        outcome = _outcome(cases, number, folder, out, watch)
        if not outcome["violations"]:
            shutil.rmtree(folder)
        report.send((number, outcome))
    report.send(None)


def _outcome(cases: Any, number: int, folder: Path, out: Path, watch: _Watch) -> dict[str, Any]:
    done = cases.make(number, folder)
    _forget_peak()
    before, began = _peak_bytes(), time.process_time()
    watch.seen, watch.on = [], True
    signal.setitimer(signal.ITIMER_PROF, _KILL_CPU_S)  # no handler: it ends the process, whatever that is doing
    said: list[str] = []
    try:
        result, said = cases.load(folder, out)
    except Exception as error:  # noqa: BLE001, RUF100 - what is looked for
        result = f"crash: {type(error).__name__}"
    finally:
        watch.on = False
        signal.setitimer(signal.ITIMER_PROF, 0)
    cpu_s, grown = time.process_time() - began, _peak_bytes() - before
    violations = list(watch.seen)
    if result.startswith("crash"):
        violations.append(result)
    if cpu_s > MAX_CPU_S:
        violations.append(f"took {cpu_s:.1f} s")
    if grown > MAX_BYTES:
        violations.append(f"took {grown >> 20} MiB")
    if any("PLANTED" in line for line in said):
        violations.append("told of the patient")
    if any("\n" in line or len(line) > _LONGEST_LINE for line in said):
        violations.append("said more than one line")
    return {"done": done, "result": result, "violations": violations, "cpu_s": cpu_s, "bytes": grown}


class _Watch:
    """Python's own record of what a process does; libraries in C that open files by themselves are not in it."""

    def __init__(self, allowed: Path) -> None:
        self._allowed = f"{allowed.resolve()}{os.sep}"
        self.on, self.seen = False, []

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event in _FORBIDDEN:
            self.seen.append(event)
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if writes or event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link"):
            places = arguments[:2] if event in ("os.rename", "os.symlink", "os.link") else arguments[:1]
            for place in places:
                if isinstance(place, (str, bytes, os.PathLike)) and not self._inside(os.fsdecode(place)):
                    self.seen.append(f"wrote outside ({event})")

    def _inside(self, place: str) -> bool:
        return os.path.realpath(place).startswith(self._allowed) or place == os.devnull


def _forget_peak() -> None:
    """Let the next `_peak_bytes` count from here (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


def _peak_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024
