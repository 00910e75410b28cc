"""``perfsuite gate``: base against head, and a verdict."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perfsuite.cli.face import directory_option, fail, finite, here, main, screen, target, tell, write, write_document
from perfsuite.cli.progress import progress_line
from perfsuite.cli.signals import stopped_like_interrupted
from perfsuite.errors import PerfsuiteError, UsageError
from perfsuite.quiet import ALLOCATORS

if TYPE_CHECKING:
    from perfsuite.gate.model import GateResult

#: JSON is the last, because it has the exit code, which a file that cannot be written changes.
_FILES = ("markdown", "junit", "report", "json")
_STDOUT = "-"


def _enough_pairs(context: click.Context, parameter: click.Parameter, value: int | None) -> int | None:
    """Refuse what is fewer than any verdict needs; how many that is, is the policy's to say."""
    from perfsuite.gate.model import Policy

    if value is not None and value < Policy().min_pairs:
        raise click.BadParameter(f"{value} is less than the {Policy().min_pairs} pairs that a verdict needs")
    return value


@main.command(short_help="Did head get slower than base? Exit code 1 if so.")
@click.argument("node_ids", metavar="[NODE_ID]...", nargs=-1)
@click.option("--base", metavar="SPEC", required=True, help="git:REF, python:PATH, env:KEY=VALUE, or a combination.")
@click.option("--head", metavar="SPEC", default=".", show_default=True, help="The same; . is the working tree.")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1000, min_open=True),
    callback=finite,
    metavar="PERCENT",
    help="How much slower a benchmark may become; default: the project's, or 3.",
)
@click.option(
    "--budget",
    type=click.FloatRange(0, min_open=True),
    callback=finite,
    metavar="SECONDS",
    help="Seconds per benchmark; default: the project's, or 90, or more if a calibration asks for it.",
)
@click.option(
    "--max-pairs",
    type=int,
    callback=_enough_pairs,
    metavar="N",
    help="At most N pairs of processes per benchmark; default: the project's, or 20.",
)
@click.option(
    "--inconclusive",
    type=click.Choice(("fail", "pass")),
    help="Exit with 3 (fail) or 0 (pass) if a benchmark is inconclusive; default: the project's, or fail.",
)
@click.option("--census-only", is_flag=True, help="Compare only what the step runs, and time nothing; takes seconds.")
@click.option(
    "--no-census", is_flag=True, help="Time only: no profiles, no census, and nothing that explains a change."
)
@click.option("--no-shortcut", is_flag=True, help="Run even if base and head are identical.")
@click.option(
    "--allocator", type=click.Choice(ALLOCATORS), help="As for perfsuite launch; default: the project's, or auto."
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="OpenMP threads; default: the project's, or OMP_NUM_THREADS, or one per physical core.",
)
@click.option("--cpus", metavar="LIST", help="CPUs to run on, as 0-3,8; default: as many as there are threads.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    callback=finite,
    metavar="SECONDS",
    help="How long a start or a warm-up may take; default: the project's, or 300.",
)
@click.option("--seed", type=int, metavar="N", help="Seed for the order of turns, to get the same order again.")
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Rows, and failures of the census, to show of each benchmark.",
)
@click.option("--json", "json_file", metavar="FILE", help="Everything, as JSON.")
@click.option("--markdown", "markdown_file", metavar="FILE", help="A comment for a pull request.")
@click.option("--junit", "junit_file", metavar="FILE", help="JUnit XML, for CI systems.")
@click.option("--report", "report_file", metavar="FILE", help="One HTML page.")
@directory_option
def gate(node_ids: tuple[str, ...], top: int, directory: Path, **options: Any) -> int:
    """Run the tests that use `profiled` on base and on head in turns, and say whether head is slower.

    SPEC is git:REF (a commit, in a temporary worktree of this repository; . is the working tree), python:PATH (another
    interpreter), env:KEY=VALUE (another environment), or a combination with commas in between: git:main,env:X=1.

    The project's settings are in [tool.perfsuite.gate] of its pyproject.toml.

    If a FILE is -, it goes to standard output, and the text that would be there goes to standard error.

    Exits with 0 if nothing regressed, 1 if a benchmark regressed or the census forbids a change, 2 for bad input or a
    FILE that cannot be written, 3 if a benchmark is inconclusive, 4 if one is missing or incomparable, 70 if perfsuite
    itself fails, 130 after Ctrl-C.  If several of these apply, it is the first of 2, 1, 4, 3, 0.
    """
    from perfsuite.gate.child import interrupts_held
    from perfsuite.gate.session import Options, compare_sides
    from perfsuite.quiet import from_list

    folder = here()
    asked = {name: path for name in _FILES if (path := options[f"{name}_file"]) is not None}
    piped = [name for name, path in asked.items() if path == _STDOUT]
    if len(piped) > 1:
        raise UsageError(f"--{piped[0]} and --{piped[1]} both go to standard output: give one a file")
    files = {name: target(path) for name, path in asked.items() if path != _STDOUT}
    _differ(files)
    if options["census_only"] and options["no_census"]:
        raise UsageError("--census-only and --no-census: nothing would be left to compare; leave one of them out")
    wanted = Options(
        node_ids=node_ids,
        threshold=_share(options["threshold"]),
        seconds=options["budget"],
        max_pairs=options["max_pairs"],
        inconclusive=options["inconclusive"],
        census_only=options["census_only"],
        no_census=options["no_census"],
        shortcut=not options["no_shortcut"],
        allocator=options["allocator"],
        threads=options["threads"],
        cpus=from_list(options["cpus"]) if options["cpus"] is not None else None,
        timeout=options["timeout"],
        seed=options["seed"],
    )
    # Interrupts act while the sides run, and then wait until everything is written: a second Ctrl-C costs nothing.
    with stopped_like_interrupted(), interrupts_held():
        with progress_line() as progress:
            result, code = compare_sides(options["base"], options["head"], folder, wanted, progress, directory)
        return _show(result, code, files, top, piped, directory)


