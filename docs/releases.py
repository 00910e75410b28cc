"""Writes the tables of ``docs/history/ipex-2.6-to-2.8.md``, which says how their numbers were measured.

``python docs/releases.py --keep MACHINE`` first puts what the processes of the history in ``benchmarks/releases`` have
recorded on that machine into a file of ``benchmarks/data``; without it the tables are made of the file that is there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from perfsuite.analyse.diff.comparable import machine_reasons
from perfsuite.errors import PerfsuiteError, UsageError
from perfsuite.history.archive import Archive, archive_of, read_archive, write_archive
from perfsuite.history.commits import branch_commits
from perfsuite.history.comparison import Comparison, Pair, compare
from perfsuite.history.settings import read_settings
from perfsuite.history.shelf import Shelf
from perfsuite.present.history import comparison as tables
from perfsuite.store.files import write_text

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "benchmarks" / "releases" / "asv.conf.json"
DATA = ROOT / "benchmarks" / "data"
IMAGES = ROOT / "docs" / "images"
#: What is held against what, by tags.
PAIRS = (
    ("v2.6.0+cpu", "v2.7.0+cpu"),
    ("v2.7.0+cpu", "v2.8.0+cpu"),
    ("v2.6.0+cpu", "v2.8.0+cpu"),
    ("v2.8.0+cpu", "torch-2.8.0"),
    ("v2.8.0+cpu", "torch-2.13.0"),
)
#: File → what is in it; the page includes each.
PARTS = {
    "releases-machine.md": tables.render_machine,
    "releases-times.md": tables.render_times,
    "releases-operators.md": tables.render_parts,
    "releases-counts.md": tables.render_counts,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Keep what was measured if asked to, and write the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--keep", metavar="MACHINE", help="keep what this machine has measured, before anything else")
    parser.add_argument("--config", metavar="FILE", type=Path, default=CONFIG, help="of the history that measured it")
    parser.add_argument("--data", metavar="DIR", type=Path, default=DATA, help="where the file is kept")
    parser.add_argument("--images", metavar="DIR", type=Path, default=IMAGES, help="where the tables go")
    chosen = parser.parse_args(arguments)
    try:
        path = keep(chosen.config, chosen.keep, chosen.data) if chosen.keep else data_file(chosen.data)
        archive = read_archive(path)
        write(held(archive), chosen.images)
    except PerfsuiteError as error:
        print(f"releases: error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{path}: {len(archive.processes)} processes of {len(archive.commits)} releases; tables in {chosen.images}")
    return 0


def keep(config: Path, machine: str, folder: Path) -> Path:
    """Put what was recorded into a file; returns its path.

    Raises:
        PerfsuiteError: the history cannot be read, nothing was recorded, or it was on several machines.
    """
    settings = read_settings(config)
    commits = branch_commits(settings.repo_path, settings.branch, settings.tag_pattern)
    shelf = Shelf(settings.runs_dir)
    archive = archive_of(machine, commits, shelf)
    for problem in shelf.problems:
        print(f"releases: left out: {problem}", file=sys.stderr)
    if not archive.processes:
        raise UsageError(f"nothing was recorded in {settings.runs_dir}: measure first, with perfsuite history nightly")
    for other in archive.environments[1:]:
        reasons = machine_reasons(archive.environments[0], other)
        if reasons:
            raise UsageError(f"the runs in {settings.runs_dir} are of several machines: {'; '.join(reasons)}")
    path = folder / f"releases-{machine}.json.gz"
    write_archive(archive, path)
    return path


def data_file(folder: Path) -> Path:
    """The one that is kept.

    Raises:
        UsageError: there is none, or there are several.
    """
    found = sorted(folder.glob("releases-*.json.gz"))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise UsageError(f"{folder}: expected one releases-MACHINE.json.gz, found {names}")
    return found[0]


def held(archive: Archive) -> Comparison:
    """The releases held against each other; a pair of which one was not measured is left out.

    Raises:
        UsageError: no pair was measured.
    """
    by_tag = {tag: commit for commit in archive.commits for tag in commit.tags}
    pairs: list[Pair] = [(by_tag[one], by_tag[other]) for one, other in PAIRS if {one, other} <= by_tag.keys()]
    if not pairs:
        raise UsageError(f"of none of the pairs both releases were measured, only {', '.join(by_tag) or 'none'}")
    return compare(archive.machine, archive.series(), archive, pairs)


def write(found: Comparison, folder: Path) -> None:
    """The tables, a file each.

    Raises:
        StoreError: one cannot be written.
    """
    for name, render in PARTS.items():
        write_text(folder / name, render(found))


if __name__ == "__main__":
    sys.exit(main())
