"""What a set of shards holds, as text."""

from __future__ import annotations

from pathlib import Path

from ctresample.data_tools.shards.manifest import Manifest
from ctresample.data_tools.shards.source import Rejections
from ctresample.units import AIR_HU

_BAR_WIDTH = 40


def summary_lines(manifest: Manifest, rejected: Rejections, folder: Path) -> list[str]:
    """Splits, tissues as bars, and files left out, with their names but no patient data."""
    entries = manifest.splits.values()
    lines = [f"{folder}: {sum(e.slices for e in entries)} slices of {sum(e.patients for e in entries)} patients"]
    for name, entry in manifest.splits.items():
        megabytes = sum(shard.size_bytes for shard in entry.shards) / 1e6
        shards = f"{len(entry.shards)} shard{'s'[: len(entry.shards) != 1]}"
        lines.append(f"  {name:5} {entry.slices:7} slices of {entry.patients} patients, {shards}, {megabytes:.3g} MB")
    lines.append("HU, share of the pixels:")
    for tissue, share in manifest.hu_share.items():
        lines.append(f"  {tissue:11} {share:7.2%}  {'#' * round(share * _BAR_WIDTH)}".rstrip())
    if manifest.hu_share["below air"]:
        lines.append(f"  what lies below air (padding, mostly) is kept as {AIR_HU:g} HU")
    lines.append(f"Left out: {len(rejected) or 'no'} file{'s'[: len(rejected) != 1]}")
    lines.extend(f"  {line}" for line in rejected.lines())
    lines.append(f"Licence: {manifest.licence or 'not stated; state it with --licence before you share the shards'}")
    return lines
