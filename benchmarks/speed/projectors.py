"""Forward and back projection by ctresample and by others: time, accuracy and adjoint error on this machine.

Run: python benchmarks/speed/projectors.py     (--quick for a look; the whole takes about 15 minutes on two cores)
Libraries take turns, and ratios are within a round. A library that is missing is named with its reason. Where
PyTorch finds CUDA, the same cases run there too. Install the libraries with: pip install -e '.[bench]'
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import torch
from accuracy import Disk, adjoint_error, disk_image, line_integrals, relative_error
from contestants import CPU, CUDA, Contestant, astra_projector
from machine import describe_machine, in_words
from page import write_section
from table import Case, MatrixRow, Row, matrix_table, projector_table, verdicts
from timing import in_turns

from ctresample.geometry import FanBeam, ImageGrid, ParallelBeam
from ctresample.operators.sparse import joseph_matrix

BEAMS = {"parallel": ParallelBeam, "fan": FanBeam}
PIXEL_SIZE_MM = 1.0
MATRIX_VIEWS = (60, 180)


def main() -> None:
    """Print the tables and the goals; write `results.json`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=_integers, default=[256, 512])
    parser.add_argument("--views", type=_integers, default=[25, 60, 180])
    parser.add_argument("--beams", type=lambda text: text.split(","), default=list(BEAMS))
    parser.add_argument("--slices", type=_integers, default=[1, 8])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="256 pixels, 25 views, 3 rounds")
    parser.add_argument("--out", type=Path, default=Path("results.json"), help="every sample, and the machine")
    parser.add_argument("--markdown", type=Path, help="a page whose section 'projectors' to replace")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.sizes, arguments.views, arguments.rounds = [256], [25], 3

    machine = describe_machine()
    print(in_words(machine), "\n", flush=True)
    kinds = CPU
    if torch.cuda.is_available():
        kinds += CUDA
    else:
        print("no CUDA device: CPU only; on a machine with one: python benchmarks/speed/projectors.py\n", flush=True)
    rows = []
    for beam in arguments.beams:
        for size in arguments.sizes:
            for views in arguments.views:
                for found in compare(kinds, beam, size, views, arguments.slices, arguments.rounds):
                    rows += found
                    print(projector_table(found), "\n", flush=True)
    matrix_rows = [
        time_matrix(size, views, min(arguments.rounds, 3))
        for size in arguments.sizes
        for views in (MATRIX_VIEWS[:1] if arguments.quick else MATRIX_VIEWS)
    ]
    goals = verdicts(rows, matrix_rows)
    print(matrix_table(matrix_rows), *goals, sep="\n\n")
    results = {
        "machine": machine,
        "goals": goals,
        "projectors": [asdict(row) for row in rows],
        "matrix": [asdict(row) for row in matrix_rows],
    }
    arguments.out.write_text(json.dumps(results, indent=1) + "\n")
    if arguments.markdown:
        lines = "\n".join(f"- {goal}" for goal in goals)
        parts = [in_words(machine), lines, projector_table(rows), matrix_table(matrix_rows)]
        write_section(arguments.markdown, "projectors", "\n\n".join(parts))


def compare(
    kinds: Sequence[type[Contestant]], beam: str, size: int, views: int, slices: Sequence[int], rounds: int
) -> Iterator[list[Row]]:
    """The rows of one scan for each number of slices."""
    grid = ImageGrid((size, size), PIXEL_SIZE_MM)
    geometry = BEAMS[beam].for_grid(grid, views)
    built: list[Contestant] = []
    absent: dict[str, str] = {}
    errors: dict[str, tuple[float, float]] = {}
    for kind in kinds:
        try:
            contestant = kind(geometry, grid)
            errors[kind.name] = judge(contestant)
            built.append(contestant)
        except Exception as error:  # whatever is wrong with a library, the others are still compared
            absent[kind.name] = f"absent: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
    for count in slices:
        case = Case(beam, size, views, count)
        images_in = np.repeat(disk_image(grid, Disk.inside(grid))[None], count, axis=0)
        tasks = {}
        for contestant in built:
            images = contestant.load(images_in)
            sinograms = contestant.load(np.ones((count, *contestant.geometry.shape), np.float32))
            tasks[f"{contestant.name} forward"] = partial(contestant.forward, images)
            tasks[f"{contestant.name} back"] = partial(contestant.back, sinograms)
        seconds = in_turns(tasks, rounds)
        yield [
            Row(case, kind.name, absent=absent[kind.name])
            if kind.name in absent
            else Row(case, kind.name, seconds[f"{kind.name} forward"], seconds[f"{kind.name} back"], *errors[kind.name])
            for kind in kinds
        ]


def judge(contestant: Contestant) -> tuple[float, float]:
    """Relative error of a disk's sinogram, and adjoint error."""

    def forward(image: np.ndarray) -> np.ndarray:
        return contestant.unload(contestant.forward(contestant.load(image[None])))[0]

    def back(sinogram: np.ndarray) -> np.ndarray:
        return contestant.unload(contestant.back(contestant.load(sinogram[None])))[0]

    grid, geometry = contestant.grid, contestant.geometry
    centred = ImageGrid(grid.shape, grid.pixel_size_mm)
    disk = Disk.inside(centred)
    expected = line_integrals(geometry, disk.moved(grid.centre_mm))
    error = relative_error(forward(disk_image(centred, disk)), expected)
    return error, adjoint_error(forward, back, centred, geometry.shape)


def time_matrix(size: int, views: int, rounds: int) -> MatrixRow:
    """Ours, and ASTRA's built and exported to scipy."""
    import astra

    grid = ImageGrid((size, size), PIXEL_SIZE_MM)
    geometry = ParallelBeam.for_grid(grid, views)

    def export() -> None:
        projector = astra_projector(geometry, grid)
        matrix = astra.projector.matrix(projector)
        astra.matrix.get(matrix)
        astra.matrix.delete(matrix)
        astra.projector.delete(projector)

    tasks = {
        "ours": lambda: joseph_matrix(geometry, grid),
        "pair": lambda: joseph_matrix(geometry, grid).T.tocsr(),
        "astra": export,
    }
    seconds = in_turns(tasks, rounds)
    return MatrixRow(size, views, seconds["ours"], seconds["pair"], seconds["astra"])


def _integers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    main()
