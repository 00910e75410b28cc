"""``pytest-options`` and ``pytest-marker``: tables of what the plugin really registers, which cannot go stale."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from perfsuite import pytest_settings


@dataclass
class Recorder:
    """Stands in for ``pytest.Parser`` and for one of its groups, and remembers what is registered."""

    options: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    ini: dict[str, dict[str, Any]] = field(default_factory=dict)

    def getgroup(self, name: str, description: str = "", after: str | None = None) -> Recorder:
        return self

    def addoption(self, *names: str, **settings: Any) -> None:
        self.options.append((names[-1], settings))

    def addini(self, name: str, help: str, **settings: Any) -> None:
        self.ini[name] = {"help": help, **settings}


def registered() -> Recorder:
    """What the plugin registers with pytest."""
    recorder = Recorder()
    pytest_settings.add_options(recorder)  # type: ignore[arg-type]
    return recorder


def usage(name: str, settings: dict[str, Any]) -> str:
    """``--option VALUE`` as ``pytest --help`` writes it."""
    metavar = settings.get("metavar")
    if metavar is None:
        return name
    return f"{name}[={metavar}]" if settings.get("nargs") == "?" else f"{name}={metavar}"


def option_rows(recorder: Recorder) -> Iterator[tuple[str, str, str]]:
    for name, settings in recorder.options:
        ini = name.removeprefix("--").replace("-", "_")
        shown = f"`{ini}`" if ini in recorder.ini else "–"
        yield f"`{usage(name, settings)}`", shown, str(settings.get("help", ""))


def marker_rows() -> Iterator[tuple[str, str]]:
    for one in dataclasses.fields(pytest_settings.MarkerSettings):
        yield f"`{one.name}`", f"`{one.type}`"


class _Table(SphinxDirective):
    """A table, written as the Markdown of the page that asks for it."""

    titles: tuple[str, ...] = ()

    def rows(self) -> Iterator[tuple[str, ...]]:
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        rows = [self.titles, tuple("---" for _ in self.titles), *self.rows()]
        lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
        return self.parse_text_to_nodes("\n".join(lines))


class PytestOptions(_Table):
    titles = ("Option", "Ini option", "What it does")

    def rows(self) -> Iterator[tuple[str, ...]]:
        return option_rows(registered())


class PytestMarker(_Table):
    titles = ("Argument", "Type")

    def rows(self) -> Iterator[tuple[str, ...]]:
        return marker_rows()


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("pytest-options", PytestOptions)
    app.add_directive("pytest-marker", PytestMarker)
    return {"parallel_read_safe": True, "version": "1"}
