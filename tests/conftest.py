"""What holds for every test."""

import os

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
