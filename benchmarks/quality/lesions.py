"""Small lesions in real slices: several of each size in a scan, as discs and as spheres, by method and views.

Run: python benchmarks/quality/lesions.py DICOM_DIR -o lesions.jsonl [--views 25,40,60] [--runs fbp,tv,resample:draft]

`ctresample lesions` has a lesion of each kind in a scan; here there are so many of few kinds that a rate can be told.
A row is a lesion under a method, or a slice without; both as `ctresample.pipelines.lesions.rows` has them, and their
``shape``. An existing file goes on: a shape, a number of views and a method that it has are left out.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from ctresample.cli.options import numbers, whole_numbers, words
from ctresample.cli.screen import screen
from ctresample.data_tools.ct_slices import read_ct_slices
from ctresample.finite_json import finite
from ctresample.pipelines.benchmark.conditions import Condition
from ctresample.pipelines.benchmark.models import load_models
from ctresample.pipelines.benchmark.runs import Run
from ctresample.pipelines.lesions.study import study_lesions
from ctresample.pipelines.reconstruction.methods import BUNDLED
from ctresample.pipelines.scan.lesion import SHAPES


def main() -> None:
    """Measure what the file does not have."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dicom_dir", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--views", default="25,40,60")
    parser.add_argument("--photons", type=float, default=1e5)
    parser.add_argument("--runs", default="fbp,tv,resample:draft", help="METHOD or METHOD:PRESET, with commas between")
    parser.add_argument("--diameters", default="6,8", help="in mm")
    parser.add_argument("--contrasts", default="40", help="in HU")
    parser.add_argument("--shapes", default=",".join(SHAPES))
    parser.add_argument("--of-each", type=int, default=3, help="lesions of a kind in a slice, where there is room")
    arguments = parser.parse_args()
    volumes = read_ct_slices(arguments.dicom_dir)
    rows = [json.loads(line) for line in arguments.out.read_text().splitlines()] if arguments.out.exists() else []
    runs = [Run(*one.partition(":")[::2]) for one in words("--runs", arguments.runs)]
    models = load_models(runs, dict(BUNDLED), "cpu")
    with screen() as show:
        for views in whole_numbers("--views", arguments.views):
            for shape in words("--shapes", arguments.shapes):
                done = {
                    (row["method"], row["preset"]) for row in rows if (row["views"], row["shape"]) == (views, shape)
                }
                made = study_lesions(
                    volumes,
                    runs=[run for run in runs if (run.method, run.preset) not in done],
                    conditions=[Condition(n_views=views, photons=arguments.photons)],
                    diameters_mm=numbers("--diameters", arguments.diameters) * arguments.of_each,
                    contrasts_hu=numbers("--contrasts", arguments.contrasts),
                    shape=shape,
                    models=models,
                    prior=BUNDLED["latent prior"],
                    progress=show.progress,
                )
                rows += [{"shape": shape, **asdict(one)} for one in made]
                arguments.out.write_text("".join(f"{json.dumps(finite(row))}\n" for row in rows))


if __name__ == "__main__":
    main()
