"""Compare a reconstruction with the series that its sinogram was simulated from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctresample.data_tools.ct_source import read_ct_volume, volume_files
from ctresample.data_tools.dicom.discovery import find_series, only_series
from ctresample.data_tools.dicom.even import with_even_steps
from ctresample.data_tools.dicom.headers import SliceHeader
from ctresample.data_tools.dicom.series import FoundSeries, Warn, load_series
from ctresample.data_tools.volume_source import read_volume_file
from ctresample.errors import UsageError
from ctresample.metrics import DATA_RANGE_HU, flicker, psnr_db, rmse_hu, ssim
from ctresample.paths import StrPath, as_path
from ctresample.pipelines.scan.measure import scanned
from ctresample.sinogram import Sinogram
from ctresample.volume import Volume

SAME_PLACE_MM = 0.1


def read_source(
    place: StrPath, sinogram: Sinogram, on_warning: Warn | None = None, series: str | None = None
) -> Volume:
    """The series that a sinogram was simulated from, out of a place that may hold others.

    Its series is known from the sinogram's headers, or else named. Uneven steps and a tilt are taken as
    they are, for the scan must have been made with them; `truth_for` compares the places.

    Raises:
        DicomError: as `read_ct_series`.
    """
    place = as_path(place, "place")
    files = volume_files(place)
    if place.is_file() and files:
        return read_volume_file(place, on_warning)
    discovery = find_series(place, any_class=True)
    if files and not discovery.series:
        return read_ct_volume(place, on_warning=on_warning)
    scanned_ones = _scanned(discovery.series, sinogram)
    if len(scanned_ones) != 1 or scanned_ones[0].n_slices < min(sinogram.n_slices, len(sinogram.headers)):
        joined = find_series(place, one_series=True, any_class=True)
        if len(_scanned(joined.series, sinogram)) == 1:  # as it must have been read for the scan
            discovery, scanned_ones = joined, _scanned(joined.series, sinogram)
    found = only_series(replace(discovery, series=scanned_ones or discovery.series), place, series)
    volume = load_series(found, allow_gaps=True, resample_tilt=True, on_warning=on_warning)
    if sinogram.slice_offsets_mm is None and volume.slice_offsets_mm is not None and sinogram.n_slices > 1:
        volume, _ = with_even_steps(volume, float(np.linalg.norm(sinogram.affine[:3, 2])))
    return volume


def _scanned(series: Sequence[FoundSeries], sinogram: Sinogram) -> tuple[FoundSeries, ...]:
    """The series that hold the images of a sinogram's headers; else those of the same series UID."""
    images, uids = set(), set()
    for header in sinogram.headers:
        instance, frame, uid = (_values(header, tag) for tag in ("00080018", "00081160", "0020000E"))
        images.add((*instance, *frame))
        uids.update(uid)

    def name(header: SliceHeader) -> tuple[object, ...]:
        return (header.instance_uid,) if header.frame is None else (header.instance_uid, header.frame + 1)

    holding = tuple(found for found in series if any(name(header) in images for header in found.headers))
    return holding or tuple(found for found in series if found.series_uid in uids)


def truth_for(sinogram: Sinogram, source: Volume) -> NDArray[np.float32]:
    """The source on the sinogram's grid, ``[slice, y, x]`` in HU: the slices that lie where the sinogram's do.

    Values below -1000 HU become air, as in the simulated scan.

    Raises:
        UsageError: the source is another image: another field of view, or no slice at a position of the sinogram.
    """
    rows, columns = sinogram.grid.shape[-2:]
    if rows != columns:
        raise UsageError(f"the sinogram's images have {rows} x {columns} pixels; a comparison needs square images")
    truth = scanned(source, rows)
    if not np.allclose(truth.affine[:3, :2], sinogram.affine[:3, :2], atol=1e-3):
        raise UsageError(
            f"the series to compare with gives pixels of {truth.spacing_mm[0]:.4g} mm, the sinogram has "
            f"{sinogram.grid.pixel_size_mm:.4g} mm or another orientation; give the series it was simulated from"
        )
    places = truth.slice_origins_mm
    chosen = []
    for k, place in enumerate(sinogram.slice_origins_mm):
        distance_mm = np.linalg.norm(places - place, axis=1)
        nearest = int(distance_mm.argmin())
        if distance_mm[nearest] > SAME_PLACE_MM:
            raise UsageError(
                f"slice {k + 1} of the sinogram lies {distance_mm[nearest]:.1f} mm from the nearest slice of the "
                "series to compare with; give the series it was simulated from"
            )
        chosen.append(nearest)
    return truth.hu[chosen]


def compare(image_hu: NDArray[np.float32], truth_hu: NDArray[np.float32]) -> dict[str, Any]:
    """PSNR, SSIM and RMSE of each slice and their means, of several slices their flicker, JSON-able.

    Args:
        image_hu: ``[slice, y, x]``.
        truth_hu: the same shape.
    """
    slices = [
        {
            "psnr_db": psnr_db(image, truth, data_range_hu=DATA_RANGE_HU),
            "ssim": ssim(image, truth, data_range_hu=DATA_RANGE_HU),
            "rmse_hu": rmse_hu(image, truth),
        }
        for image, truth in zip(image_hu, truth_hu, strict=True)
    ]
    mean = {name: float(np.mean([one[name] for one in slices])) for name in slices[0]}
    apart = {"flicker": flicker(image_hu, truth_hu)} if len(slices) > 1 else {}
    return {"data_range_hu": DATA_RANGE_HU, "mean": mean, **apart, "slices": slices}


def _values(header: Mapping[str, object], tag: str) -> list[object]:
    element = header.get(tag)
    return element.get("Value", []) if isinstance(element, dict) else []
