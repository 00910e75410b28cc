"""Ceilings on disk: ``DIR/machine/<fingerprint>.json``, one file for each machine, software and number of threads."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from perfsuite.ceilings import FORMAT, Ceilings, fingerprint, fingerprint_facts
from perfsuite.codec import to_json
from perfsuite.errors import StoreError
from perfsuite.records import Environment, Run
from perfsuite.store.files import read_record, reason, write_atomically

FOLDER = "machine"
REMEASURE = "measure again with: perfsuite machine --remeasure"


def ceilings_path(directory: Path, facts: Mapping[str, Any]) -> Path:
    """Where the ceilings of such a machine lie."""
    return directory / FOLDER / f"{fingerprint(facts)}.json"


def save_ceilings(directory: Path, ceilings: Ceilings) -> Path:
    """Write the ceilings so that a reader sees the old ones or all of the new ones; returns the file.

    Raises:
        StoreError: it cannot be written.
    """
    path = ceilings_path(directory, fingerprint_facts(ceilings.environment, ceilings.threads))
    text = json.dumps({"format": FORMAT, **to_json(ceilings)}, indent=1, allow_nan=False) + "\n"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        # As for runs: in a folder that holds other things, a .gitignore of "*" would hide those from git.
        if not any(directory.iterdir()):
            with contextlib.suppress(FileExistsError), open(directory / ".gitignore", "x", encoding="ascii") as file:
                file.write("*\n")
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, text.encode())
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {reason(error)}") from error
    return path


def load_ceilings(directory: Path, environment: Environment, threads: int | None) -> Ceilings | None:
    """The ceilings that were measured on this machine, with this software and so many threads; None if none were.

    Raises:
        StoreError: the file is there and cannot be read; the message says how to make a new one.
    """
    facts = fingerprint_facts(environment, threads)
    return read_record(ceilings_path(directory, facts), Ceilings, FORMAT, REMEASURE, partial(_check, facts))


def ceilings_of(run: Run, directory: Path) -> tuple[Ceilings | None, str | None]:
    """The ceilings of the machine, software and threads of the run; else None and why there are none."""
    return ceilings_for(run.environment, directory)


def ceilings_for(environment: Environment, directory: Path) -> tuple[Ceilings | None, str | None]:
    """As :func:`ceilings_of`, of what was recorded in a process."""
    threads = environment.torch_threads
    try:
        found = load_ceilings(directory, environment, threads)
    except StoreError as error:
        return None, str(error)
    if found is not None:
        return found, None
    others = differences(directory, environment, threads)
    if others:
        return None, f"those in {directory} are of another machine: {'; '.join(others)}"
    option = "" if threads is None else f" --threads {threads}"
    return None, f"measure them on the machine of the run with: perfsuite machine{option}"


def differences(directory: Path, environment: Environment, threads: int | None) -> tuple[str, ...]:
    """In what each file of ceilings that is there differs, a line each; files that cannot be read are left out."""
    wanted = fingerprint_facts(environment, threads)
    lines = []
    for path in sorted((directory / FOLDER).glob("*.json")):
        with contextlib.suppress(StoreError):
            there = read_record(path, Ceilings, FORMAT, REMEASURE)
            if there is None:  # it has just been removed
                continue
            has = fingerprint_facts(there.environment, there.threads)
            changed = [
                f"{key} {_short(has[key])} instead of {_short(wanted[key])}"
                for key in wanted
                if has[key] != wanted[key]
            ]
            lines.append(f"{path.name}: {', '.join(changed)}")
    return tuple(lines)


def _short(value: object) -> str:
    if isinstance(value, list):
        return f"{len(value)} flags" if len(value) > 2 else " ".join(map(str, value)) or "none"
    return "unknown" if value is None else str(value)


def _check(facts: Mapping[str, Any], ceilings: Ceilings) -> None:
    """Values that no measurement gives would make every share of a ceiling wrong."""
    if fingerprint_facts(ceilings.environment, ceilings.threads) != facts:
        raise StoreError("damaged, it was measured in another environment than its name says")
    rates = [rate for roof in ceilings.roofs for rate in roof.rates or (0.0,)]
    if not all(0 < value < float("inf") for value in (*rates, *ceilings.empty_operator_ns)):
        raise StoreError("damaged, a rate is not a positive number")
    if not ceilings.empty_operator_ns:
        raise StoreError("damaged, the cost of an operator is missing")
