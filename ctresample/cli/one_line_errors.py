"""Whatever goes wrong in a verb becomes one line on stderr and an exit status."""

from __future__ import annotations

import os
import sys
import textwrap
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from ctresample.cli.elsewhere import elsewhere
from ctresample.cli.screen import quiet, say
from ctresample.cli.threads import compute_with, without_threads
from ctresample.errors import CTResampleError, TakenError, UsageError
from ctresample.files import overwriting

DEBUG, SHARE, QUIET, OVERWRITE = "--debug", "--share", "--quiet", "--overwrite"
REPLACING = ("simulate", "import", "align", "lower-dose", "reconstruct", "calibrate", "info")
"""Verbs that ``--overwrite`` is for; the others go on with an earlier result, or write nothing over one."""

_OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "not enough memory")  # as torch says it
_INTERRUPTED = 130  # 128 + SIGINT, as shells count


class OneLineErrors(TyperGroup):
    """The group of all verbs."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Run the command line and leave with its exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
        words = list(sys.argv[1:] if args is None else args)
        debug = DEBUG in words  # at any place, for one adds it to a command that has just failed
        share = SHARE in words
        quiet(QUIET in words)
        overwrite = OVERWRITE in words
        words = [word for word in words if word not in (DEBUG, SHARE, QUIET, OVERWRITE)]
        before = os.umask(0o077)  # nearly all that is written holds patient data
        if share:
            os.umask(before)
        try:
            words, threads = without_threads(words)
            if threads:
                compute_with(threads)
            if overwrite and not set(words[:1]) <= {*REPLACING, "-h", "--help"}:
                raise UsageError(f"{OVERWRITE} has no effect on {words[0]}; it is for {', '.join(REPLACING)}")
            with overwriting(overwrite):
                # Not standalone: typer would print boxes of several lines, and the usage above them.
                status = super().main(words, "ctresample", complete_var, False, windows_expand_args, **extra)
        except Exception as error:
            if debug:
                traceback.print_exc()
            line, status = _line_and_status(error)
            if isinstance(error, TakenError) and words[0] in REPLACING:
                line += f", or add {OVERWRITE}"
            _complain(line + elsewhere(line, words, self))
        else:
            if status == _INTERRUPTED:
                _complain("interrupted; no result was written")
        finally:
            os.umask(before)
        sys.exit(status or 0)


def _line_and_status(error: Exception) -> tuple[str, int]:
    if isinstance(error, CTResampleError):
        return str(error), error.exit_code
    if isinstance(error, typer.Abort):  # how some versions of typer hand on Ctrl-C
        return "interrupted; no result was written", _INTERRUPTED
    if hasattr(error, "format_message"):  # typer's own; their class has moved between its versions
        context = getattr(error, "ctx", None)
        hint = f" (see {context.command_path} --help)" if context else ""
        message = error.format_message().rstrip(".").replace("Value error, ", "")
        return f"{message}{_found(error, message)}{hint}", getattr(error, "exit_code", 1)
    if isinstance(error, MemoryError) or any(words in str(error) for words in _OUT_OF_MEMORY):
        return "memory ran out; take fewer slices, views or pixels at a time, or a larger machine", 1
    return f"{type(error).__name__}: {error} (unexpected; add {DEBUG} to see where it happened)", 1


def _found(error: Exception, message: str) -> str:
    """What stood where a number was expected: typer says only the latter."""
    checks = getattr(error.__cause__, "errors", None)  # of pydantic, by which typer reads values
    found = repr(str(checks()[0]["input"])[:60]) if checks else ""
    return f", found {found}" if found and found not in message else ""


def _complain(message: str) -> None:
    line = textwrap.shorten(message, 1000, placeholder=" ...")  # joins lines, too
    say(f"ctresample: error: {line}", err=True)
