"""``dataset.json``: what a set of shards holds and how to tell that it is whole."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ctresample.data_tools.plain_text import one_line
from ctresample.errors import DatasetError
from ctresample.files import write_file
from ctresample.paths import StrPath, as_path

MANIFEST = "dataset.json"
SCHEMA_VERSION = 1

Split = Literal["train", "val"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ShardEntry(_Strict):
    """One shard.

    Attributes:
        file: its name in the folder of its split.
        slices: how many it holds.
        size_bytes: of the file.
        sha256: of the file, in hexadecimal digits.
    """

    file: Annotated[str, Field(pattern=r"^[0-9]{5}[.]h5$")]
    slices: Annotated[int, Field(ge=1)]
    size_bytes: int
    sha256: str


class SplitEntry(_Strict):
    """One split.

    Attributes:
        slices: in all its shards.
        patients: different ones.
        shards: in order.
    """

    slices: int
    patients: int
    shards: tuple[ShardEntry, ...]


class Manifest(_Strict):
    """A whole set of shards.

    Attributes:
        schema_version: of this file and the shards.
        software: that made the set.
        licence: of the images, as the maker stated it; may be empty.
        validation_share: of the patients, as asked for.
        splits: those that hold slices.
        hu_share: share of the pixels of the source images in each tissue.
        left_out: files by reason.
    """

    schema_version: Literal[1]
    software: str
    licence: str
    validation_share: float
    splits: dict[Split, SplitEntry]
    hu_share: dict[str, float]
    left_out: dict[str, int]

    def write(self, folder: StrPath) -> None:
        """Write ``dataset.json``; `OutputError` if it cannot be."""
        folder = as_path(folder, "folder")
        write_file(folder / MANIFEST, f"{self.model_dump_json(indent=2)}\n".encode())

    @classmethod
    def read(cls, folder: StrPath) -> Manifest:
        """`DatasetError` if ``dataset.json`` is missing, damaged or of another version."""
        folder = as_path(folder, "folder")
        path = folder / MANIFEST
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise DatasetError(
                f"{path} cannot be read ({error.strerror}); shards are read with the file that ctresample dataset "
                "wrote beside their folder; copy it along"
            ) from error
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "the text"
            raise DatasetError(
                f"{path}: {one_line(where, 60)} cannot be used ({one_line(first['msg'], 80)}); expected the file that "
                f"ctresample dataset wrote (schema {SCHEMA_VERSION}); copy or make the shards again"
            ) from error
