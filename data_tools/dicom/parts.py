"""Part one stack of images where it holds several: patients always, phases and the like where positions say so.

A scanner, an archive or an anonymiser may put several volumes under one series UID. What tells them apart, such as
AcquisitionNumber, is in other series different from slice to slice without any meaning. So positions are the judge: a
stack is parted by an attribute only where its images coincide, interleave or overlap, and where the parts do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ctresample.data_tools.dicom.headers import SliceHeader
from ctresample.data_tools.dicom.marks import MARKS, shown_mark
from ctresample.data_tools.dicom.stack import common_orientation, is_even, sort_along_normal
from ctresample.data_tools.dicom.tolerance import same_place_mm, within_plane_mm

_MOST_TOGETHER = 2  # attributes that part a stack only jointly, such as two kernels of each of two phases
_LEAST_FOR_EVEN = 3  # two slices always lie evenly
_SAME_STEP = 0.02


@dataclass(frozen=True, eq=False)
class Part:
    """Images that belong together.

    Attributes:
        headers: sorted along their normal.
        words: what sets them apart from the others of their series, without patient data; empty if nothing does.
        identity: the same for the key of the stack, whatever lies beside it.
    """

    headers: tuple[SliceHeader, ...]
    words: str = ""
    identity: tuple[str, ...] = ()


def parts_of(stack: Sequence[SliceHeader], *, one_series: bool = False) -> list[Part]:
    """Part images of one series, matrix and plane.

    Args:
        stack: in any order.
        one_series: positions are the judge: where they form one stack it is one, whatever studies and phases the
            images name. Patients are parted all the same.
    """
    outer = _by_patient(stack, by_study=not one_series)
    return [_within(part, inner) for part in outer for inner in _by_marks(part.headers, one_series)]


def _within(outer: Part, inner: Part) -> Part:
    words = ", ".join(filter(None, (outer.words, inner.words)))
    return Part(inner.headers, words, (*outer.identity, *inner.identity))


def is_even_stack(headers: Sequence[SliceHeader]) -> bool:
    """Whether images lie at different positions, evenly spaced."""
    return _Layout(headers).sound


def _by_patient(stack: Sequence[SliceHeader], by_study: bool) -> list[Part]:
    """Different patients, and different studies: never one volume, wherever their slices lie."""
    who: list[Callable[[SliceHeader], str]] = [
        lambda header: header.patient[0],
        lambda header: header.patient[1],
        lambda header: header.patient[2],
        lambda header: header.patient[3],
    ]
    if by_study:
        who.append(lambda header: header.study_uid)
    # an attribute that some images lack is no second patient
    asked = [value for value in who if len({value(header) for header in stack} - {""}) > 1]
    groups: dict[tuple[str, ...], list[SliceHeader]] = {}
    for header in stack:
        groups.setdefault(tuple(value(header) for value in asked), []).append(header)
    if len(groups) == 1:
        return [Part(tuple(sort_along_normal(stack)))]
    what = "study" if asked == who[4:] else "patient"
    return [
        Part(tuple(sort_along_normal(headers)), f"{what} {number} of {len(groups)}", ("patient", *values))
        for number, (values, headers) in enumerate(groups.items(), 1)
    ]


def _by_marks(headers: Sequence[SliceHeader], one_series: bool) -> list[Part]:
    whole = _Layout(headers)
    if len(headers) > 1 and not (one_series and whole.sound):
        ways = _partitions(headers, coinciding=not whole.distinct, jointly=not whole.sound)
        best: tuple[tuple[str, ...], _Partition] | None = None
        for names, parts in ways:
            if best is not None and len(parts) >= len(best[1]):
                continue
            if _mostly_lone(parts) and not whole.at_one_place:
                continue
            if _mends(whole, [_Layout(part, whole) for part in parts.values()]):
                best = names, parts
        if best is not None:
            names, parts = best
            outer = [_part(names, values, part, list(parts)) for values, part in parts.items()]
            return [_within(part, inner) for part in outer for inner in _by_marks(part.headers, one_series)]
    return [Part(tuple(headers))]


def _mostly_lone(parts: _Partition) -> bool:
    """Whether most images would be alone: by a number that each slice has of its own."""
    sizes = [len(part) for part in parts.values()]
    return 2 * sizes.count(1) > sum(sizes)


_Partition = dict[tuple[str, ...], list[SliceHeader]]


def _partitions(
    headers: Sequence[SliceHeader], *, coinciding: bool, jointly: bool
) -> Iterator[tuple[tuple[str, ...], _Partition]]:
    """Every way to part images by their attributes, or where asked by several of them together."""
    columns = {mark.keyword: [header.marks.get(mark.keyword, "") for header in headers] for mark in MARKS}
    if not coinciding:
        columns = {keyword: column for keyword, column in columns.items() if keyword not in _WEAK or _in_turns(column)}
    columns["StudyInstanceUID"] = [header.study_uid for header in headers]
    if coinciding:
        columns[_TARGET] = _targets(headers)
    differing: dict[str, list[str]] = {}
    for keyword, column in columns.items():
        # each of the two names of one difference would do
        if len(set(column)) > 1 and not any(_same_partition(column, other) for other in differing.values()):
            differing[keyword] = column
    for count in range(1, (_MOST_TOGETHER if jointly else 1) + 1):
        for names in combinations(differing, count):
            parts: _Partition = {}
            for header, *values in zip(headers, *(differing[name] for name in names), strict=True):
                parts.setdefault(tuple(values), []).append(header)
            yield names, parts


_WEAK = {mark.keyword for mark in MARKS if mark.weak}


def _in_turns(column: list[str]) -> bool:
    """Whether values take turns along the normal, such as two times of two scans that lie between each other."""
    n = len(set(column))
    turns = all(value == later for value, later in zip(column, column[n:], strict=False))
    return turns and len(set(column[:n])) == n and len(column) >= _LEAST_FOR_EVEN * n


_TARGET = "reconstruction target"


def _targets(headers: Sequence[SliceHeader]) -> list[str]:
    """Where in their planes the images lie, to a pixel: a scan may be reconstructed for the left and the right lung."""
    first = headers[0]
    middles = np.stack([(header.centre - first.centre) @ first.orientation.T for header in headers])
    steps = 4 * np.array([within_plane_mm(mm) for mm in first.spacing_mm[::-1]])
    return [f"{column:g},{row:g}" for column, row in np.round(middles / steps) + 0.0]


def _same_partition(a: list[str], b: list[str]) -> bool:
    return len(set(zip(a, b, strict=True))) == len(set(a)) == len(set(b))


def _part(
    names: tuple[str, ...], values: tuple[str, ...], headers: list[SliceHeader], all_values: list[tuple[str, ...]]
) -> Part:
    words = []
    for place, (name, value) in enumerate(zip(names, values, strict=True)):
        others = list(dict.fromkeys(one[place] for one in all_values))
        if name in (_TARGET, "StudyInstanceUID"):
            what = "study" if name == "StudyInstanceUID" else _TARGET
            words.append(f"{what} {others.index(value) + 1} of {len(others)}")
        else:
            words.append(shown_mark(name, {name: value}, others))
    return Part(tuple(sort_along_normal(headers)), ", ".join(words), (*names, *values))


def _copy_name(header: SliceHeader) -> object:
    """Equal for copies of one file."""
    if not header.instance_uid:
        return id(header)
    return header.instance_uid, header.frame, *header.position.tolist(), *header.marks.items()


class _Layout:
    """How images lie along their normal, or that of a whole that they are part of; a copy of a file counts once."""

    def __init__(self, headers: Sequence[SliceHeader], within: _Layout | None = None) -> None:
        if within is None:
            orientation = common_orientation(headers)
            normal = np.cross(orientation[0], orientation[1])
            self._known = {id(header): (_copy_name(header), float(header.centre @ normal)) for header in headers}
        else:
            self._known = within._known
        self.heights = np.sort(list(dict(self._known[id(header)] for header in headers).values()))
        self.same_mm = same_place_mm(min(headers[0].spacing_mm))
        self.distinct = bool((np.diff(self.heights) >= self.same_mm).all())
        self.even = is_even(self.heights)
        self.sound = self.distinct and self.even

    def __len__(self) -> int:
        return len(self.heights)

    @property
    def at_one_place(self) -> bool:
        return bool(self.heights[-1] - self.heights[0] < self.same_mm)

    @property
    def step_mm(self) -> float:
        return float(self.heights[-1] - self.heights[0]) / max(1, len(self) - 1)

    def reaches_into(self, other: _Layout) -> bool:
        """Whether their heights overlap, or touch at one position."""
        low, high = max(self.heights[0], other.heights[0]), min(self.heights[-1], other.heights[-1])
        return bool(low < high + self.same_mm)


def _mends(whole: _Layout, parts: list[_Layout]) -> bool:
    """Whether parting makes sound stacks of images that lie among each other."""
    n = len(whole)
    if not all(part.distinct for part in parts):
        return False
    ordered = sorted(parts, key=lambda part: part.heights[0])
    among = any(low.reaches_into(high) for low, high in zip(ordered, ordered[1:], strict=False))
    among = among or any(ordered[0].reaches_into(part) for part in ordered[1:])
    if not among:
        return False
    if whole.sound:  # two volumes may lie evenly between each other
        steps = [part.step_mm for part in parts]
        alike = max(steps) - min(steps) <= _SAME_STEP * max(steps)
        return all(part.even and len(part) > 1 for part in parts) and alike
    if whole.distinct:
        return all(part.even for part in parts) and all(len(part) >= _LEAST_FOR_EVEN for part in parts)
    # where images coincide they are several volumes, whatever else each of them lacks
    return whole.at_one_place or 2 * sum(len(part) for part in parts if part.even) >= n
