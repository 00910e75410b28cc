"""What workers say, as records: fields are the keys of :mod:`perfsuite.protocol`'s messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from perfsuite.records import Environment, Profile
from perfsuite.store.checks import check_profile


@dataclass(frozen=True)
class Listed:
    """A benchmark that a side has."""

    nodeid: str
    name: str
    group: str | None
    #: Per cent, as its marker has it.
    threshold: float | None
    #: The absolute path of its file, within the side's tree.
    path: str = ""
    #: Whether its marker wants the passes that a census is from; it does where it names none.
    census: bool = True

    @property
    def test(self) -> str:
        """Its node id behind the file."""
        return self.nodeid.partition("::")[2]

    @property
    def place(self) -> str:
        """Where it is, whatever pytest calls it."""
        return f"{self.path}::{self.test}"


@dataclass(frozen=True)
class Uncollected:
    """A file, a class in one or a folder that pytest could not collect, and why."""

    nodeid: str
    #: The absolute path of the file or folder.
    path: str
    why: str


@dataclass(frozen=True)
class CollectedMessage:
    """``collected``: what a side has."""

    benchmarks: tuple[Listed, ...]
    errors: tuple[Uncollected, ...]


@dataclass(frozen=True)
class WaitingMessage:
    """``waiting``: which benchmark comes next."""

    nodeid: str


@dataclass(frozen=True)
class ReadyMessage:
    """``ready``: a benchmark is built and warm."""

    nodeid: str
    #: What each call of the warm-up took, and whether the last ones were alike.
    warm_up_ns: tuple[float, ...]
    settled: bool
    #: Whether several calls can be one timed step: nothing is set up between them.
    repeatable: bool
    #: Whether the test wants its steps cold, which a gate cannot have.
    cold: bool
    #: Real path → SHA-256.
    loaded: Mapping[str, str]
    #: Module → real path.
    elsewhere: Mapping[str, str]
    #: Real paths of compiled extensions that are of no side's tree, no environment and not of the system.
    extensions: tuple[str, ...]


@dataclass(frozen=True)
class StepsMessage:
    """``steps``: what each step of a turn took."""

    ns: tuple[float, ...]
    rss_bytes: int


@dataclass(frozen=True)
class ProfileMessage:
    """``profile``: a few steps, profiled."""

    profile: Profile

    def __post_init__(self) -> None:
        """Refuse one that nobody could read on.

        Raises:
            StoreError: it cannot be a profile.
        """
        check_profile(self.profile, "'profile'.profile")


@dataclass(frozen=True)
class EnvironmentMessage:
    """``environment``: what the worker runs on."""

    environment: Environment


@dataclass(frozen=True)
class EndedMessage:
    """``ended``: how the benchmark ended; ``outcome`` is pytest's."""

    outcome: str
    why: str
    nodeid: str = ""
