"""What holds for every test."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import ModuleType

import pytest
from hypothesis import settings

# set before anything imports huggingface_hub: a test that reaches for the network fails at once
os.environ["HF_HUB_OFFLINE"] = "1"

# a busy machine is no bug
settings.register_profile("ctresample", deadline=None)
settings.load_profile("ctresample")


def pytest_collection_modifyitems(items):
    """Skip tests marked cuda where there is no CUDA device."""
    marked = [item for item in items if item.get_closest_marker("cuda")]
    if not marked:
        return  # torch takes seconds to import
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(scope="session")
def phantoms() -> ModuleType:
    """Objects with known images and sinograms, without the import of torch where a test is not run."""
    from ctresample.testing import phantoms

    return phantoms


@pytest.fixture(scope="session")
def toy_prior() -> ModuleType:
    """Small priors."""
    from ctresample.testing import priors

    return priors


@pytest.fixture(scope="session")
def in_one_thread() -> Callable[[], AbstractContextManager[None]]:
    """Work that is too small for more threads of torch than one: they would only wait for each other."""

    @contextmanager
    def one_thread() -> Iterator[None]:
        import torch

        before = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(before)

    return one_thread


def _complaints(*command: object) -> list[str]:
    """The lines of a DICOM checker that start with Error or Warning; its exit status says too little."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(("Error", "Warning"))]


@pytest.fixture(scope="session")
def dicom_complaints() -> Callable[..., list[str]]:
    """Ask dciodvfy or dcentvfy: ``dicom_complaints("dciodvfy", "-new", path)``."""
    return _complaints
