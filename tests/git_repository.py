"""Repositories for the tests of the gate."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


class Repository:
    """A new git repository, with nothing of the user's own configuration."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str, **variables: str) -> str:
        """What git prints."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, **variables}
        settings = ("user.name=a", "user.email=a@b", "protocol.file.allow=always", "commit.gpgsign=false")
        command = ["git", *(word for one in settings for word in ("-c", one)), "-C", str(self.path), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def write(self, **contents: str) -> None:
        """Write files; two underscores are a slash."""
        for name, content in contents.items():
            path = self.path / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    def commit(self, **contents: str) -> str:
        """Write files and commit all that there is; returns the commit."""
        self.write(**contents)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "a commit")
        return self.git("rev-parse", "HEAD")
