"""``perfsuite plot``: one figure of a workload as an image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from perfsuite.cli.choose import load, load_base, only_one, problems_of
from perfsuite.cli.face import directory_option, main, target, tell, write
from perfsuite.errors import NotComparableError, UsageError
from perfsuite.present.kinds import KINDS, format_of, kind_of

if TYPE_CHECKING:
    from perfsuite.analyse.figures import FigureRecord
    from perfsuite.records import Profile, Run

#: What a second run is for.
_OF_TWO = tuple(kind.name for kind in KINDS if kind.two)


@main.command(short_help="Draw one figure of a run: PNG, SVG or PDF.")
@click.argument("run", default="latest")
@click.argument("base", required=False)
@click.option("--kind", type=click.Choice([kind.name for kind in KINDS]), required=True, help="What to draw.")
@click.option(
    "--workload", metavar="NAME", help="Which one, if the run has several: its name, or a part that only one has."
)
@click.option("-o", "--output", metavar="FILE", required=True, help="Where to: a name in .png, .svg or .pdf.")
@click.option("--column", is_flag=True, help="As wide as one column of a paper (3.5 inches) instead of 7 inches.")
@click.option("--force", is_flag=True, help="Compare with BASE even what is not comparable.")
@directory_option
def plot(
    run: str, base: str | None, kind: str, workload: str | None, output: str, column: bool, force: bool, directory: Path
) -> int:
    """Draw one figure of a workload of RUN; the waterfall, and samples if wanted, compare it with BASE.

    Both are paths, ids, beginnings of one, `latest` (the default of RUN) or `latest~N`, the run N before it.  A file
    that is there is replaced.  Where there is nothing to draw, the figure says why.  Exits with 2 if a part of a run
    cannot be read.
    """
    from perfsuite.present.libraries import libraries

    if base is None and not kind_of(kind).one:
        raise UsageError(f"--kind {kind} draws the way from one run to another: perfsuite plot RUN BASE")
    if base is not None and kind not in _OF_TWO:
        raise UsageError(f"--kind {kind} is about one run: only {' and '.join(_OF_TWO)} compare it with BASE")
    format_of(path := target(output))
    loaded = load(run, directory)
    before = load_base(base, loaded, directory) if base is not None else None
    profile = only_one(loaded, workload)
    if before is None:
        record, why = _of_one(loaded, profile, kind, directory)
    else:
        record, why = _of_two(before, loaded, profile, kind, force), None
    with libraries("a figure"):
        from perfsuite.present.plots import draw, save
        from perfsuite.present.plots.style import NARROW, WIDE

    save(draw(record, width=NARROW if column else WIDE), path)
    for line in (record.missing, f"no ceilings: {why}" if why else None):
        if line:
            tell(line)
    write(f"{path}: {kind} of {profile.name}\n")
    return problems_of(loaded, before)


def _of_one(run: Run, profile: Profile, kind: str, directory: Path) -> tuple[FigureRecord, str | None]:
    """The figure of a run, and why a roofline has no roofs."""
    from perfsuite.analyse import figures

    if kind == "roofline":
        from perfsuite.store.ceilings import ceilings_of

        ceilings, why = ceilings_of(run, directory)
        return figures.roofline_figure(profile, ceilings), why
    make: Callable[[Profile], FigureRecord] = getattr(figures, kind_of(kind).make)
    return make(profile), None


def _of_two(base: Run, head: Run, profile: Profile, kind: str, force: bool) -> FigureRecord:
    """The figure of a workload in two runs.

    Raises:
        NotComparableError: the two are not comparable.
        UsageError: base does not have the workload.
    """
    from perfsuite.analyse import figures
    from perfsuite.analyse.diff import diff_runs

    compared = diff_runs(base, head, profile.name)
    if compared.reasons and not force:
        raise NotComparableError(compared.reasons)
    if kind == "waterfall":
        return figures.waterfall(compared.workloads[0], head=profile)
    return figures.samples(profile, next(one for one in base.workloads if one.name == profile.name))
