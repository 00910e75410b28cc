"""The calibration step as a test, which is copied into a folder of its own to be run there.

``PERFSUITE_PLANT_ELEMENTS`` adds one operator over so many elements: a slowdown whose size and whose culprit are known.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

from perfsuite.capture.calibration.step import PLANT, build


@pytest.mark.profiled(name="calibration step")
def test_calibration_step(profiled: Any) -> None:
    """The step."""
    profiled.step(*build(int(os.environ.get(PLANT, "0"))))
