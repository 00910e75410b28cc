"""Runs the tutorial and writes what its commands print into it: ``python docs/record_tutorial.py``.

In ``tutorial.md`` a block that begins with ``$`` is a command and what it printed, which is recorded; a ``sh`` block is
run, except where it installs something; a ``python`` block whose first line names a file is that file, and a ``diff``
block changes it.  The page shows times: record them on a machine that does nothing else.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PAGE = Path(__file__).parent / "tutorial.md"
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INSTALLS = ("pip ", "python3 -m venv", ". venv")


def replay(page: str, folder: Path) -> str:
    """The page with its outputs as they are now; everything in it happens in ``folder``.

    Raises:
        subprocess.CalledProcessError: a command failed; what it printed is in the exception.
        ValueError: a diff does not fit the file.
    """
    target = folder / "none"

    def block(match: re.Match[str]) -> str:
        nonlocal target
        language, text = match.groups()
        if language == "python" and text.startswith("# "):
            target = folder / text.splitlines()[0].removeprefix("# ")
            target.write_text(text)
        elif language == "diff":
            target.write_text(patched(target.read_text(), text))
        elif language == "sh":
            for command in text.splitlines():
                if not command.startswith(_INSTALLS):
                    run(command, folder)
        elif text.startswith("$ "):
            command = text.splitlines()[0].removeprefix("$ ")
            return f"```\n$ {command}\n{run(command, folder)}```"
        return match.group()

    return _BLOCK.sub(block, page)


def patched(text: str, diff: str) -> str:
    """``text`` with one hunk applied, which has no header.

    Raises:
        ValueError: what it replaces is not there, or more than once.
    """
    lines = diff.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if line[0] in " -")
    after = "".join(line[1:] for line in lines if line[0] in " +")
    if text.count(before) != 1:
        raise ValueError(f"the diff's context is {text.count(before)} times in the file:\n{before}")
    return text.replace(before, after)


def run(command: str, folder: Path) -> str:
    """What ``command`` prints into a pipe, 80 columns wide."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COLUMNS": "80"}
    done = subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        PAGE.write_text(replay(PAGE.read_text(), Path(scratch)))
