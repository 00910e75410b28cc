"""``perfsuite gate``: base against head, and a verdict."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perfsuite.cli.face import directory_option, fail, finite, main, screen, target, write
from perfsuite.cli.progress import progress_line
from perfsuite.cli.signals import stopped_like_interrupted
from perfsuite.errors import PerfsuiteError, UsageError
from perfsuite.quiet import ALLOCATORS

if TYPE_CHECKING:
    from perfsuite.gate.model import GateResult

_FILES = ("json", "markdown", "junit", "report")


@main.command(short_help="Did head get slower than base? Exit code 1 if so.")
@click.argument("node_ids", metavar="[NODE_ID]...", nargs=-1)
@click.option("--base", metavar="SPEC", required=True, help="git:REF, python:PATH, env:KEY=VALUE, or some of them.")
@click.option("--head", metavar="SPEC", default=".", show_default=True, help="The same; . is the working tree.")
@click.option(
    "--threshold", type=click.FloatRange(0, 1000, min_open=True), callback=finite, metavar="PERCENT", help="Default: 3."
)
@click.option(
    "--budget",
    type=click.FloatRange(0, min_open=True),
    callback=finite,
    metavar="SECONDS",
    help="A benchmark; default: 90.",
)
@click.option("--max-pairs", type=click.IntRange(min=4), metavar="N", help="Process pairs a benchmark; default: 20.")
@click.option("--inconclusive", type=click.Choice(("fail", "pass")), help="Exit with 3 or with 0; default: fail.")
@click.option("--census-only", is_flag=True, help="Count and do not time: seconds, and no noise.")
@click.option("--no-shortcut", is_flag=True, help="Run even if base and head are identical.")
@click.option("--allocator", type=click.Choice(ALLOCATORS), help="As of perfsuite launch; default: auto.")
@click.option("--threads", type=click.IntRange(min=1), help="OpenMP threads; by default one a physical core.")
@click.option("--cpus", metavar="LIST", help="CPUs to run on, as 0-3,8; by default as many as threads.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    callback=finite,
    metavar="SECONDS",
    help="For start and warm-up.",
)
@click.option("--seed", type=int, metavar="N", help="Of the order of turns, to have the same again.")
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True, help="Rows in a table.")
@click.option("--json", "json_file", metavar="FILE", help="Everything, as JSON.")
@click.option("--markdown", "markdown_file", metavar="FILE", help="For a comment on a pull request.")
@click.option("--junit", "junit_file", metavar="FILE", help="JUnit XML.")
@click.option("--report", "report_file", metavar="FILE", help="One HTML page.")
@directory_option
def gate(node_ids: tuple[str, ...], top: int, directory: Path, **options: Any) -> int:
    """Run the tests that use `profiled` on two sides, interleaved, and judge head by base.

    SPEC is git:REF (a temporary worktree of this repository; . for the working tree), python:PATH (another
    interpreter), env:KEY=VALUE (another environment), or some of them with commas between: git:main,env:X=1.

    Exits with 0 if nothing regressed, 1 if a benchmark regressed or the census forbids a change, 2 for bad input, 3 if
    a benchmark is inconclusive, 4 if one is missing or incomparable, 130 after Ctrl-C; of several the first of
    2, 1, 4, 3, 0.
    """
    from perfsuite.gate.child import interrupts_held
    from perfsuite.gate.session import Options, compare_sides
    from perfsuite.quiet import from_list

    files = {name: target(path) for name in _FILES if (path := options[f"{name}_file"]) is not None}
    _differ(files)
    wanted = Options(
        node_ids=node_ids,
        threshold=_share(options["threshold"]),
        seconds=options["budget"],
        max_pairs=options["max_pairs"],
        inconclusive=options["inconclusive"],
        census_only=options["census_only"],
        shortcut=not options["no_shortcut"],
        allocator=options["allocator"],
        threads=options["threads"],
        cpus=from_list(options["cpus"]) if options["cpus"] is not None else None,
        timeout=options["timeout"],
        seed=options["seed"],
    )
    with stopped_like_interrupted():
        with progress_line() as progress:
            result, code = compare_sides(options["base"], options["head"], Path(), wanted, progress, directory)
        # Who is impatient gets all of it or none: a second Ctrl-C waits.
        with interrupts_held():
            return _show(result, code, files, top)


def _show(result: GateResult, code: int, files: Mapping[str, Path], top: int) -> int:
    from perfsuite.present.gate.terminal import render_gate
    from perfsuite.present.gate.words import NOT_WRITTEN

    code, faults = _save(result, files, code, NOT_WRITTEN)
    write(render_gate(result, top=top, code=code, **screen()))
    return fail("; ".join(faults), code) if faults else code


def _share(per_cent: float | None) -> float | None:
    return None if per_cent is None else per_cent / 100


def _differ(files: Mapping[str, Path]) -> None:
    """Refuse two outputs in one file: the second would replace the first.

    Raises:
        UsageError: there are two.
    """
    options: dict[Path, str] = {}
    for name, path in files.items():
        other = options.setdefault(path.resolve(), name)
        if other != name:
            raise UsageError(f"--{other} and --{name} name the same file, {path}: give each its own")


def _save(result: GateResult, files: Mapping[str, Path], code: int, failed: int) -> tuple[int, list[str]]:
    """Write what can be written of what was asked for.

    Args:
        result: what to write.
        files: where to, by the name of the option.
        code: what the command exits with if everything can be written.
        failed: and if not.

    Returns:
        What it exits with, and what is wrong with the others.
    """
    from perfsuite.store.files import write_text

    makers: dict[str, Callable[[], str]] = {
        "markdown": lambda: _as_markdown(result),
        "junit": lambda: _as_junit(result),
        "report": lambda: _as_page(result),
        # The last one, because it has the exit code.
        "json": lambda: _as_json(result, code),
    }
    faults = []
    for name, make in makers.items():
        if name in files:
            try:
                write_text(files[name], make())
            except PerfsuiteError as error:
                code = failed
                faults.append(f"--{name} {files[name]}: {error}")
    return code, faults


def _as_json(result: GateResult, code: int) -> str:
    from perfsuite.present.gate.as_json import gate_json

    return json.dumps(gate_json(result, code=code), allow_nan=False, indent=1) + "\n"


def _as_markdown(result: GateResult) -> str:
    from perfsuite.present.gate.markdown import render_gate_markdown

    return render_gate_markdown(result)


def _as_junit(result: GateResult) -> str:
    from perfsuite.present.gate.junit import render_junit

    return render_junit(result)


def _as_page(result: GateResult) -> str:
    from perfsuite.present.libraries import libraries

    with libraries("a page"):
        from perfsuite.present.gate.report import render_gate_report
    return render_gate_report(result)
