"""A batch of 200 small series: memory and time of each, which must not grow.

Run: python benchmarks/batch/memory.py [--series 200] [--method fbp]     (exit status 1 where the peak of the last 50
is over 10 % above that of the first 50)
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from corpus import SIZE, write_series

from ctresample.pipelines.batch.inputs import find_inputs
from ctresample.pipelines.batch.job import Outcome
from ctresample.pipelines.batch.plan import make_plan
from ctresample.pipelines.batch.run import open_batch, run_batch
from ctresample.pipelines.batch.select import Selection
from ctresample.pipelines.batch.settings import BatchSettings
from ctresample.pipelines.scan.scan import Scan


def peak_mb() -> float:
    """Highest resident memory since the last call, in 10^6 bytes."""
    status = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    return peak * 1024 / 1e6


def main() -> None:
    """Print peaks and times of the first and the last quarter."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--series", type=int, default=200)
    parser.add_argument("--slices", type=int, default=4)
    parser.add_argument("--method", default="fbp")
    wanted = parser.parse_args()
    settings = BatchSettings(scan=Scan(n_views=12, size=SIZE, photons=1e5), method=wanted.method)
    peaks: list[float] = []
    times: list[float] = []

    def look(outcome: Outcome, _number: int, _left_s: float) -> None:
        assert outcome.status == "done", outcome.reason
        peaks.append(peak_mb())
        times.append(outcome.seconds)

    with tempfile.TemporaryDirectory() as place:
        source, out = Path(place) / "in", Path(place) / "out"
        for number in range(wanted.series):
            write_series(source / f"{number}", f"series{number}", n=wanted.slices, first=number)
        found = find_inputs(source, settings)
        with open_batch(out, settings.record(), threads=1) as manifest:
            plan = make_plan(found, out, manifest.events, Selection([]))
            peak_mb()
            run_batch(out, plan, settings, manifest, on_outcome=look)
    n = wanted.series // 4
    for name, part in ((f"first {n}", slice(n)), (f"last {n}", slice(-n, None))):
        seconds = sorted(times[part])
        print(
            f"{name} series: peak {max(peaks[part]):.1f} MB, median of peaks {statistics.median(peaks[part]):.1f} MB; "
            f"{statistics.median(seconds):.3f} s each (median), {seconds[0]:.3f} to {seconds[-1]:.3f}"
        )
    growth = max(peaks[-n:]) / max(peaks[:n]) - 1
    print(f"peak of the last {n} against the first {n}: {growth:+.1%}")
    sys.exit(growth > 0.1)


if __name__ == "__main__":
    main()
