"""What a side of a gate is, as it is written: ``git:REF``, ``python:PATH``, ``env:KEY=VALUE`` and combinations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from perfsuite.errors import UsageError

_FORMS = "git:REF, python:PATH or env:KEY=VALUE, or several with commas between, or . for the working tree"
#: Values may hold commas.
_BETWEEN = re.compile(r",(?=(?:git|python|env):)")


@dataclass(frozen=True)
class Spec:
    """A side, as it was asked for."""

    #: All of it, as it was written.
    text: str
    #: A commit in git's words, ``.`` for the working tree, or None where none is named (which is the working tree too).
    git: str | None = None
    #: An interpreter in the user's words; None where none is named.
    python: str | None = None
    #: What is added to the environment, in the order of the text.
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def commitish(self) -> str | None:
        """What git is asked for; None where the side is the working tree."""
        return None if self.git == "." else self.git


def parse_spec(text: str) -> Spec:
    """Read a SPEC.

    Its parts are separated by a comma before ``git:``, ``python:`` or ``env:``; any other comma belongs to a value.

    Raises:
        UsageError: it is none; the message shows the part and what was expected.
    """
    git: str | None = None
    python: str | None = None
    variables: dict[str, str] = {}
    if "\0" in text:
        raise UsageError(f"SPEC {text!r}: holds a NUL character")
    for part in _BETWEEN.split(text):
        kind, colon, value = ("git", ":", ".") if part == "." else part.partition(":")
        if kind not in ("git", "python", "env") or not colon:
            raise UsageError(f"SPEC {text!r}: expected {_FORMS}{_meant(part)}")
        if not value:
            raise UsageError(f"SPEC {text!r}: nothing follows {part!r}; expected {_FORMS}")
        if (kind == "git" and git is not None) or (kind == "python" and python is not None):
            raise UsageError(f"SPEC {text!r}: {kind}: is there twice")
        if kind == "git":
            git = _reference(value, text)
        elif kind == "python":
            python = value
        else:
            name, content = _variable(value, text)
            if name in variables:
                raise UsageError(f"SPEC {text!r}: env:{name} is there twice")
            variables[name] = content
    return Spec(text, git, python, variables)


def _meant(part: str) -> str:
    """A guess for what looks like something that is known."""
    if not part.isprintable():
        return ""
    if "=" in part:
        return f"; did you mean env:{part}?"
    if part.startswith(("/", "./", "../", "~")) or part.endswith("python"):
        return f"; did you mean python:{part}?"
    return f"; did you mean git:{part}?" if part and ":" not in part else ""


def _reference(value: str, text: str) -> str:
    # No reference of git's begins so, and git would take it for an option.
    if value.startswith("-"):
        raise UsageError(f"SPEC {text!r}: no commit is called {value!r}")
    return value


def _variable(value: str, text: str) -> tuple[str, str]:
    name, equals, content = value.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise UsageError(f"SPEC {text!r}: expected env:KEY=VALUE, found {f'env:{value}'!r}")
    return name, content
