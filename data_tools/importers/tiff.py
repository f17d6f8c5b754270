"""TIFF stacks: a folder of single pages, or one file of many."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import tifffile

from ctresample.data_tools.importers.readings import FIELDS, Note, Readings
from ctresample.data_tools.plain_text import one_line
from ctresample.data_tools.sinogram.hdf5_checks import MAX_BYTES
from ctresample.errors import CTResampleError, SinogramError

SUFFIXES = (".tif", ".tiff")
_MAX_PAGES = 100_000
_NO_READINGS = re.compile(r"(flat|dark|white|open|ref|bright|empty|di0|io0)(s|_?field)?[^a-z]", re.IGNORECASE)

# its complaints about damaged files go to the log, and what matters comes as our error
logging.getLogger("tifffile").addHandler(logging.NullHandler())


def read_tiff(
    path: Path, names: Mapping[str, str] = MappingProxyType({}), on_note: Note = lambda message: None
) -> Readings:
    """A stack of uncompressed grey pages of one shape; the pages are the first axis.

    Flat and dark fields are TIFF files beside the readings. Files of a folder that are called flat, dark, white, open
    or ref and are not named are no readings, and are left out.

    Compressed pages are refused: how much they unpack to is known only afterwards.

    Args:
        path: a file, or a folder whose TIFF files, one page each, are taken in order of the numbers in their names.
        names: without suffix, of the files "array" and `FIELDS`, where the sidecar has them; several
            with commas between are averaged.
        on_note: told which files were left out.

    Raises:
        SinogramError: no page, pages of several shapes or colours, compressed, damaged, or absurdly large.
    """
    place = path if path.is_dir() else path.parent
    fields = {key: _named(place, names[key]) for key in FIELDS if key in names}
    flat, dark, after = (
        np.mean([read_tiff(file, on_note=on_note).values.mean(0, np.float64) for file in fields[key]], axis=0)
        if key in fields
        else None
        for key in FIELDS
    )
    folder = path.is_dir() and "array" not in names
    files = _named(place, names["array"])[:1] if "array" in names else [path]
    if folder:
        files = sorted((entry for entry in path.iterdir() if entry.suffix.lower() in SUFFIXES), key=_by_number)
        known = {file for found in fields.values() for file in found}
        extra = [file for file in files if file not in known and _NO_READINGS.match(file.name)]
        if len(extra) == len(files):
            extra = []
        if extra:
            on_note(f"{len(extra)} files are no readings by their names, left out: {one_line(extra[0].name, 60)} ...")
        files = [file for file in files if file not in known and file not in extra]
        if not 0 < len(files) <= _MAX_PAGES:
            raise SinogramError(f"{path} holds {len(files)} TIFF files; expected 1 to {_MAX_PAGES}")
    if folder:
        return Readings("TIFF stack", read_single_pages(files), flat=flat, dark=dark, flat_after=after)
    with _Pages(files[0]) as pages:
        shape = (len(pages.pages), *pages.shape)
        if 4 * np.prod(shape, dtype=float) > MAX_BYTES:
            raise SinogramError(f"{path} would take more than {MAX_BYTES >> 30} GiB; use fewer pages")
        stack = np.empty(shape, np.float32)
        pages.read_into(stack)
    return Readings("TIFF stack", stack, flat=flat, dark=dark, flat_after=after)


def read_single_pages(files: list[Path]) -> np.ndarray:
    """Files of one page each as ``[file, row, column]``, float32; `SinogramError` as `read_tiff`."""
    stack: np.ndarray | None = None
    for number, file in enumerate(files):
        with _Pages(file) as pages:
            if len(pages.pages) != 1:
                raise SinogramError(f"{file} has {len(pages.pages)} pages; expected one a file in a folder")
            if stack is None:
                shape = (len(files), *pages.shape)
                if 4 * np.prod(shape, dtype=float) > MAX_BYTES:
                    raise SinogramError(f"{file.parent} would take more than {MAX_BYTES >> 30} GiB; use fewer pages")
                stack = np.empty(shape, np.float32)
            if pages.shape != stack.shape[1:]:
                raise SinogramError(f"{file} has pages of shape {pages.shape}; expected {stack.shape[1:]} as before")
            pages.read_into(stack[number : number + 1])
    if stack is None:
        raise SinogramError("there are no TIFF files; expected one a view")
    return stack


def _named(folder: Path, names: str) -> list[Path]:
    found = []
    for name in (part.strip() for part in names.split(",")):
        files = [file for suffix in ("", *SUFFIXES) if (file := folder / f"{name}{suffix}").is_file()]
        if not files or Path(name).name != name:
            raise SinogramError(f"{folder} has no TIFF file {one_line(repr(name), 60)}; correct its name")
        found.append(files[0])
    return found


def _by_number(path: Path) -> list[tuple[int, str]]:
    """So that page 10 comes after page 9."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]


class _Pages:
    """The checked pages of one file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> _Pages:
        try:
            self._file = tifffile.TiffFile(self._path)
        except Exception as error:
            raise self._damaged(error) from error
        try:
            self.pages: list[tifffile.TiffPage] = []
            places, n_bytes, size = set[int](), 0, self._path.stat().st_size
            for page in self._file.pages:
                self.pages.append(self._checked(page, size))
                places.add(self.pages[-1].offset)
                n_bytes += self.pages[-1].nbytes
                # a chain of pages may run in a circle, or all of them name the same values
                if len(places) < len(self.pages) or n_bytes > size or len(self.pages) > _MAX_PAGES:
                    raise SinogramError(f"{self._path} declares more pages than it holds; it is made to do harm")
            self.shape = tuple(map(int, self.pages[0].shape))
            if any(page.shape != self.shape for page in self.pages):
                raise SinogramError(f"{self._path} has pages of several shapes; expected one stack; save them apart")
        except BaseException as error:
            self._file.close()
            if isinstance(error, CTResampleError) or not isinstance(error, Exception):
                raise
            raise self._damaged(error) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _checked(self, page: tifffile.TiffPage | tifffile.TiffFrame, size: int) -> tifffile.TiffPage:
        path = self._path
        if not isinstance(page, tifffile.TiffPage) or page.compression != 1 or page.is_tiled:
            raise SinogramError(
                f"{path} has compressed or tiled pages; expected plain ones; save it without compression"
            )
        if page.dtype is None or page.dtype.kind not in "iuf" or page.dtype.itemsize > 8 or len(page.shape) != 2:
            raise SinogramError(f"{path} has pages in colour or of odd numbers; expected one number a pixel")
        ends = [start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
        if page.nbytes != sum(page.databytecounts) or page.nbytes == 0 or max(ends) > size:
            raise SinogramError(
                f"{path} declares pages of {page.nbytes:,} bytes in a file of {size:,} and holds "
                f"{sum(page.databytecounts):,}; it is damaged, cut short or made to do harm"
            )
        return page

    def read_into(self, stack: np.ndarray) -> None:
        """Fill ``[page, row, column]``."""
        try:
            for page, target in zip(self.pages, stack, strict=True):
                target[...] = page.asarray()
        except Exception as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> SinogramError:
        if isinstance(error, OSError) and error.strerror:
            return SinogramError(f"{self._path} cannot be read ({error.strerror})")
        return SinogramError(f"{self._path} is no sound TIFF file ({type(error).__name__}); copy or make it again")
