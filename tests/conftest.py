"""Shared fixtures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Timing is no property of an input on a shared machine.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The source tree."""
    return ROOT


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real recordings; tests skip where it is missing."""
    path = Path(os.environ.get("GILJABI_DATA", ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"no real recordings at {path}; set GILJABI_DATA")
    return path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`make properties`: the property tests alone, each with GILJABI_FUZZ times as many examples."""
    factor = int(os.environ.get("GILJABI_FUZZ", "0"))
    if not factor:
        return
    items[:] = [item for item in items if getattr(getattr(item, "obj", None), "is_hypothesis_test", False)]
    for item in items:
        function = getattr(item.obj, "__func__", item.obj)  # type: ignore[attr-defined]
        own = getattr(function, "_hypothesis_internal_use_settings", None) or settings()
        function._hypothesis_internal_use_settings = settings(own, max_examples=factor * own.max_examples)
