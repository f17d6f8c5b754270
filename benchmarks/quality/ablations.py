"""The ablations of the ReSample paper: how often and where hard consistency, resampling, steps, variance.

Run: python ablations.py VAL_DIR -o ablations [--base fast] [--only hard-steps,variance]
Song et al., ICLR 2024: Figure 5 (stochastic resampling against stochastic encoding) and the appendix (skip size,
gamma, pixel and latent optimisation). Around the preset `fast` hours become minutes; `--base paper` does as published.
Resumable; writes ablations.json into the folder and one picture an ablation into --figures (the documentation's).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ablation_picture import draw
from variations import measure, parser_of, runs_of

import ctresample
from ctresample.cli.options import words
from ctresample.errors import UsageError
from ctresample.pipelines.finite_json import finite
from ctresample.solvers.resample import PRESETS, ReSampleSettings

FIGURES = Path(ctresample.__file__).parent / "docs" / "figures"

Changes = Mapping[str, Mapping[str, Any]]


def ablations_of(base: ReSampleSettings) -> dict[str, Changes]:
    """For each ablation its points: a name, and what it changes of the base. Points equal to the base are it."""
    top = min(base.pixel_level, base.start_level)
    return {
        "hard-steps": {f"every {k}": {"skip": k} for k in (1, 2, 4, 8, 16)},
        "stages": {
            "pixel only": {"latent_level": 0.0},
            "both": {"latent_level": top / 2},
            "latent only": {"latent_level": base.pixel_level},
        },
        "resampling": {"stochastic": {"resampling": "stochastic"}, "encoding": {"resampling": "encoding"}},
        "steps": {f"{base.n_steps * k // 4} steps": {"n_steps": base.n_steps * k // 4} for k in (1, 2, 4, 8)},
        "variance": {
            f"{variance}, gamma {scale:g}": {"variance": variance, "variance_scale": scale}
            for variance in ("published", "released")
            for scale in (4.0, 40.0, 400.0, 4000.0, 40000.0)
        },
    }


def main() -> None:
    """Measure what is missing, write the figures and draw them."""
    parser = parser_of(__doc__)
    parser.add_argument("--base", default="fast", help=f"of {', '.join(PRESETS)}")
    parser.add_argument("--only", help="some of them, with commas between")
    parser.add_argument("--figures", type=Path, default=FIGURES, help="folder for the pictures")
    arguments = parser.parse_args()
    base = PRESETS[arguments.base]
    if arguments.base == "fast":  # the published gradient descent in latent space would take as long as `paper`
        base = replace(base, latent_optimiser="gauss-newton")
    ablations = ablations_of(base)
    for name in (chosen := words("--only", arguments.only) if arguments.only else list(ablations)):
        if name not in ablations:
            raise UsageError(f"ablation is {name!r}; expected one of {', '.join(ablations)}")
    changes = {point: changed for name in chosen for point, changed in ablations[name].items()}
    summary = measure(arguments, runs_of(arguments.base, base, changes))
    rows = {(row.condition, row.preset): row for row in summary}
    record = {}
    for name in chosen:
        # a point that changes nothing of the base was measured as the base
        presets = {p: arguments.base if replace(base, **c) == base else p for p, c in ablations[name].items()}
        for condition in dict.fromkeys(row.condition for row in summary):
            points = {point: rows[condition, preset] for point, preset in presets.items()}
            record[f"{name}, {condition}"] = {point: asdict(row) for point, row in points.items()}
            draw(points, arguments.base, arguments.figures / f"ablation-{name}-{condition}.png")
    text = json.dumps(finite(record), indent=1, ensure_ascii=False)
    (arguments.out / "ablations.json").write_text(text + "\n", encoding="utf-8")
    print("\n".join(lines_of(record)))


def lines_of(record: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Sequence[str]:
    """What to see at a glance: a line a point."""
    lines = []
    for name, points in record.items():
        lines.append(name)
        for point, row in points.items():
            means = {figure: statistic["mean"] for figure, statistic in row["figures"].items()}
            lines.append(
                f"  {point:28s} PSNR {means['psnr_db']:6.2f} dB  SSIM {means['ssim']:.4f}  soft tissue "
                f"{means['soft_tissue_rmse_hu']:6.1f} HU  residual {means['residual_ratio']:.2f}  "
                f"{means['seconds']:6.1f} s"
            )
    return lines


if __name__ == "__main__":
    main()
