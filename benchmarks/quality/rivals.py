"""Every method on the same scans in one run: the table of rivals.

Run: python rivals.py TEST_DIR -o rivals --pixel-prior DIR --fbp-unet DIR
Methods whose model is not given are left out, and the table says so. The slow ones take a part of the slices
(--slices-of), spread over all; their differences to the baseline are over the same slices. Resumable; the tables are in
rivals/results.md. Test slices are for figures that are reported, never for choosing anything.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ctresample.cli.options import numbers_by_name, words
from ctresample.cli.screen import screen
from ctresample.data_tools.ct_slices import read_ct_slices
from ctresample.device import pick_device
from ctresample.pipelines.benchmark.conditions import CONDITIONS
from ctresample.pipelines.benchmark.models import load_models
from ctresample.pipelines.benchmark.outputs import MARKDOWN_NAME
from ctresample.pipelines.benchmark.resumable import run_benchmark
from ctresample.pipelines.benchmark.runs import runs_of
from ctresample.pipelines.reconstruction.methods import DEFAULT_PRIOR, METHODS

SLOW = "paper=6,released_code=6,latent-dps=6,psld=6,dps=6,mcg=6"
"""Minutes a slice on a CPU."""


def main() -> None:
    """Measure what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dicom_dir", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the results: new, or to go on with")
    parser.add_argument("--methods", default=",".join(METHODS), help="with commas between")
    parser.add_argument("--presets", default=",".join(METHODS["resample"].presets), help="of ReSample")
    parser.add_argument("--slices-of", default=SLOW, help="NAME=N: how many slices a method or preset gets")
    parser.add_argument("--conditions", default="paper-25", help=f"of {', '.join(CONDITIONS)}")
    parser.add_argument("--draws", type=int, default=3, help="noise draws")
    parser.add_argument("--prior", default=DEFAULT_PRIOR)
    parser.add_argument("--pixel-prior")
    parser.add_argument("--fbp-unet")
    parser.add_argument("--baseline", default="tv")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--slices", type=int, help="take only so many, in order of path")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch-size", type=int, default=8)
    arguments = parser.parse_args()
    places = {"latent prior": arguments.prior, "pixel prior": arguments.pixel_prior, "fbp-unet": arguments.fbp_unet}
    asked = words("--methods", arguments.methods)
    methods = [name for name in asked if not METHODS[name].needs or places[METHODS[name].needs]]
    for name in asked:
        if name not in methods:
            print(f"left out: {name} needs a {METHODS[name].needs}")
    presets = words("--presets", arguments.presets)
    limits = {n: k for n, k in numbers_by_name("--slices-of", arguments.slices_of).items() if n in {*methods, *presets}}
    runs = runs_of(methods, presets, limits)
    with screen() as show:
        device = pick_device(arguments.device)
        run_benchmark(
            arguments.out,
            read_ct_slices(arguments.dicom_dir, max_slices=arguments.slices),
            runs=runs,
            conditions=[CONDITIONS[name] for name in words("--conditions", arguments.conditions)],
            seeds=range(arguments.draws),
            size=arguments.size,
            models=load_models(runs, places, device),
            device=device,
            batch_size=arguments.batch_size,
            baseline=arguments.baseline,
            title="ReSample and its rivals",
            grows=("runs", "conditions", "models"),
            progress=show.progress,
            on_row=lambda row: show.note(f"{row.label}, {row.slice}, seed {row.seed}: {row.psnr_db:.2f} dB"),
        )
    print((arguments.out / MARKDOWN_NAME).read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
