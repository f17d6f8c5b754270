"""All verbs in one program, heavy imports inside the functions.

So that ``ctresample --help`` answers at once, nothing here may import torch or NumPy at the top.
"""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Annotated

import typer

import ctresample
from ctresample.cli import beginning, options
from ctresample.cli.align import align
from ctresample.cli.batch import batch
from ctresample.cli.benchmark import benchmark
from ctresample.cli.calibrate import calibrate
from ctresample.cli.dataset import dataset
from ctresample.cli.demo import demo
from ctresample.cli.doctor import doctor
from ctresample.cli.fetch import fetch
from ctresample.cli.finetune import finetune
from ctresample.cli.import_ import import_
from ctresample.cli.info import info
from ctresample.cli.lesions import lesions
from ctresample.cli.lower_dose import lower_dose
from ctresample.cli.one_line_errors import DEBUG, OVERWRITE, QUIET, SHARE, OneLineErrors
from ctresample.cli.pages import epilog
from ctresample.cli.prior import prior
from ctresample.cli.reconstruct import reconstruct
from ctresample.cli.send import send
from ctresample.cli.simulate import simulate
from ctresample.cli.threads import THREADS
from ctresample.cli.train import train

_ORDER = (
    *("demo", "info", "doctor"),
    *("fetch", "simulate", "import", "align", "lower-dose", "reconstruct", "batch", "send"),
    *("benchmark", "lesions", "calibrate"),
    *("dataset", "train", "finetune", "prior"),
)
"""Verbs in the order of work. Those that have verbs of their own typer would list last."""


class _Program(OneLineErrors):
    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # typer's class moves
        return sorted(super().list_commands(ctx), key=_ORDER.index)


app = typer.Typer(
    cls=_Program,
    invoke_without_command=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ctresample {ctresample.__version__}")
        raise typer.Exit


@app.callback(epilog="Start with [bold]ctresample demo[/bold]: it shows the whole way on sample slices in minutes.")
def _all_verbs(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version and stop.")
    ] = False,
    # Taken off by OneLineErrors before typer sees it; here for the help.
    _debug: Annotated[bool, typer.Option(DEBUG, help="On an error, show where it happened.")] = False,
    _quiet: Annotated[bool, typer.Option(QUIET, help="Say nothing of progress; doubts and results stay.")] = False,
    _overwrite: Annotated[
        bool, typer.Option(OVERWRITE, help="Replace the file or result that is there, once the new one is whole.")
    ] = False,
    _threads: Annotated[
        int | None, typer.Option(THREADS, metavar="N", help="Compute with N threads of the CPU. Default: all.")
    ] = None,
    _share: Annotated[
        bool, typer.Option(SHARE, help="Let others read the results as far as the umask does; else only you can.")
    ] = False,
) -> None:
    """CT images from few views: a learned prior (ReSample) beside its rivals and classical methods, DICOM in and out.

    For research, not for diagnosis.
    """
    if context.invoked_subcommand is None:
        typer.echo(beginning.TEXT, nl=False)
        raise typer.Exit(2)


_EXAMPLES: dict[Callable[..., None], str] = {
    demo: "-o demo-output",
    simulate: "chest_ct/ -o scan.h5 --views 25 --photons 1e5",
    import_: "scan.npy -o scan.h5 --geometry geometry.json",
    align: "scan.h5 -o aligned.h5 --figure axis.png",
    lower_dose: "scan.h5 -o low.h5 --fraction 0.25",
    reconstruct: "chest_ct/ -o result --views 25 --photons 1e5",
    calibrate: "ten_patients/ -o prior/calibration/25.json --views 25 --photons 1e5",
    batch: "export/ -o results --views 25 --photons 1e5",
    benchmark: "scans/ -o out --views 25,60 --photons 1e5",
    lesions: "scans/ -o lesions --views 25,60",
    dataset: "chest_ct/ abdomen_ct/ -o shards --licence 'CC BY 4.0, TCIA'",
    finetune: "ct256 train/ --validation val/ -o run --lora 8",
    fetch: "hospital --date 20240301 --modality CT -o chest_ct",
    send: "hospital result/dicom",
    info: "scan.h5",
    doctor: "",
}
_LISTS: dict[Callable[..., None], str] = {
    verb: options.METHOD_LIST for verb in (reconstruct, calibrate, batch, benchmark, lesions)
}
for _verb, _example in _EXAMPLES.items():
    # typer would keep the line breaks of all but the first paragraph
    _help = "\n\n".join(" ".join(paragraph.split()) for paragraph in (_verb.__doc__ or "").split("\n\n"))
    _help += f"\n\n{_LISTS[_verb]}" if _verb in _LISTS else ""
    _name = _verb.__name__.rstrip("_").replace("_", "-")
    app.command(_name, help=_help, epilog=epilog(_name, _example))(_verb)
app.add_typer(train, name="train")
app.add_typer(prior, name="prior")


_SOON_S = 0.05
"""Until a stop that was lost comes again: by then the object is gone."""


def main() -> None:
    """Run the command line; see `OneLineErrors` for the exit status."""
    signal.signal(signal.SIGTERM, _stop)
    sys.unraisablehook = _again
    app()


def _stop(number: int, _frame: FrameType | None) -> None:
    """End as an error would, so that no half-written folder is left."""
    sys.exit(128 + number)


def _again(lost: sys.UnraisableHookArgs) -> None:
    """A stop that came while an object was being deleted, where Python lets no exception out, comes once more."""
    number = {SystemExit: signal.SIGTERM, KeyboardInterrupt: signal.SIGINT}.get(lost.exc_type)
    if number is None:
        sys.__unraisablehook__(lost)
        return
    later = threading.Timer(_SOON_S, _thread.interrupt_main, (number,))
    later.daemon = True
    later.start()
