"""A repository that stands in for the extension's own: a commit for each release, tagged and built for the same torch.

The real one is large and archived, and has no place for what comes after it: releases of PyTorch alone, to which users
of the extension migrate.  Here they follow in one line, so that one night measures all of them in turns; two histories
could only be compared from night to night.  Tags and ``dependency_version.json`` are those of the project (of the file
the two versions that are asked for), dates are those of the tagged commits, and of the others only put them after
these.  The same commits come out each time.

``python -m benchmarks.releases.stand_in [PATH]``
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

#: Where ``benchmarks/releases/asv.conf.json`` looks for it.
REPOSITORY = Path(__file__).resolve().parents[2] / ".asv" / "releases" / "repository"
DEPENDENCIES = "dependency_version.json"


@dataclass(frozen=True)
class Release:
    """A commit of the stand-in."""

    tag: str
    date: str
    #: The torch and the torchvision that the extension was built for; None for PyTorch alone.
    built_for: tuple[str, str] | None = None


RELEASES = (
    Release("v2.6.0+cpu", "2025-02-17", ("2.6.0+cpu", "0.21.0+cpu")),
    Release("v2.7.0+cpu", "2025-04-25", ("2.7.0+cpu", "0.22.0+cpu")),
    Release("v2.8.0+cpu", "2025-08-08", ("2.8.0+cpu", "0.23.0+cpu")),
    # What ``releases`` of the configuration says is installed.
    Release("torch-2.8.0", "2025-08-13"),
    Release("torch-2.13.0", "2026-08-01"),
)


def make_repository(path: Path, releases: Sequence[Release] = RELEASES) -> None:
    """The repository, in a folder that must not be there yet.

    Raises:
        FileExistsError: it is there.
        subprocess.CalledProcessError: git cannot make it.
    """
    path.mkdir(parents=True)
    git(path, "init", "--quiet", "--initial-branch=main")
    for release in releases:
        file = path / DEPENDENCIES
        if release.built_for is not None:
            names = ("pytorch", "torchvision")
            versions = {name: {"version": one} for name, one in zip(names, release.built_for, strict=True)}
            file.write_text(json.dumps(versions, indent=2) + "\n")
        else:
            file.unlink(missing_ok=True)
        commit_all(path, release.tag, release.date, release.tag)


def commit_all(path: Path, message: str, date: str, tag: str | None = None) -> None:
    """A commit of what the folder has in it now, on a day (``2025-02-17``), with a tag or without.

    Raises:
        subprocess.CalledProcessError: git cannot make it.
    """
    git(path, "add", "--all")
    git(path, "commit", "--quiet", "--allow-empty", f"--message={message}", date=date)
    if tag is not None:
        git(path, "tag", tag)


def git(path: Path, *arguments: str, date: str | None = None) -> str:
    """What git prints; without the user's settings, which would make other commits of it.

    Raises:
        subprocess.CalledProcessError: git fails.
    """
    variables = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    variables |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    if date is not None:
        variables |= {"GIT_AUTHOR_DATE": f"{date}T12:00:00+00:00", "GIT_COMMITTER_DATE": f"{date}T12:00:00+00:00"}
    who = ("-c", "user.name=perfsuite", "-c", "user.email=perfsuite@localhost")
    command = ["git", *who, "-C", str(path), *arguments]
    return subprocess.run(command, env=variables, check=True, stdout=subprocess.PIPE, text=True).stdout


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("path", nargs="?", type=Path, default=REPOSITORY, help="where to; default: .asv/releases")
    path = parser.parse_args(arguments).path
    if path.exists():
        print(f"{path} is there already: remove it to make it anew", file=sys.stderr)
        return 2
    make_repository(path)
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
