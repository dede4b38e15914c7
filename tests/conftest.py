"""What every test may rely on: skips that say why, and property tests that can be repeated."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Machines differ in speed, so that no example is failed for being slow; the timeout catches a hang.
settings.register_profile(
    "feasible", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("feasible")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Give the folder with the public data sets; a test that asks for it also carries `data`."""
    return Path(os.environ["FEASIBLE_DATA_DIR"])


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, with the reason, what this machine cannot run."""
    if item.get_closest_marker("data"):
        folder = os.environ.get("FEASIBLE_DATA_DIR")
        if not folder:
            pytest.skip("FEASIBLE_DATA_DIR is not set: it names a local copy of the public data")
        if not Path(folder).is_dir():
            pytest.fail(f"FEASIBLE_DATA_DIR names {folder!r}, which is not a folder")
    if item.get_closest_marker("llm") and importlib.util.find_spec("xllamacpp") is None:
        pytest.skip('the extra `llm` is not installed: pip install "feasible[llm]", or make llm')
