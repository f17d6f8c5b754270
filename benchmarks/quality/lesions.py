"""Small lesions in real slices: several of each size in a scan, as discs and as spheres, by method and views.

Run: python benchmarks/quality/lesions.py DICOM_DIR -o lesions.jsonl [--views 25,40,60] [--runs fbp,tv,resample:draft]

`ctresample lesions` has a lesion of each kind in a scan; here there are so many of few kinds that a rate can be told.
A row is a lesion under a method, or a slice without; both as `ctresample.pipelines.lesions.rows` has them, and their
``shape``. An existing file goes on: a shape, a number of views and a method that it has are left out.
"""

from __future__ import annotations

from dataclasses import asdict

from going_on import Rows, parser_of

from ctresample.cli.options import numbers, whole_numbers, words
from ctresample.cli.screen import screen
from ctresample.data_tools.ct_slices import read_ct_slices
from ctresample.pipelines.benchmark.conditions import Condition
from ctresample.pipelines.benchmark.models import load_models
from ctresample.pipelines.benchmark.runs import Run
from ctresample.pipelines.lesions.study import study_lesions
from ctresample.pipelines.reconstruction.methods import BUNDLED
from ctresample.pipelines.scan.lesion import SHAPES


def main() -> None:
    """Measure what the file does not have."""
    parser = parser_of(__doc__, views="25,40,60")
    parser.add_argument("--runs", default="fbp,tv,resample:draft", help="METHOD or METHOD:PRESET, with commas between")
    parser.add_argument("--diameters", default="6,8", help="in mm")
    parser.add_argument("--contrasts", default="40", help="in HU")
    parser.add_argument("--shapes", default=",".join(SHAPES))
    parser.add_argument("--of-each", type=int, default=3, help="lesions of a kind in a slice, where there is room")
    arguments = parser.parse_args()
    volumes, rows = read_ct_slices(arguments.dicom_dir), Rows(arguments.out)
    runs = [Run(*one.partition(":")[::2]) for one in words("--runs", arguments.runs)]
    models = load_models(runs, dict(BUNDLED), "cpu")
    with screen() as show:
        for views in whole_numbers("--views", arguments.views):
            for shape in words("--shapes", arguments.shapes):
                made = study_lesions(
                    volumes,
                    runs=[
                        one
                        for one in runs
                        if not rows.have(views=views, shape=shape, method=one.method, preset=one.preset)
                    ],
                    conditions=[Condition(n_views=views, photons=arguments.photons)],
                    diameters_mm=numbers("--diameters", arguments.diameters) * arguments.of_each,
                    contrasts_hu=numbers("--contrasts", arguments.contrasts),
                    shape=shape,
                    models=models,
                    prior=BUNDLED["latent prior"],
                    progress=show.progress,
                )
                rows.add({"shape": shape, **asdict(one)} for one in made)


if __name__ == "__main__":
    main()
