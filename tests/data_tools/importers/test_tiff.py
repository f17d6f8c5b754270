"""TIFF stacks, written by two other programs."""

import struct
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

from ctresample.data_tools.importers.tiff import read_tiff
from ctresample.errors import SinogramError

STACK = np.random.default_rng(2).integers(0, 60_000, (3, 4, 5))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32", "float64"])
@pytest.mark.parametrize("options", [{}, {"byteorder": ">"}, {"bigtiff": True}, {"rowsperstrip": 1}])
def test_many_pages(tmp_path, dtype, options):
    stack = (STACK % 256).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack", **options)
    np.testing.assert_array_equal(read_tiff(tmp_path / "a.tif").values, stack)


def test_pages_of_pillow(tmp_path):
    pages = [Image.fromarray(page.astype(np.float32)) for page in STACK]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    np.testing.assert_array_equal(read_tiff(tmp_path / "a.tif").values, STACK)


def test_folder_in_order_of_numbers(tmp_path):
    for number, page in zip((9, 10, 100), STACK, strict=True):
        tifffile.imwrite(tmp_path / f"view_{number}.TIFF", page.astype(np.uint16))
    (tmp_path / "notes.txt").write_text("hello")
    np.testing.assert_array_equal(read_tiff(tmp_path).values, STACK)
    tifffile.imwrite(tmp_path / "view_101.tif", STACK[0, :3].astype(np.uint16))
    with pytest.raises(SinogramError, match=r"view_101.tif has pages of shape \(3, 5\); expected \(4, 5\)"):
        read_tiff(tmp_path)


def test_folder_of_stacks(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", STACK.astype(np.uint16), photometric="minisblack")
    with pytest.raises(SinogramError, match="has 3 pages; expected one a file"):
        read_tiff(tmp_path)
    (tmp_path / "a.tif").unlink()
    with pytest.raises(SinogramError, match="holds 0 TIFF files"):
        read_tiff(tmp_path)


def write(path, **options):
    tifffile.imwrite(path, STACK.astype(np.uint16), photometric="minisblack", **options)


def claim(path, tag, value):
    """Another number in the first page's tag."""
    with tifffile.TiffFile(path) as file:
        place = file.pages[0].tags[tag].valueoffset
    content = bytearray(path.read_bytes())
    content[place : place + 2] = struct.pack("<H", value)
    path.write_bytes(content)


def absurd(path):
    write(path)
    for tag in ("ImageWidth", "ImageLength"):
        claim(path, tag, 60_000)


def ring(path):
    """A page that names itself as the next one."""
    tifffile.imwrite(path, STACK[0].astype(np.uint16))
    content = bytearray(path.read_bytes())
    (first,) = struct.unpack("<I", content[4:8])
    (n_tags,) = struct.unpack("<H", content[first : first + 2])
    end = first + 2 + 12 * n_tags
    content[end : end + 4] = content[4:8]
    path.write_bytes(content)


REFUSED = {
    "compressed": (lambda path: write(path, compression="zlib"), "compressed or tiled"),
    "tiled": (lambda path: write(path, tile=(16, 16)), "compressed or tiled"),
    "colour": (lambda path: tifffile.imwrite(path, np.zeros((4, 5, 3), "u1"), photometric="rgb"), "in colour"),
    "complex": (lambda path: tifffile.imwrite(path, np.zeros((4, 5), complex)), "odd numbers"),
    "absurd size": (absurd, r"declares pages of 7,200,000,000 bytes in a file of [\d,]+"),
    "cut short": (lambda path: [write(path), path.write_bytes(path.read_bytes()[:-30])], "declares|no sound TIFF"),
    "only a start": (lambda path: path.write_bytes(b"II*\0"), "no sound TIFF"),
    "no TIFF": (lambda path: path.write_bytes(b"hello world"), "no sound TIFF"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(tmp_path, case):
    make, message = REFUSED[case]
    path = tmp_path / "a.tif"
    make(path)
    with pytest.raises(SinogramError, match=message) as caught:
        read_tiff(path)
    assert str(caught.value).startswith(str(path))


def test_endless_pages(tmp_path):
    ring(tmp_path / "a.tif")
    with pytest.raises(SinogramError, match="declares more pages than it holds"):
        read_tiff(tmp_path / "a.tif")


def test_many_pages_of_the_same_values(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((300, 400), np.float32))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        first, end = file.pages[0].offset, file.pages[0].offset + 2 + 12 * len(file.pages[0].tags)
    content = bytearray((tmp_path / "a.tif").read_bytes())
    page = content[first:end]
    for _ in range(20):  # copies of its tags, each with the place of the next
        content[end : end + 4] = struct.pack("<I", len(content))
        content += page + bytes(4)
        end = len(content) - 4
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(SinogramError, match="declares more pages than it holds"):
        read_tiff(tmp_path / "a.tif")


def test_two_shapes(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as out:
        for page in (STACK[0], STACK[0, :2]):
            out.write(page.astype(np.uint16))
    with pytest.raises(SinogramError, match="pages of several shapes"):
        read_tiff(tmp_path / "a.tif")


def test_nothing_on_the_terminal(tmp_path):
    """The library logs what is wrong with a file; a user gets one line of ours."""
    REFUSED["cut short"][0](tmp_path / "a.tif")
    code = f"""
from pathlib import Path
from ctresample.data_tools.importers.tiff import read_tiff
from ctresample.errors import SinogramError
try:
    read_tiff(Path({str(tmp_path / "a.tif")!r}))
except SinogramError:
    pass
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
