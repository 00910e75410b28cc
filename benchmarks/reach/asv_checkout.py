"""An environment of asv: this interpreter, with a commit's files on its path, and nothing built or installed.

A plugin of asv, copied into the folder of an ``asv.conf.json`` that has ``"plugins": [".asv_checkout"]`` (without the
leading dot asv does not look there, and says nothing) and ``"environment_type": "checkout"``.  asv's own environment
for an interpreter that is there, ``existing``, runs the files as they are and cannot compare two commits.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from asv import util
from asv.environment import Environment


class Checkout(Environment):
    """asv calls these; what they are given and return is described in its base class."""

    tool_name = "checkout"

    def __init__(self, conf: Any, python: str, requirements: dict[str, str], tagged_env_vars: dict[Any, str]) -> None:
        self._requirements = requirements  # the base class needs it before it sets it
        super().__init__(conf, python, requirements, tagged_env_vars)

    @classmethod
    def matches(cls, python: str) -> bool:
        return True

    def check_presence(self) -> bool:
        return os.path.isdir(self._path)

    def _setup(self) -> None:
        os.makedirs(self._path)

    def install_project(self, conf: Any, repo: Any, commit_hash: str) -> None:
        self.checkout_project(repo, commit_hash)

    def run(self, args: list[str], **kwargs: Any) -> Any:
        # asv's script in the child puts ASV_PYTHONPATH on sys.path, and takes PYTHONPATH off it.
        environment = {**kwargs.pop("env", os.environ), "ASV_PYTHONPATH": self._build_root}
        return util.check_output([sys.executable, *args], env=environment, **kwargs)
