"""``perfsuite history …``: the nightly history of a project."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perfsuite.cli.face import directory_option, fail, finite, main, target, tell, write
from perfsuite.cli.progress import progress_line
from perfsuite.cli.signals import stopped_like_interrupted
from perfsuite.errors import PerfsuiteError, UsageError

if TYPE_CHECKING:
    from perfsuite.history.bisect import Decision

#: What ``bisect`` exits with where the answer is a range.
_INCONCLUSIVE = 3


def _options(*decorators: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def decorated(command: Any) -> Any:
        for one in reversed(decorators):
            command = one(command)
        return command

    return decorated


_config = _options(
    click.option(
        "--config",
        type=click.Path(path_type=Path),
        default=Path("asv.conf.json"),
        show_default=True,
        help="asv's configuration, with an object `perfsuite` in it.",
    ),
    click.option(
        "--repo", type=click.Path(path_type=Path), metavar="PATH", help="A clone, in place of the configured one."
    ),
)
_machine = click.option("--machine", metavar="NAME", help="This machine's name in the history; default: the host's.")
_state = click.option(
    "--state",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where nights keep what they know; default: beside results.",
)


@main.group(short_help="The nightly history: measure commits, find what got slower, and where.")
def history() -> None:
    """Keep the history of a project's training time, commit by commit, with asv.

    What to install for a commit, and where results are, is in asv's configuration.
    """


@history.command(short_help="Measure new commits, judge, publish. Exit code 1 on a new regression.")
@_config
@_machine
@_state
@click.option("--rounds", type=click.IntRange(1, 100), default=3, show_default=True, help="Processes for each commit.")
@click.option("--newest", type=click.IntRange(min=0), metavar="N", help="At most N commits, the newest.")
@click.option(
    "--free-gib",
    type=click.FloatRange(0),
    callback=finite,
    default=8.0,
    show_default=True,
    help="Disk space to leave free.",
)
@click.option("--again", multiple=True, metavar="COMMIT", help="Measure it again; may be repeated.")
@click.option("--new-only", is_flag=True, help="Do not measure the neighbours of new commits again beside them.")
@click.option("--no-publish", is_flag=True, help="Measure and judge, and leave the site as it is.")
@click.option("--summary", metavar="FILE", help="Also write the summary, in Markdown, to FILE.")
def nightly(
    summary: str | None,
    rounds: int,
    newest: int | None,
    free_gib: float,
    again: tuple[str, ...],
    new_only: bool,
    no_publish: bool,
    **where: Any,
) -> int:
    """Measure the commits of the branch that have a wheel and no results of this machine, and judge the history.

    While the history is short, the commits next to new ones are measured again in turns with them: from night to night
    a machine may differ by more than a commit does.  A night that is stopped, or killed, is gone on with by the next
    call.  Without a network it goes on with what is here.

    Exits with 0 if nothing new regressed, 1 on a new regression, 2 for bad input or if another night is running, 4 if
    a commit could not be measured, 130 after Ctrl-C; of several the first of 2, 1, 4, 0.
    """
    from perfsuite.cli.history_parts import Place, last_night, parts_of
    from perfsuite.history.nightly import NightOptions, exit_code
    from perfsuite.history.nightly import nightly as run_night
    from perfsuite.present.history.lines import render_night
    from perfsuite.store.files import write_text

    file = target(summary) if summary is not None else None
    place = Place.of(**where)
    options = NightOptions(place.machine, rounds, place.newest(newest), free_gib, not no_publish, not new_only, again)
    before = last_night(place)
    with stopped_like_interrupted():
        try:
            with progress_line() as progress:
                night = run_night(place.settings, options, place.state, parts_of(place), progress)
        except KeyboardInterrupt:
            tell("perfsuite: stopped; what was measured is kept, and the next night goes on")
            raise
        except PerfsuiteError:
            # What was measured and judged before it failed is worth reading all the same.
            found = last_night(place)
            if found is not None and found.ended is not None and found != before:
                write(render_night(found))
            raise
    write(render_night(night))
    if file is not None:
        write_text(file, place.state.summary.read_text(encoding="utf-8"))
    return exit_code(night)


@history.command(short_help="Judge what there is: neither measures nor publishes.")
@_config
@click.option(
    "--machine", "machines", multiple=True, metavar="NAME", help="Only this machine's results; may be repeated."
)
@_state
def check(machines: tuple[str, ...], state: Path | None, config: Path, repo: Path | None) -> int:
    """Judge the results that there are, and say what changed, and where.

    Exits with 1 if there is a regression that no night on this machine has told, and that nothing has mended.
    """
    from perfsuite.cli.history_parts import Place, judged
    from perfsuite.history.nightly import is_open
    from perfsuite.history.state import untold
    from perfsuite.present.history.lines import render_check

    place = Place.of(config, repo, machines[0] if len(machines) == 1 else None, state)
    commits, notes = place.commits(fetch=False)
    series, more = place.load_series(commits, machines or None)
    findings, unjudged = judged(place, series)
    new = untold(findings, place.state.known(), commits)
    write(render_check(findings, new, (*notes, *more, *unjudged)))
    return 1 if any(map(is_open, new)) else 0


@history.command(name="import", short_help="Bring runs that pytest recorded into the history.")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True)
@_config
@_machine
@_state
@directory_option
def import_command(runs: tuple[str, ...], directory: Path, **where: Any) -> int:
    """Bring recorded runs into the history, as if a night had measured their commit.

    Each RUN is a path, an id, the beginning of one, `latest` or `latest~N`.  Of which commit it is,
    it says itself.
    Exits with 2 if one of them cannot be brought in; the others are.
    """
    from perfsuite.cli.history_parts import Place
    from perfsuite.history.asv_process import fix_machine
    from perfsuite.history.importer import import_runs
    from perfsuite.history.lock import alone
    from perfsuite.store import resolve_run

    place = Place.of(**where)
    code, paths = 0, []
    for name in runs:
        try:
            paths.append(resolve_run(name, directory))
        except PerfsuiteError as error:  # the others are brought in
            code = fail(str(error), error.exit_code)
    commits, notes = place.commits(fetch=False)
    with alone(place.state.lock, "night"):
        fix_machine(place.settings.results_dir, place.machine)
        found = import_runs(paths, place.settings, commits, machine=place.machine)
    for note in notes:
        tell(f"note: {note}")
    for one in found:
        if one.problem is not None:
            code = fail(f"{one.run}: {one.problem}", PerfsuiteError.exit_code)
            continue
        label = one.commit.label if one.commit is not None else ""
        what = f"{one.values} values of {', '.join(one.workloads)}" if one.values else "it was there already"
        write(f"{one.run}: {label}: {what}\n")
        for note in one.notes:
            write(f"    note: {note}\n")
    return code


@history.command(short_help="Find the first bad commit between two, or the fewest it can be among.")
@click.argument("benchmark")
@_config
@_machine
@_state
@click.option("--good", metavar="COMMIT", required=True, help="One before it became slower: a tag, a branch or a hash.")
@click.option("--bad", metavar="COMMIT", required=True, help="One after that.")
@click.option(
    "--confidence", type=click.FloatRange(50, 100, max_open=True), callback=finite, default=95.0, metavar="PERCENT"
)
@click.option(
    "--max-pairs", type=click.IntRange(4, 100), default=16, show_default=True, help="Process pairs a decision."
)
def bisect(benchmark: str, good: str, bad: str, confidence: float, max_pairs: int, **where: Any) -> int:
    """Measure commits between COMMITs until it is sure which one made BENCHMARK slower.

    BENCHMARK is a workload, for its step, or one as asv names it: track_phase(lstm, backward).  Each decision is made
    on pairs of processes of the good end and a commit, not on one sample.

    Exits with 0 if the first bad commit was found, 3 if several may be it, 2 for bad input, 130 after Ctrl-C.
    """
    from perfsuite.cli.history_parts import Place, explained, span
    from perfsuite.history.bisect import BisectOptions
    from perfsuite.history.bisect import bisect as run_bisection
    from perfsuite.history.lock import measuring_alone
    from perfsuite.history.measuring import check_target, measuring, target_of
    from perfsuite.present.history.lines import render_bisection, render_decision

    what = target_of(benchmark)
    place = Place.of(**where)
    check_target(what, place.settings)
    commits, notes = place.commits(fetch=True)
    for note in notes:
        tell(f"note: {note}")
    between = span(place, commits, good, bad)
    measure = measuring(place.settings, between.stacks, what)
    options = BisectOptions(confidence=confidence / 100, max_pairs=max_pairs)
    with stopped_like_interrupted(), measuring_alone(place.state.lock, place.settings.env_dir):
        with progress_line() as progress:

            def decided(decision: Decision) -> None:
                progress("")
                tell(render_decision(decision), nl=False)

            found = run_bisection(
                what.label, between.good, between.bad, between.between, measure, options, decided, progress
            )
        first = found.first_bad
        explanation = explained(place, found.last_good, first, what.workload) if first is not None else None
    write(render_bisection(found, between.unmeasured(found.last_good, found.suspects), explanation))
    return 0 if first is not None else _INCONCLUSIVE


@history.command(short_help="Draw the line of a benchmark, or the operators of a workload, over the commits.")
@click.argument("benchmark")
@_config
@click.option(
    "--machine", "machines", multiple=True, metavar="NAME", help="Only this machine's results; may be repeated."
)
@click.option("--operators", is_flag=True, help="Of a workload: its operators, commit by commit.")
@click.option("-o", "--output", metavar="FILE", required=True, help="Where to: a name in .png, .svg or .pdf.")
@click.option("--column", is_flag=True, help="As wide as one column of a paper (3.5 inches) instead of 7 inches.")
def plot(
    benchmark: str,
    machines: tuple[str, ...],
    operators: bool,
    output: str,
    column: bool,
    config: Path,
    repo: Path | None,
) -> int:
    """Draw BENCHMARK, with its changes and the operators behind them.

    BENCHMARK is a workload, for its step, or one as asv names it: track_phase(lstm, backward).
    """
    from perfsuite.cli.history_parts import Place, draw_line, draw_operators
    from perfsuite.history.measuring import target_of
    from perfsuite.present.kinds import format_of

    format_of(path := target(output))
    what = target_of(benchmark)
    if operators and what.measure != "step":
        raise UsageError(f"--operators are those of a workload: write {what.workload}")
    place = Place.of(config, repo, machines[0] if len(machines) == 1 else None, None)
    commits, _ = place.commits(fetch=False)
    series, notes = place.load_series(commits, machines or None)
    draw = draw_operators if operators else draw_line
    draw(place, series, what, path, column)
    for note in notes:
        tell(f"note: {note}")
    write(f"{path}: {'operators of ' + what.workload if operators else what.label}\n")
    return 0