def _show(
    result: GateResult, code: int, files: Mapping[str, Path], top: int, piped: Sequence[str], directory: Path
) -> int:
    from perfsuite.present.gate.terminal import render_gate

    code, faults = _save(result, files, code, directory)
    text = render_gate(result, top=top, code=code, **screen())
    # Where a file goes to standard output, nothing else does.
    for name in piped:
        tell(text, nl=False)
        write_document(_document(name, result, code, directory))
    if not piped:
        write(text)
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


def _save(result: GateResult, files: Mapping[str, Path], code: int, directory: Path) -> tuple[int, list[str]]:
    """Write what can be written of what was asked for.

    Args:
        result: what to write.
        files: where to, by the name of the option.
        code: what the command exits with if everything can be written.
        directory: the folder of the runs.

    Returns:
        The exit code, which is another one if something could not be written; and what that was.
    """
    from perfsuite.store.files import write_text

    faults = []
    for name in _FILES:
        if name in files:
            try:
                write_text(files[name], _document(name, result, code, directory))
            except PerfsuiteError as error:
                code = error.exit_code
                faults.append(f"--{name} {files[name]}: {error}")
    return code, faults


def _document(name: str, result: GateResult, code: int, directory: Path) -> str:
    """What is written for the option of this name."""
    if name == "markdown":
        from perfsuite.present.gate.markdown import render_gate_markdown

        return render_gate_markdown(result)
    if name == "junit":
        from perfsuite.present.gate.junit import render_junit

        return render_junit(result)
    if name == "report":
        return _page(result, directory)
    from perfsuite.present.gate.as_json import gate_json

    return json.dumps(gate_json(result, code=code), allow_nan=False, indent=1) + "\n"


def _page(result: GateResult, directory: Path) -> str:
    """The report, with the ceilings of the machine that the sides ran on, where they were measured."""
    from perfsuite.present.libraries import libraries
    from perfsuite.store.ceilings import ceilings_for

    with libraries("a page"):
        from perfsuite.present.gate.report import render_gate_report
    environment = result.head.environment or result.base.environment
    if environment is None:  # no process came so far as to say where it runs, nor to be profiled
        return render_gate_report(result)
    ceilings, why = ceilings_for(environment, directory)
    return render_gate_report(result, ceilings=ceilings, no_ceilings=why)
