"""The demo: sample slices, 25 noisy views, the learned method beside two classical ones."""

from __future__ import annotations

import io
from pathlib import Path

import torch

import ctresample
from ctresample.data_tools.ct_slices import read_ct_slices
from ctresample.data_tools.dicom_export.write import write_ct_slices
from ctresample.errors import CTResampleError
from ctresample.files import write_file
from ctresample.learned import LearnedModel
from ctresample.paths import StrPath, as_path
from ctresample.pipelines.benchmark.compare import Outcome, compare
from ctresample.pipelines.benchmark.conditions import Condition
from ctresample.pipelines.benchmark.outputs import facts_of, write_table_and_report
from ctresample.pipelines.benchmark.pictures import Pictures
from ctresample.pipelines.benchmark.runs import Run
from ctresample.pipelines.reconstruction.reconstruct import reconstruct
from ctresample.pipelines.results.provenance import DICOM_FOLDER, method_label, provenance_of
from ctresample.pipelines.scan.measure import scanned
from ctresample.pipelines.work import Progress
from ctresample.plots import plot_slices
from ctresample.result import ResultRow

SLICES = Path(ctresample.__file__).parent / "demo_data"
VIEWS = 25
SIZE = 256
SCAN = Condition(n_views=VIEWS, photons=1e5)
_FIRST = 8  # a chest with vessels, soft tissue and bone


def first_picture(path: StrPath, *, slices: StrPath = SLICES, seed: int = 0) -> None:
    """Draw one slice as soon as can be, long before the demo is done: the truth, FBP and TV.

    Args:
        path: the PNG file to write.
        slices: folder of DICOM slices, of which one in the middle is taken.
        seed: of the noise.

    Raises:
        CTResampleError: the sample slices are missing, or the picture cannot be written.
    """
    from matplotlib import pyplot

    path, names = as_path(path, "path"), sorted(as_path(slices, "slices").glob("*.dcm"))
    if not names:
        raise CTResampleError(f"{slices}, the folder of sample slices, is missing; install ctresample anew")
    volume = read_ct_slices(names[_FIRST % len(names)])[0]
    scan = SCAN.scan(volume, seed=seed)
    images = {"truth": scanned(volume, SIZE).hu}
    for method, title in (("fbp", "filtered back projection"), ("tv", "total variation")):
        images[title] = reconstruct(scan, method=method).image_hu
    figure = plot_slices(images, scanned(volume, SIZE).spacing_mm)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=100)
    pyplot.close(figure)
    write_file(path, content.getbuffer())


def demo(
    folder: StrPath,
    *,
    prior: LearnedModel,
    slices: StrPath = SLICES,
    scan: Condition = SCAN,
    size: int = SIZE,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> list[ResultRow]:
    """Run the demo and write ``results.csv``, ``report.html`` and ``dicom/``, the series by ReSample.

    Args:
        folder: empty.
        prior: for ReSample; on ``device``.
        slices: folder of DICOM slices.
        scan: how to scan them.
        size: rows and columns of the images.
        seed: of noise and ReSample.
        device: where to reconstruct.
        progress: told how far it is.

    Returns:
        The results table.

    Raises:
        CTResampleError: the sample slices are missing, or the results cannot be written.
    """
    folder = as_path(folder, "folder")
    slices = as_path(slices, "slices")
    if not slices.is_dir():
        raise CTResampleError(f"{slices}, the folder of sample slices, is missing; install ctresample anew")
    knows_scans = getattr(prior, "is_conditioned", False)  # the bundled one does, a user's may not
    learned = Run("resample", "draft" if knows_scans else "fast")
    runs = (Run("fbp"), Run("tv"), learned)
    outcomes, pictures = list[Outcome](), Pictures()
    for outcome in compare(
        read_ct_slices(slices),
        runs=runs,
        conditions=[scan],
        seeds=[seed],
        size=size,
        models={"latent prior": prior},
        device=device,
        progress=progress,
    ):
        if outcome.image is None:
            raise CTResampleError(
                f"the demo failed on {outcome.row.slice} by {outcome.row.label}: {outcome.row.failure}"
            )
        outcomes.append(outcome)
        pictures.add(outcome)
    outcomes.sort(key=lambda outcome: (outcome.cell.index, runs.index(outcome.run)))
    rows = [outcome.row for outcome in outcomes]
    label = method_label(learned.method, learned.preset, VIEWS)
    write_ct_slices(
        [outcome.image for outcome in outcomes if outcome.image is not None and outcome.run == learned],
        folder / DICOM_FOLDER,
        description=label,
        provenance=provenance_of(
            label,
            sampling=learned.all_settings(),
            scan={"scan": scan.words, "size": size},
            prior=prior,
            seed=seed,
        ),
    )
    facts = facts_of(rows, [scan], {"latent prior": prior}, size=size, device=str(device))
    write_table_and_report(
        folder,
        rows,
        pictures.slices(rows, baseline="tv"),
        title=f"CT slices from {VIEWS} views: FBP, TV and ReSample",
        facts=facts,
        baseline="tv",
    )
    return rows
