"""A helix of a CT series by several methods, from every view and from every tenth of a turn.

Run: python benchmarks/quality/helical.py CT_DIR -o benchmarks/quality/helical.jsonl
Prints a Markdown table; a line of results a method. The slices judged are the middle ones of the series.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from ctresample.cli.screen import screen
from ctresample.data_tools.ct_source import read_ct_volume
from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.pipelines.results.against import compare, truth_for
from ctresample.pipelines.scan.helical_slices import with_slices
from ctresample.pipelines.scan.scan import Scan

REFERENCE = "fbp"
"""From every view: what a scanner would have shown."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True, help="lines are added to it")
    parser.add_argument("--methods", default="fbp,tv,resample:draft", type=lambda text: text.split(","))
    parser.add_argument("--views", type=int, default=360, help="of a turn")
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--photons", type=float, default=1e5)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--slices", type=int, default=4, help="judged")
    chosen = parser.parse_args()
    volume = read_ct_volume(chosen.images)
    scan = Scan(
        n_views=chosen.views, beam="helical", size=chosen.size, photons=chosen.photons, n_detector_rows=chosen.rows
    )
    with screen() as show:
        whole = scan.scan(volume, seed=0, progress=lambda share: show.progress(share, "scanning"))
        first = (whole.n_slices - chosen.slices) // 2
        z_mm = whole.grid.axes_mm[0][first : first + chosen.slices]
        whole = with_slices(whole, (float(z_mm[0]), float(z_mm[-1])))
        truth = truth_for(whole, volume)
        print("| method | views a turn | PSNR dB | SSIM | RMSE HU | seconds |\n|---|---|---|---|---|---|", flush=True)
        for name, every in [(REFERENCE, 1), *((name, chosen.every) for name in chosen.methods)]:
            method, _, preset = name.partition(":")
            options = {"preset": preset} if preset else {}
            made = reconstruct(
                whole.every(every),
                method=method,
                window="hann",
                progress=lambda share, name=name: show.progress(share, name),
                **options,
            )
            mean = compare(made.image_hu, truth)["mean"]
            line = {
                "images": chosen.images.name,
                "method": name,
                "views_a_turn": chosen.views // every,
                "photons": chosen.photons,
                "rows": chosen.rows,
                "size": chosen.size,
                "slices": chosen.slices,
                **{key: round(value, 4) for key, value in mean.items()},
                "residual_ratio": round(float(np.mean(made.residual_ratio)), 3),
                "seconds": round(made.seconds, 1),
            }
            with chosen.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            print(
                f"| {name} | {line['views_a_turn']} | {line['psnr_db']:.2f} | {line['ssim']:.3f} | "
                f"{line['rmse_hu']:.1f} | {line['seconds']:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
