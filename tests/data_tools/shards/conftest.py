"""Slices of a few patients, and shards made of them."""

import hashlib
import json
from types import SimpleNamespace

import numpy as np
import pytest

from ctresample.data_tools.shards.write import write_dataset


def _hash_of(patient_id):
    return hashlib.sha256(json.dumps([patient_id]).encode()).hexdigest()


@pytest.fixture(scope="package")
def make_slice(dicom):
    """Write one slice of a patient; ``hu`` of any shape, everything else as wished."""

    def make(folder, patient, z, hu, **elements):
        series = "".join(str(ord(letter)) for letter in patient)
        ds = dicom.ct_dataset(np.asarray(hu) + 1024, (0, 0, 2.5 * z), spacing=(0.8, 0.8), series=series)
        ds.PatientID = patient
        for name, value in elements.items():
            setattr(ds, name, value)
        return dicom.save(ds, folder / f"{patient}-{z}.dcm")

    return make


@pytest.fixture(scope="session")
def hash_of():
    """What stands in a shard for a patient."""
    return _hash_of


def _body(seed, shape=(512, 512)):
    """Air, fat, water, bone, a metal pixel and undeclared padding."""
    generator = np.random.default_rng(seed)
    hu = np.resize([-1000, -100, 40, 900], shape) + generator.integers(-20, 20, shape)
    hu[0] = -3024
    hu[-1, -1] = 3071
    return hu


@pytest.fixture(scope="session")
def body():
    return _body


@pytest.fixture(scope="package")
def made(tmp_path_factory, make_slice):
    """Three patients of 1, 2 and 3 slices in shards of at most two."""
    folder = tmp_path_factory.mktemp("dataset")
    truth = {}
    for number, patient in enumerate(("Ann-4711", "Bob-4712", "Cyd-4713"), start=1):
        truth[_hash_of(patient)] = [_body(10 * number + z) for z in range(number)]
        for z, hu in enumerate(truth[_hash_of(patient)]):
            make_slice(folder / "dicom" / patient, patient, z, hu)
    (folder / "dicom" / "notes.txt").write_text("no CT")
    out = folder / "shards"
    out.mkdir()
    steps = []
    manifest, rejected = write_dataset(
        [folder / "dicom"],
        out,
        licence="CC BY 4.0, Universität",
        validation_share=0.4,
        slices_per_shard=2,
        progress=lambda fraction, step: steps.append(fraction),
    )
    return SimpleNamespace(
        dicom=folder / "dicom", out=out, truth=truth, manifest=manifest, rejected=rejected, steps=steps
    )


@pytest.fixture
def copy(made, tmp_path):
    """A copy of the shards to damage."""
    for path in made.out.rglob("*.*"):
        target = tmp_path / path.relative_to(made.out)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(path.read_bytes())
    return tmp_path
