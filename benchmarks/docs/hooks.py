"""What the documentation site has beside the written pages: start page, commands, gallery, each made when it is built.

Called by mkdocs, see mkdocs.yml: the start page is the README, the command reference comes from the commands
themselves, and the gallery's pictures from running its scripts, so that none of them can go stale.
"""

from __future__ import annotations

import ast
import contextlib
import html
import io
import logging
import re
import sys
import time
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")
sys.path.append(str(Path(__file__).parent))  # mkdocs loads this file alone

import tables
import typer
from matplotlib import pyplot

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
_LOG = logging.getLogger("mkdocs.gallery")  # shown without --quiet
_LINK = re.compile(r"\[([^\]]*)\]\(([^)#\s]+)(#[^)]*)?\)")
_INTERVAL = re.compile(r"(?<=\d) ± (?=\d)|(?<=\d), (?=[+−]\d[\d.]*\])")
_STYLE = """\
.md-grid { max-width: 76rem; } /* tables and commands in full on a wide screen */
.md-typeset table:not([class]) :is(th, td) { min-width: 0; padding: 0.45em 0.8em; }
.md-typeset table:not([class]) :is(th, td):first-child { min-width: 8rem; }
"""
_MARKUP = re.compile(r"\[/?bold\]")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are made."""
    from mkdocs.structure.files import File

    def add(name: str, content: str | bytes) -> None:
        files.append(File.generated(config, name, content=content))

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    add("index.md", _LINK.sub(_from_readme, readme))
    add("assets/iframe-worker.js", (Path(__file__).parent / "iframe-worker" / "shim.js").read_bytes())
    add("assets/site.css", _STYLE)
    add("commands.md", commands_page())
    add("reference.md", reference_page())
    pages = [example_page(script, add) for script in sorted(EXAMPLES.glob("*.py"))]
    add(
        "gallery.md",
        "# Gallery\n\nScripts to run as they are; the pictures are what they drew just now.\n\n" + "\n".join(pages),
    )
    return files


def on_post_build(config: Any) -> None:
    """Without the page of what is not found: only a server shows it, and its links begin at the server's root."""
    Path(config.site_dir, "404.html").unlink()


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Tables say what file they are of; links to files of the repository, which are no pages, become their names."""
    text = _INTERVAL.sub(lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), tables.with_origins(markdown))
    return _LINK.sub(lambda link: _outside(link) if link[2].startswith("../") else link[0], text)


def commands_page() -> str:
    """Every verb with its arguments and options, as the program itself knows them."""
    from ctresample.cli import app

    parts = ["# Commands\n\nThe same as `ctresample VERB --help`."]
    parts += [_command(words, command) for words, command in verbs(typer.main.get_command(app))]
    return "\n\n".join(parts) + "\n"


def reference_page() -> str:
    """Every public name with its docstring, in the order of the package's own contents."""
    import ctresample

    contents, modules = ctresample.__doc__ or "", dict(ctresample._EXPORTS)
    parts = ["# Python reference\n\nWhat comes straight from `ctresample`, in the words of `help`."]
    for section in contents.split("\n\n")[2:]:
        heading, _, lines = section.partition("\n")
        names = [name for name in re.findall(r"\b\w+\b", lines) if name in modules]
        named = [f"::: ctresample.{modules.pop(name)}.{name}" for name in dict.fromkeys(names) if name in modules]
        parts += [f"## {heading}", *named] if named else []
    if modules:
        raise ValueError(f"the contents in ctresample/__init__.py do not name {', '.join(modules)}")
    return "\n\n".join(parts) + "\n"


def verbs(command: Any, words: tuple[str, ...] = ("ctresample",)) -> list[tuple[str, Any]]:
    """All commands below a group, with the words that call them."""
    if hasattr(command, "commands"):
        return [found for name, one in command.commands.items() for found in verbs(one, (*words, name))]
    return [(" ".join(words), command)]


def example_page(script: Path, add: Any) -> str:
    """Run a script cell by cell; its text, its code, and what each cell printed and drew."""
    source = script.read_text(encoding="utf-8")
    title, text = _about(script)
    began, began_cpu = time.perf_counter(), time.process_time()
    parts, names = [f"## {title}\n\n{text[0].upper()}{text[1:]}"], {"__name__": "__main__"}
    for number, cell in enumerate(re.split(r"^# %% ", source, flags=re.MULTILINE)[1:]):
        heading, _, code = cell.partition("\n")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, str(script), "exec"), names)  # noqa: S102  # our own examples
        parts.append(f"**{heading}**\n\n```python\n{code.strip()}\n```")
        if said := printed.getvalue().strip():
            parts.append(f"```\n{said}\n```")
        for drawn in pyplot.get_fignums():
            content = io.BytesIO()
            pyplot.figure(drawn).savefig(content, format="png", dpi=80)
            name = f"gallery/{script.stem}-{number}-{drawn}.png"
            add(name, content.getvalue())
            parts.append(f"![{title}: {heading}]({name})")
        pyplot.close("all")
    _LOG.info(
        "%s: %.0f s, %.0f s of the processor", script.name, time.perf_counter() - began, time.process_time() - began_cpu
    )
    return "\n\n".join([*parts, f"Run it: `python {script.relative_to(ROOT).as_posix()}`\n"])


def _command(words: str, command: Any) -> str:
    from ctresample.cli import pages

    paragraphs = _MARKUP.sub("**", html.escape(command.help or "", quote=False))
    context = command.make_context(words, [], resilient_parsing=True)
    rows = [row for parameter in command.params if (row := _parameter(parameter, context))]
    example = pages.example_of(command.epilog or "")
    page = pages.PAGES[words.removeprefix("ctresample ")]
    more = f"```\n{example}\n```\n\nMore: [{page}]({page}).\n\n"
    table = "| argument | |\n|---|---|\n" + "\n".join(rows)
    return f"## {words}\n\n{paragraphs}\n\n{more}{table}"


def _parameter(parameter: Any, context: Any) -> str:
    record = None if getattr(parameter, "hidden", False) else parameter.get_help_record(context)
    if record is None:
        return ""
    names, text = (html.escape(" ".join(_MARKUP.sub("", cell).split())).replace("|", "&#124;") for cell in record)
    return f"| <code>{names}</code> | {text} |"


def _from_readme(link: re.Match[str]) -> str:
    text, target, anchor = link[1], link[2], link[3] or ""
    if target.startswith(("http", "mailto")):
        return link[0]
    if target.startswith("ctresample/docs/"):
        return f"[{text}]({target.removeprefix('ctresample/docs/')}{anchor})"
    return _outside(link)


def _about(script: Path) -> tuple[str, str]:
    """What stands before and after the first colon of its docstring."""
    title, _, text = (ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or script.stem).partition(": ")
    return title, text


def _outside(link: re.Match[str]) -> str:
    name = link[2].lstrip("./")
    if name.startswith("examples/"):
        return f"[{link[1]}](gallery.md#{'-'.join(_about(ROOT / name)[0].lower().split())})"
    return link[1] if name in link[1] else f"{link[1]} (`{name}`)"
