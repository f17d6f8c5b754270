"""Kill a batch at random moments, go on each time, and compare the end with that of an undisturbed run, bit for bit.

Run: python benchmarks/batch/kills.py [--kills 20] [--workers 1]     (exit status 1 where anything differs)
Meanwhile a watcher looks at the result folders all the time: none may ever be seen that is not whole.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

from corpus import SIZE, make_corpus

COMMAND = (Path(sys.executable).with_name("ctresample"), "batch")
OPTIONS = ("--method", "fbp", "--size", SIZE, "--views", 12, "--photons", "1e5", "--device", "cpu")
TIMES = {"at", "seconds"}


def start(source: Path, out: Path, *more: object) -> subprocess.Popen[bytes]:
    """Begin a batch, or go on with it, as a process group of its own."""
    words = [*COMMAND, source, "-o", out, *OPTIONS, *more]
    epoch = os.environ | {"SOURCE_DATE_EPOCH": "1700000000"}
    nothing = subprocess.DEVNULL
    return subprocess.Popen(list(map(str, words)), stdout=nothing, stderr=nothing, env=epoch, start_new_session=True)


def content(out: Path) -> dict[str, bytes]:
    """Every file that is a result."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted((out / "series").rglob("*.*"))
        if path.is_file()
    }


def endings(out: Path) -> dict[str, dict[str, object]]:
    """What the manifest says of each series in the end, without the times."""
    events = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    return {event["key"]: {k: v for k, v in event.items() if k not in TIMES} for event in events if "key" in event}


class Watcher(threading.Thread):
    """Looks for result folders that are not whole.

    Args:
        out: folder of the batch.
        whole: names of the files that each series has in the end.
    """

    def __init__(self, out: Path, whole: dict[str, set[str]]) -> None:
        super().__init__(daemon=True)
        self.out, self.whole, self.looks, self.seen = out, whole, 0, set[str]()
        self.ended = threading.Event()

    def run(self) -> None:
        """Look until the end."""
        while not self.ended.wait(0.001):
            self.looks += 1
            for folder in (self.out / "series").glob("[!.]*"):
                with suppress(FileNotFoundError):  # taken away meanwhile
                    before = folder.stat().st_ino
                    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
                    if found != self.whole[folder.name] and folder.stat().st_ino == before:
                        self.seen.add(f"{folder.name} with {len(found)} files")


def by_series(files: dict[str, bytes]) -> dict[str, set[str]]:
    """The names of the files of each series."""
    series: dict[str, set[str]] = {}
    for name in files:
        _, key, rest = name.split("/", 2)
        series.setdefault(key, set()).add(rest)
    return series


def outlived(process: subprocess.Popen[bytes], manifest: Path, draw: random.Random) -> bool:
    """Wait for a random moment of the work, or once in a while of the loading; whether the process still runs."""
    if draw.random() < 0.15:
        time.sleep(draw.uniform(0, 3))
    else:
        wanted = n_events(manifest) + draw.randrange(1, 24)
        while process.poll() is None and n_events(manifest) < wanted:
            time.sleep(0.002)
        time.sleep(draw.uniform(0, 0.2))
    return process.poll() is None


def n_events(manifest: Path) -> int:
    """Lines so far."""
    return manifest.read_bytes().count(b"\n") if manifest.exists() else 0


def main() -> None:
    """Print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    draw = random.Random(wanted.seed)  # noqa: S311 (moments, no secrets)
    with tempfile.TemporaryDirectory() as place:
        source, calm, killed = (Path(place) / name for name in ("in", "calm", "killed"))
        expected = make_corpus(source)
        began = time.monotonic()
        status = start(source, calm).wait()
        lasts_s = time.monotonic() - began
        files = content(calm)
        print(
            f"undisturbed: {lasts_s:.1f} s, exit status {status}, {len(files)} files of {len(by_series(files))} series"
        )
        check_statuses(calm, expected)
        watcher = Watcher(killed, by_series(files))
        watcher.start()
        hits, manifest = 0, killed / "manifest.jsonl"
        while hits < wanted.kills:
            process = start(source, killed, "--workers", wanted.workers)
            if outlived(process, manifest, draw):
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                hits += 1
                print(f"kill {hits}: {len(list((killed / 'series').glob('[!.]*')))} series finished")
            else:  # all are finished: take every other result away, so that there is work again
                for number, folder in enumerate(list((killed / "series").glob("[!.]*"))[::2]):
                    shutil.rmtree(folder.rename(folder.with_name(f".away-{number}")))
        watcher.ended.set()
        watcher.join()
        last = start(source, killed, "--workers", wanted.workers).wait()
        same, alike = content(killed) == files, endings(killed) == endings(calm)
        left = [path.name for path in (killed / "series").glob(".*")]
        print(f"after {hits} kills: exit status {last}, files equal: {same}, manifest equal but for times: {alike}")
        print(
            f"{watcher.looks} looks, folders that were not whole: {sorted(watcher.seen) or 'none'}; left over: {left}"
        )
        sys.exit(not (same and alike and last == status and not watcher.seen and not left))


def check_statuses(out: Path, expected: dict[str, list[str]]) -> None:
    """Assert that every series has the status that it must have."""
    with (out / "summary.csv").open() as table:
        status = {row["key"]: row["status"] for row in csv.DictReader(table)}
    found: dict[str, list[str]] = {}
    with (out / "sources.csv").open() as table:
        for row in csv.DictReader(table):
            if row["key"] != "damaged":
                found.setdefault(row["place"], []).append(status[row["key"]])
    found = {place: sorted(statuses) for place, statuses in found.items()}
    assert found == expected, (
        f"statuses differ: {sorted(set(map(str, found.items())) ^ set(map(str, expected.items())))}"
    )
    print(f"statuses as they must be: {sum(map(len, found.values()))} series")


if __name__ == "__main__":
    main()
