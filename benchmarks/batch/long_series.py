"""One series of 2,000 slices of 512 x 512 pixels through `batch`: memory and time along the way.

Run: python benchmarks/batch/long_series.py [--slices 2000] [--method fbp]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from corpus import SLICES
from pydicom import dcmread
from pydicom.uid import generate_uid
from resident import resident_mb

LOOK_EVERY_S = 0.5


def write_series(folder: Path, n: int) -> None:
    """``n`` images of one series: a slice of the demo with its place and UIDs changed."""
    folder.mkdir()
    dataset = dcmread(SLICES[6])
    dataset.decompress(generate_instance_uid=False)
    for k in range(n):
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(
            entropy_srcs=["long", f"{k}"]
        )
        dataset.InstanceNumber, dataset.ImagePositionPatient[2] = k + 1, float(k)
        dataset.save_as(folder / f"{k:05d}.dcm")


def main() -> None:
    """Print the peak and the seconds of each tenth of the run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=2000)
    parser.add_argument("--method", default="fbp")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        source, out = Path(place) / "in", Path(place) / "out"
        write_series(source, wanted.slices)
        command = [sys.executable, "-m", "ctresample", "batch", source, "-o", out]
        command += ["--views", "25", "--photons", "1e5", "--size", "512", "--method", wanted.method]
        began, seen = time.perf_counter(), []
        with subprocess.Popen(list(map(str, command)), stderr=subprocess.DEVNULL) as run:
            while run.poll() is None:
                seen.append((time.perf_counter() - began, resident_mb(run.pid)))
                time.sleep(LOOK_EVERY_S)
        n_written = len(list(out.glob("series/*/dicom/*.dcm")))
    for tenth in range(10):
        part = seen[len(seen) * tenth // 10 : len(seen) * (tenth + 1) // 10]
        if part:
            print(f"{part[0][0]:7.1f} to {part[-1][0]:7.1f} s: {max(mb for _, mb in part):8.1f} MB")
    whole_s = seen[-1][0]
    print(f"{n_written} of {wanted.slices} slices in {whole_s:.0f} s, {1000 * whole_s / wanted.slices:.0f} ms each")
    sys.exit(run.returncode or n_written != wanted.slices)


if __name__ == "__main__":
    main()
