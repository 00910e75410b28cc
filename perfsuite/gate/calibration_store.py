"""The calibration of this machine on disk: ``DIR/calibration.json``, from which the gate takes its default budget."""

from __future__ import annotations

import json
import os
from pathlib import Path

from perfsuite.codec import to_json
from perfsuite.environment import gather_environment
from perfsuite.errors import StoreError
from perfsuite.gate.calibration import FORMAT, Calibration
from perfsuite.gate.model import Policy
from perfsuite.records import Environment
from perfsuite.store.files import read_record, reason, write_atomically

NAME = "calibration.json"
_AGAIN = "make a new one with: perfsuite calibrate"
#: Another of these is another machine, or another part of it.
_MACHINE = ("cpu_model", "usable_cpus")


def check_folder(directory: Path) -> None:
    """Make sure that a calibration can be kept there, before minutes are spent on it.

    Raises:
        StoreError: it cannot.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{directory}: cannot be a folder: {reason(error)}") from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise StoreError(f"{directory}: cannot be written to")


def save_calibration(directory: Path, calibration: Calibration) -> Path:
    """Write it so that a reader sees the old one or all of the new one; returns the file.

    Raises:
        StoreError: it cannot be written.
    """
    path = directory / NAME
    text = json.dumps({"format": FORMAT, **to_json(calibration)}, indent=1, allow_nan=False) + "\n"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.encode())
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {reason(error)}") from error
    return path


def load_calibration(directory: Path) -> Calibration | None:
    """The calibration in this folder; None if there is none.

    Raises:
        StoreError: it cannot be read; the message says how to make a new one.
    """
    return read_record(directory / NAME, Calibration, FORMAT, _AGAIN)


def budget_of(directory: Path, threshold: float, confidence: float) -> float | None:
    """The seconds a benchmark that the calibration of this machine asks for at this threshold and confidence.

    None without one, and where the default suffices: less would save nothing, since a gate stops as soon as it knows,
    and would be too little where several benchmarks are judged at once.

    Raises:
        StoreError: as :func:`load_calibration`.
    """
    calibration = load_calibration(directory)
    if calibration is None or not _is_here(calibration.environment):
        return None
    if (calibration.policy.threshold, calibration.policy.confidence) != (threshold, confidence):
        return None
    seconds = calibration.recommended_seconds
    return seconds if seconds is not None and seconds > Policy().seconds else None


def _is_here(environment: Environment | None) -> bool:
    here = gather_environment()
    return environment is not None and all(getattr(environment, key) == getattr(here, key) for key in _MACHINE)
