"""Why commits could not be measured: a file for each, which is gone as soon as the commit can be installed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone

from perfsuite.history.settings import HistorySettings
from perfsuite.store.files import write_atomically


def note_failure(settings: HistorySettings, commit: str, reason: str) -> None:
    """Keep why a commit cannot be measured.

    Args:
        settings: where.
        commit: all its digits.
        reason: one line.

    Raises:
        OSError: it cannot be written.
    """
    folder = settings.env_dir / "failures"
    folder.mkdir(parents=True, exist_ok=True)
    at = datetime.now(timezone.utc).isoformat(timespec="seconds")
    write_atomically(folder / f"{commit}.json", json.dumps({"reason": reason, "at": at}, indent=1).encode())


def forget_failure(settings: HistorySettings, commit: str) -> None:
    """Nothing is wrong with a commit any more."""
    (settings.env_dir / "failures" / f"{commit}.json").unlink(missing_ok=True)


def failures(settings: HistorySettings) -> Mapping[str, str]:
    """Commit → why it could not be measured the last time; what cannot be read is left out."""
    found = {}
    for path in sorted((settings.env_dir / "failures").glob("*.json")):
        try:
            reason = json.loads(path.read_bytes())["reason"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        found[path.stem] = str(reason)
    return found
