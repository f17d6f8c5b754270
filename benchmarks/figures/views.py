"""Quality against the number of views, as drawn in the page on ReSample, from the results of a benchmark.

Run: python benchmarks/figures/views.py [RESULTS.json] [OUT.png]     (seconds; by default the results and the picture
of the page). The results are those of::

    ctresample benchmark FOUR_SLICES -o views --views 12,25,40,60,90 --methods fbp,tv,resample --preset draft \
        --photons 1e5

of slices 2, 5, 8 and 11 of the samples.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

import ctresample

RESULTS = Path(__file__).parents[1] / "quality" / "views.json"
PICTURE = Path(ctresample.__file__).parent / "docs" / "figures" / "views.png"
FIGURES = {"psnr_db": "PSNR, dB", "ssim": "SSIM"}


def main() -> None:
    """Draw it."""
    results, picture = (Path(given) for given in [*sys.argv[1:], *map(str, (RESULTS, PICTURE)[len(sys.argv) - 1 :])])
    draw(json.loads(results.read_text(encoding="utf-8"))["summary"]).savefig(picture, dpi=110)


def draw(summary: list[dict[str, Any]]) -> Any:
    """A panel for each figure, a line for each method, bars of one standard deviation over slices."""
    figure, axes = plt.subplots(1, len(FIGURES), figsize=(9, 3.4), layout="constrained")
    for axis, (name, heading) in zip(axes, FIGURES.items(), strict=True):
        for label in dict.fromkeys(f"{row['method']} {row['preset']}".strip() for row in summary):
            rows = sorted(
                (row for row in summary if f"{row['method']} {row['preset']}".strip() == label),
                key=lambda row: row["views"],
            )
            values = [row["figures"][name] for row in rows]
            axis.errorbar(
                [row["views"] for row in rows],
                [value["mean"] for value in values],
                [value["sd"] or 0 for value in values],
                fmt="o-",
                capsize=3,
                label=label,
            )
        axis.set(xlabel="views", ylabel=heading)
        axis.grid(alpha=0.3)
    axes[0].legend()
    return figure


if __name__ == "__main__":
    main()
