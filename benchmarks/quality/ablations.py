"""The ablations of the ReSample paper: how often and where hard consistency, resampling, steps, variance.

Run: python ablations.py VAL_DIR -o ablations [--base fast] [--steps 32] [--only hard-steps,variance]
Song et al., ICLR 2024: Figure 5 (stochastic resampling against stochastic encoding) and the appendix (skip size,
gamma, pixel and latent optimisation). Around the preset `fast` hours become minutes; `--base paper` does as published.
The base is the preset without a moving frame, which would leave no choice of encoding and resampling; what the frame
is worth is an ablation of its own. Resumable; prints Markdown tables, and draws one picture an ablation into --figures
(the documentation's).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ablation_picture import draw
from variations import METHOD, base_of, measure, parser_of, runs_of

import ctresample
from ctresample.cli.options import words
from ctresample.errors import UsageError
from ctresample.pipelines.benchmark.conditions import CONDITIONS
from ctresample.pipelines.benchmark.figures import FIGURES
from ctresample.pipelines.benchmark.markdown import mean_sd, reading, table, with_interval
from ctresample.pipelines.benchmark.summary import SummaryRow
from ctresample.solvers.resample import PRESETS, ReSampleSettings

FIGURES_DIR = Path(ctresample.__file__).parent / "docs" / "figures"

SHOWN = ("psnr_db", "ssim", "soft_tissue_rmse_hu", "residual_ratio", "denoiser_calls", "projections")
COMPARED = "psnr_db"

RARELY = {"skip": 4, "cg_iterations": 10, "newton_iterations": 1, "latent_optimiser": "gauss-newton"}
"""Latent steps differentiate the decoder, so the stages are compared with fewer of them, each one linearisation."""

FRESH = {"resampling": "encoding", "encoding": "plain"}
"""What a moving frame goes with."""

Changes = Mapping[str, Mapping[str, Any]]


def ablations_of(base: ReSampleSettings) -> dict[str, Changes]:
    """For each ablation its points: a name, and what it changes of the base. Points equal to the base are it."""
    top = min(base.pixel_level, base.start_level)
    middle = (base.stop_level * top) ** 0.5 or top / 2  # half of the steps lie below
    fast = base.pixel_optimiser != "adamw"
    rarely: Mapping[str, Any] = RARELY if fast else {}
    often = ", every 4" if fast else ""
    return {
        "hard-steps": {f"hard every {k}": {"skip": k} for k in (1, 2, 4, 8)},
        "stages": {
            f"pixel only{often}": {**rarely, "latent_level": 0.0},
            f"pixel, then latent{often}": {**rarely, "latent_level": middle},
            f"latent only{often}": {**rarely, "latent_level": base.pixel_level},
        },
        "resampling": {
            f"{resampling}, {encoding} E(x)": {"resampling": resampling, "encoding": encoding}
            for resampling in ("stochastic", "encoding")
            for encoding in ("plain", "corrected")
        },
        "steps": {f"{base.n_steps * k // 4} steps": {"n_steps": base.n_steps * k // 4} for k in (1, 2, 4, 8)},
        "variance": {
            f"gamma {scale:g}": {"resampling": "stochastic", "variance_scale": scale}
            for scale in (4.0, 40.0, 400.0, 4000.0, 40000.0)
        }
        | {"gamma infinite (encoding)": {"resampling": "encoding"}},
        "moving-frame": {
            "frame at rest": FRESH,
            "moving frame": {**FRESH, "moving_frame": True},
        },
    }


def main() -> None:
    """Measure what is missing, print the tables and draw them."""
    parser = parser_of(__doc__)
    parser.add_argument("--base", default="fast", help=f"of {', '.join(PRESETS)}")
    parser.add_argument("--only", help="some of them, with commas between")
    parser.add_argument("--figures", type=Path, default=FIGURES_DIR, help="folder for the pictures")
    arguments = parser.parse_args()
    base_name, base = base_of(arguments.base, arguments.steps)
    if base.moving_frame:
        base_name, base = f"{base_name}, frame at rest", replace(base, moving_frame=False)
    ablations = ablations_of(base)
    for name in (chosen := words("--only", arguments.only) if arguments.only else list(ablations)):
        if name not in ablations:
            raise UsageError(f"ablation is {name!r}; expected one of {', '.join(ablations)}")
    runs = runs_of(base_name, base, {p: changed for name in chosen for p, changed in ablations[name].items()})
    measured_as = {run.settings: run.preset for run in runs}
    summary = measure(arguments, runs)
    rows = {(row.condition, row.preset): row for row in summary}
    for condition in dict.fromkeys(row.condition for row in summary):
        print(f"\n## {condition}")
        for name in chosen:
            presets = {point: measured_as[replace(base, **changed)] for point, changed in ablations[name].items()}
            points = {point: rows[condition, preset] for point, preset in presets.items()}
            if base_name not in presets.values():
                points = {base_name: rows[condition, base_name], **points}
            picture = arguments.figures / f"ablation-{name}-{condition}.png"
            draw(points, base_name, picture, title=f"{name.replace('-', ' ')}: {CONDITIONS[condition].words}")
            print("\n".join(["", f"### {name}", "", *lines_of(points)]))
        print("\n" + reading(list(rows.values()), f"{METHOD} {base_name}"))


def lines_of(points: Mapping[str, SummaryRow]) -> Sequence[str]:
    """A Markdown table of one ablation: a line a point, with its paired difference to the base."""
    figures = [figure for figure in FIGURES if figure.name in SHOWN]
    (compared,) = (figure for figure in FIGURES if figure.name == COMPARED)
    lines = [
        [
            point,
            *(mean_sd(row.figures[figure.name], figure) for figure in figures),
            with_interval(row.differences[COMPARED], compared) if row.differences else "the base",
        ]
        for point, row in points.items()
    ]
    return table(["point", *(figure.heading for figure in figures), f"{compared.heading}, minus the base"], lines)


if __name__ == "__main__":
    main()
