"""A project with a history: a repository with tags and ``dependency_version.json``, and wheels made on the fly."""

from __future__ import annotations

import base64
import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from tests.git_repository import Repository


def build_wheel(
    folder: Path,
    name: str,
    version: str,
    modules: Mapping[str, str],
    requires: Sequence[str] = (),
    tag: str = "py3-none-any",
) -> Path:
    """A wheel of pure Python.

    Args:
        folder: where it goes.
        name: of the distribution.
        version: of it.
        modules: path within the wheel → text.
        requires: what it depends on.
        tag: of interpreter, ABI and platform.
    """
    stem = f"{name.replace('-', '_')}-{version}"
    about = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {one}" for one in requires),
    ]
    files = {path: text.encode() for path, text in modules.items()}
    files[f"{stem}.dist-info/METADATA"] = "\n".join([*about, ""]).encode()
    files[f"{stem}.dist-info/WHEEL"] = f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode()
    return _pack(folder / f"{stem}-{tag}.whl", f"{stem}.dist-info/RECORD", files)


def installed_wheel(folder: Path, name: str) -> Path:
    """The wheel that an installed distribution of pure Python would come from."""
    found = metadata.distribution(name)
    stem = f"{name.replace('-', '_')}-{found.version}"
    paths = [path for path in found.files or () if ".." not in path.parts and path.suffix != ".pyc"]
    kept = [path for path in paths if path.name not in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")]
    files = {str(path): Path(str(found.locate_file(path))).read_bytes() for path in kept}
    return _pack(folder / f"{stem}-py3-none-any.whl", f"{stem}.dist-info/RECORD", files)


def _pack(path: Path, record: str, files: Mapping[str, bytes]) -> Path:
    lines = []
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            lines.append(f"{name},sha256={digest},{len(content)}")
            archive.writestr(name, content)
        archive.writestr(record, "\n".join([*lines, f"{record},,", ""]))
    return path


class Project:
    """The repository of a project called ``stand-in``."""

    def __init__(self, path: Path) -> None:
        self.repository = Repository(path)
        self.path = path
        self._day = 0

    def commit(self, *tags: str, torch: str | None = None, **contents: str) -> str:
        """A commit, a day after the one before; returns its hash.

        Args:
            tags: put on it; one that ends with ``!`` is annotated.
            torch: the version that ``dependency_version.json`` names from now on.
            contents: files; two underscores in a name are a slash.
        """
        if torch is not None:
            self.write_dependencies({"gcc": {"min-version": "12.3.0"}, "pytorch": {"version": torch, "commit": "x"}})
        self._day += 1
        self.repository.write(**{"day.txt": f"{self._day}\n", **contents})
        self.repository.git("add", "-A")
        self.repository.git("commit", "-q", "-m", f"day {self._day}", **self._when())
        for tag in tags:
            options = ("-a", "-m", "a release") if tag.endswith("!") else ()
            self.repository.git("tag", *options, tag.removesuffix("!"), **self._when())
        return self.repository.git("rev-parse", "HEAD")

    def write_dependencies(self, content: Any) -> None:
        """The next commit's ``dependency_version.json``."""
        (self.path / "dependency_version.json").write_text(json.dumps(content))

    def switch(self, branch: str, *, new: bool = False) -> None:
        """Go on along another branch."""
        self.repository.git("checkout", "-q", *(["-b"] if new else []), branch)

    def merge(self, branch: str) -> str:
        """Merge a branch into this one; returns the commit."""
        self._day += 1
        self.repository.git("merge", "-q", "--no-ff", "-m", "a merge", "-X", "ours", branch, **self._when())
        return self.repository.git("rev-parse", "HEAD")

    def _when(self) -> dict[str, str]:
        date = f"2025-01-{self._day:02}T12:00:00+00:00"
        return {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}


def write_conf(folder: Path, repo: Path | str, *, top: Mapping[str, Any] | None = None, **ours: Any) -> Path:
    """An ``asv.conf.json`` for the project; ``top`` are keys of asv's, the others those of ``perfsuite``."""
    conf: dict[str, Any] = {
        "version": 1,
        "project": "stand-in",
        "repo": str(repo),
        "branches": ["main"],
        "environment_type": "perfsuite",
        "plugins": [".perfsuite.asv_plugin"],
        "benchmark_dir": "benchmarks/history",
        "env_dir": ".asv/env",
        "results_dir": ".asv/results",
        "html_dir": ".asv/html",
        **(top or {}),
        "perfsuite": {
            "imports": ["stand_in"],
            "requirements": ["torch=={torch}", "stand-in=={version}"],
            "dependency_file": "dependency_version.json",
            "installer": "pip",
            **ours,
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "asv.conf.json"
    path.write_text(json.dumps(conf))
    return path
