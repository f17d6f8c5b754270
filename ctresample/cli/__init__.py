"""The command line: one thin file a verb, put together in ``program.py``.

The verbs are functions named as their files, so they are not imported here, where they would hide them.
"""

from ctresample.cli.program import app, main

__all__ = ["app", "main"]
