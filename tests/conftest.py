"""What all tests share: a home of their own, one thread, and small random models."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing here may reach for a hub
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest
import torch
from hypothesis import settings

from tests import typecheck

typecheck.install()


def pytest_collection_modifyitems(items):
    """Skip what needs a GPU where there is none."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="torch finds no CUDA device"))


# Machines differ and are shared; and the first call of a compiled loop loads it.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Give every test a data folder of its own."""
    path = tmp_path / "home"
    monkeypatch.setenv("PAHQ_HOME", str(path))
    return path


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Runs that take every core by default take one: tests run side by side."""
    from pahq.runs import pipeline

    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pipeline, "available_cores", lambda: 1)
        yield
