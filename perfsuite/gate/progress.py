"""What a gate says while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from perfsuite.gate.draft import Draft
from perfsuite.gate.judge import in_words


class Progress(Protocol):
    """Whoever is told."""

    def __call__(self, text: str) -> object:
        """What runs now, until the next text."""

    def milestone(self, text: str) -> object:
        """What has begun or has been decided, which stays so."""


class Silence:
    """Tells nobody."""

    def __call__(self, text: str) -> None:
        """Say nothing."""

    def milestone(self, text: str) -> None:
        """Say nothing."""


class Told:
    """Milestones, each told once: that a benchmark begins, and what became of it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._begun: set[str] = set()
        self._done: set[str] = set()

    def begins(self, draft: Draft) -> None:
        """It comes to be measured."""
        if draft.name not in self._begun:
            self._begun.add(draft.name)
            self._progress.milestone(f"{draft.name}: begins")

    def decided(self, drafts: Sequence[Draft]) -> None:
        """Some of them may have their verdicts by now."""
        for draft in drafts:
            if draft.finished and draft.name not in self._done:
                self._done.add(draft.name)
                self._progress.milestone(f"{draft.name}: {_came_to(draft)} ({len(self._done)} of {len(drafts)} done)")


def so_far(draft: Draft) -> str:
    """What times say before they are enough, as the end of a line; an empty text before two pairs."""
    judgement = draft.judgement
    return f" · so far {in_words(judgement)}" if judgement is not None and judgement.interval is not None else ""


def _came_to(draft: Draft) -> str:
    if draft.settled is not None:
        return f"{draft.settled}: {draft.reasons[-1]}"
    if draft.judgement is None:
        return "inconclusive, without any times" if draft.timed else "its census is taken"
    return f"by time {draft.judgement.verdict}, {in_words(draft.judgement)}, in {draft.seconds:.0f} s"
