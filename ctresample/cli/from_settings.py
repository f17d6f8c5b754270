"""Command-line options made of settings dataclasses, so that verbs with the same settings offer the same options."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer

from ctresample.cli import names, options
from ctresample.offered import Offered


@dataclass(frozen=True)
class Without:
    """A mark beside a settings class: these fields are no options of the verb, which sets them itself."""

    names: frozenset[str]

    @classmethod
    def under(cls, kind: type, heading: str) -> Without:
        """The options of a settings class that stand under a heading of the help."""
        found = {one.place[0] for one in _options_of(kind, MISSING, ()) if one.offered.group == heading}
        return cls(frozenset(found))


def with_settings(verb: Callable[..., None]) -> Callable[..., None]:
    """A verb whose parameters that are settings dataclasses become the options of their fields.

    Fields marked with `Offered` are options; of fields that are settings themselves, so are theirs. Where the verb's
    parameter has a default, the options have its values as theirs.
    """
    parameters, settings = [], dict[str, tuple[type, Any, list[_Option]]]()
    for parameter in inspect.signature(verb, eval_str=True).parameters.values():
        kind, without = _settings_class(parameter.annotation)
        if kind is None:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        base = MISSING if parameter.default is inspect.Parameter.empty else parameter.default
        found = [one for one in _options_of(kind, base, ()) if one.place[0] not in without]
        settings[parameter.name] = (kind, base, found)
        parameters += [one.parameter() for one in found]

    @functools.wraps(verb)
    def run(**values: Any) -> None:
        for name, (kind, base, found) in settings.items():
            given = {one.place: one.value(values.pop(one.keyword)) for one in found}
            values[name] = _made(kind, base, given)
        verb(**values)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # where typer looks
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


@dataclass(frozen=True)
class _Option:
    """One setting as an option.

    Attributes:
        place: names of the fields that lead to it.
        hint: its type.
        offered: its mark.
        default: where it is not given; MISSING where it must be.
    """

    place: tuple[str, ...]
    hint: Any
    offered: Offered
    default: Any

    @property
    def keyword(self) -> str:
        """The name of the verb's parameter."""
        return (self.offered.name or self.place[-1]).replace("-", "_")

    @property
    def _flag(self) -> str:
        return f"--{self.keyword.replace('_', '-')}"

    @property
    def _is_list(self) -> bool:
        return get_origin(self.hint) is tuple

    def parameter(self) -> inspect.Parameter:
        """As typer wants it."""
        offered, hint, default = self.offered, self.hint, self.default
        choices, metavar = offered.choices, offered.metavar
        if get_origin(hint) is Literal:
            hint, choices = str, get_args(hint)
            metavar = metavar or "|".join(choices)
        if self._is_list:
            hint, default = str, ",".join(default) or "none"
        if offered.in_degrees:
            hint, default = str | None, None if default is None else str(default)
        option = typer.Option(
            self._flag,
            metavar=metavar,
            help=offered.help,
            rich_help_panel=offered.group,
            min=offered.minimum,
            callback=names.one_of(choices) if choices else None,
            autocompletion=names.completed(choices) if choices else None,
        )
        return inspect.Parameter(
            self.keyword,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if default is MISSING else default,
            annotation=Annotated[hint, option],
        )

    def value(self, given: Any) -> Any:
        """The setting of what typer hands over."""
        if given is None:
            return None
        if self._is_list:
            return tuple(options.words(self._flag, given))
        if self.offered.in_degrees:
            number = options.number_or(self._flag, given, "short")
            return number if isinstance(number, str) else math.radians(number)
        return given


def _settings_class(annotation: Any) -> tuple[type | None, frozenset[str]]:
    """The dataclass that a parameter is annotated with, if it is one, and the fields that it is to go without."""
    kind, *marks = get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)
    without = frozenset(name for mark in marks if isinstance(mark, Without) for name in mark.names)
    return (kind if isinstance(kind, type) and is_dataclass(kind) else None), without


def _options_of(kind: type, base: Any, place: tuple[str, ...]) -> Iterator[_Option]:
    hints = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        hint = hints[field.name]
        default = field.default if base is MISSING else getattr(base, field.name)
        if isinstance(hint, type) and is_dataclass(hint):
            yield from _options_of(hint, default, (*place, field.name))
        elif get_origin(hint) is Annotated:
            inner, *marks = get_args(hint)
            yield from (
                _Option((*place, field.name), inner, mark, default) for mark in marks if isinstance(mark, Offered)
            )


def _made(kind: type, base: Any, given: dict[tuple[str, ...], Any]) -> Any:
    """An instance of a settings class with the values at their places, and for the rest those of ``base``."""
    values = {} if base is MISSING else {one.name: getattr(base, one.name) for one in fields(kind)}
    hints = get_type_hints(kind)
    for name in dict.fromkeys(place[0] for place in given):
        inner = {place[1:]: value for place, value in given.items() if place[0] == name}
        default = values.get(name, MISSING)
        values[name] = inner[()] if () in inner else _made(hints[name], default, inner)
    return kind(**values)
