"""Random training images from a folder tree of CT slices: balanced over patients, augmented, reproducible."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from ctresample.data_tools.dicom_reader import iter_ct_slices
from ctresample.errors import DicomError, UsageError
from ctresample.regrid import to_square_grid
from ctresample.units import AIR_HU

PATIENT_ID = "00100020"
NATIVE_SIZE = 512
"""Slices are kept on this matrix; training images are made from it at half of it or smaller."""


@dataclass(frozen=True)
class TrainingSlices:
    """CT slices in memory.

    Attributes:
        hu: int16 ``[n, 512, 512]``, at least -1000 HU (what lies outside the field of view reads as air).
        patients: a number a slice, the same for slices of one patient.
        patient_hashes: of the patients' identifiers, to tell that two sets share none.
        digest: identifies the slices, for provenance.
    """

    hu: NDArray[np.int16]
    patients: NDArray[np.int64]
    patient_hashes: tuple[str, ...]
    digest: str

    @classmethod
    def read(cls, root: Path, on_warning: Callable[[str], None] | None = None) -> TrainingSlices:
        """Every axial CT slice under ``root``; patients are told apart by PatientID, which is not kept."""
        images, names, digest = [], [], hashlib.sha256()
        for volume in iter_ct_slices(root, on_warning=on_warning):
            hu = np.clip(np.rint(to_square_grid(volume, NATIVE_SIZE).hu[0]), AIR_HU, 32767).astype(np.int16)
            digest.update(hu.tobytes())
            images.append(hu)
            identifier = json.dumps(volume.headers[0].get(PATIENT_ID, {}).get("Value", ""))
            names.append(hashlib.sha256(identifier.encode()).hexdigest())
        if not images:
            raise DicomError(f"{root} holds no axial CT slice to train on")
        hashes, patients = np.unique(names, return_inverse=True)
        return cls(np.stack(images), patients.astype(np.int64), tuple(hashes.tolist()), digest.hexdigest()[:16])

    @property
    def summary(self) -> str:
        return f"{len(self.hu)} slices of {len(self.patient_hashes)} patients"

    def check_apart(self, held_out: TrainingSlices) -> None:
        """`UsageError` if a patient is in both sets: validation would then measure memory."""
        shared = set(self.patient_hashes) & set(held_out.patient_hashes)
        if shared:
            raise UsageError(
                f"{len(shared)} patients are in both the training and the validation folder; move their slices to one"
            )

    def whole(self, size: int) -> torch.Tensor:
        """All slices unchanged on ``size`` x ``size`` pixels, ``(n, 1, size, size)`` in HU."""
        x = torch.from_numpy(self.hu.astype(np.float32))[:, None]
        return F.adaptive_avg_pool2d(x, size)

    def draw(self, generator: np.random.Generator, size: int, whole_share: float) -> torch.Tensor:
        """One augmented image ``(1, size, size)`` in HU.

        A patient is drawn with the square root of its number of slices, so that no scan dominates; then one of its
        slices, mirrored half of the time, turned by up to 10 degrees, scaled by up to 20 % and shifted: as a whole,
        or as a crop at the scanner's own pixel size.

        Args:
            generator: of all randomness.
            size: rows and columns wanted.
            whole_share: share of whole slices; the rest are crops.
        """
        numbers, counts = np.unique(self.patients, return_counts=True)
        share = np.sqrt(counts) / np.sqrt(counts).sum()
        patient = generator.choice(numbers, p=share)
        index = generator.choice(np.flatnonzero(self.patients == patient))
        hu = torch.from_numpy(self.hu[index].astype(np.float32))[None, None]
        whole = generator.random() < whole_share
        scale = math.exp(generator.uniform(-0.2, 0.15)) * (1.0 if whole else size / NATIVE_SIZE)
        reach = 0.06 if whole else 0.4
        angle = math.radians(generator.uniform(-10, 10))
        mirror = 1.0 if generator.random() < 0.5 else -1.0
        shift_x, shift_y = generator.uniform(-reach, reach, 2)
        cos, sin = scale * math.cos(angle), scale * math.sin(angle)
        theta = torch.tensor([[[mirror * cos, -sin, shift_x], [mirror * sin, cos, shift_y]]], dtype=torch.float32)
        # whole slices are drawn at full resolution and averaged down, as the images they stand for would be
        n = NATIVE_SIZE if whole else size
        grid = F.affine_grid(theta, [1, 1, n, n], align_corners=False)
        mode = "bilinear" if whole else "bicubic"
        drawn = F.grid_sample(hu - AIR_HU, grid, mode=mode, align_corners=False) + AIR_HU
        return F.adaptive_avg_pool2d(drawn, size)[0]

    def batch(self, seed: Sequence[int], n: int, size: int, whole_share: float) -> torch.Tensor:
        """``(n, 1, size, size)`` images; the same ``seed`` gives the same images."""
        return torch.stack([self.draw(np.random.default_rng([*seed, k]), size, whole_share) for k in range(n)])
