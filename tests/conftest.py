"""Tests that need the real Intel Extension for PyTorch are skipped where it is not installed, and it is said."""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest

# As the plugin does when it records: oneDNN reads it when it first prints, and one test's first is every test's.
os.environ.setdefault("ONEDNN_VERBOSE_TIMESTAMP", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if find_spec("intel_extension_for_pytorch") is None:
        skip = pytest.mark.skip(reason="NOT TESTED: IPEX is not installed in this environment; run make test-ipex")
        for item in items:
            if item.get_closest_marker("ipex"):
                item.add_marker(skip)
