"""One-at-a-time search around a preset of ReSample on validation slices: each setting's values against the preset.

Run: python search.py VAL_DIR -o search [--settings n_steps,spread_scale] [--preset fast]
Results are kept as they come, in search/results.jsonl, and the same command goes on where it was stopped; more settings
or values may be added later. Prints a Markdown table of paired differences to the preset, with 95 % intervals.
"""

from __future__ import annotations

from collections.abc import Sequence

from variations import METHOD, base_of, measure, parser_of, runs_of

from ctresample.cli.options import words
from ctresample.errors import UsageError
from ctresample.pipelines.benchmark.figures import FIGURES
from ctresample.pipelines.benchmark.markdown import mean_sd, reading, table, with_interval
from ctresample.pipelines.benchmark.summary import SummaryRow
from ctresample.solvers.resample import PRESETS

VALUES: dict[str, Sequence[object]] = {
    "n_steps": (16, 24, 32, 48, 64, 96),
    "start_level": (0.03, 0.06, 0.09, 0.15),
    "stop_level": (0.003, 0.004, 0.006, 0.012),
    "spread_scale": (2.0, 4.0, 5.0, 6.0, 8.0),
    "cg_iterations": (3, 5, 8, 12),
    "moving_frame": (False, True),
    "averaged_steps": (0, 1, 5, 8),
    "residual_target": (None, 0.9, 0.95, 1.0),
    "final": ("pixel", "none"),
    "final_spread_hu": (100.0, 140.0, 200.0),
    "warm_start": ("itnet", "tv", "cgls"),
    "chains": (1, 2, 4),
}
"""Values tried of each setting; the preset's own is measured once, as the preset. Encoding and resampling, which a
moving frame leaves no choice of, are varied without one: see ablations.py."""

SHOWN = ("psnr_db", "ssim", "soft_tissue_rmse_hu", "residual_ratio", "denoiser_calls", "projections")


def main() -> None:
    """Measure what is missing and print the table."""
    parser = parser_of(__doc__)
    parser.add_argument("--preset", default="fast", help=f"of {', '.join(PRESETS)}")
    parser.add_argument("--settings", default=",".join(VALUES), help="to vary, with commas between")
    arguments = parser.parse_args()
    names = words("--settings", arguments.settings)
    for name in names:
        if name not in VALUES:
            raise UsageError(f"setting is {name!r}; expected one of {', '.join(VALUES)}")
    base_name, base = base_of(arguments.preset, arguments.steps)
    changes = {f"{name}={value}": {name: value} for name in names for value in VALUES[name]}
    summary = measure(arguments, runs_of(base_name, base, changes))
    print(search_table(summary))


def search_table(summary: Sequence[SummaryRow]) -> str:
    """Markdown: the preset's own figures, then the differences of each variation to them."""
    figures = [figure for figure in FIGURES if figure.name in SHOWN]
    parts = []
    for condition in dict.fromkeys(row.condition for row in summary):
        base, *others = [row for row in summary if row.condition == condition]
        lines = [[base.preset, *(mean_sd(base.figures[figure.name], figure) for figure in figures)]]
        lines += [
            [row.preset, *(with_interval(row.differences.get(figure.name), figure) for figure in figures)]
            for row in others
        ]
        parts += ["", f"## {condition}", "", *table(["setting", *(figure.heading for figure in figures)], lines)]
        parts += ["", f"First line: {base.preset}. {reading([base, *others], f'{METHOD} {base.preset}')}"]
    return "\n".join(parts)


if __name__ == "__main__":
    main()
