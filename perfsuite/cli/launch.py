"""``perfsuite launch``: run a command with the settings that make its times repeatable."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from perfsuite.cli.face import fail, main, tell, write
from perfsuite.quiet import ALLOCATORS

if TYPE_CHECKING:
    from perfsuite.quiet import Settings

#: What shells exit with.
_NOT_EXECUTABLE, _NOT_FOUND = 126, 127


@main.command(context_settings={"allow_interspersed_args": False})
@click.option(
    "--allocator",
    type=click.Choice(ALLOCATORS),
    default="auto",
    show_default=True,
    help="Whose malloc; auto keeps one that is preloaded, else tunes glibc's.",
)
@click.option("--threads", type=click.IntRange(min=1), help="OpenMP threads; by default one a physical core.")
@click.option("--cpus", metavar="LIST", help="CPUs to run on, as 0-3,8; by default as many as threads.")
@click.option("--dry-run", is_flag=True, help="Print the settings for a shell, and run nothing.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def launch(allocator: str, threads: int | None, cpus: str | None, dry_run: bool, command: tuple[str, ...]) -> int:
    """Run COMMAND quietly: `perfsuite launch -- pytest --profile-dnn`.

    Memory stays with the process, idle OpenMP threads sleep, and there is one thread a physical core.  Variables that
    you have set are left as they are.  The command takes this process over: signals and exit code are its own.
    """
    from perfsuite.environment import find_allocator, libc, usable_cpus
    from perfsuite.quiet import from_list, quiet_settings

    if not command and not dry_run:
        raise click.UsageError("which command? perfsuite launch -- COMMAND …")
    settings = quiet_settings(
        os.environ,
        usable_cpus(),
        allocator=allocator,
        threads=threads,
        chosen=from_list(cpus) if cpus is not None else None,
        glibc=libc().startswith("glibc"),
        find_library=find_allocator,
    )
    if dry_run:
        write(_exports(settings))
        return 0
    return _become(command, settings)


def _exports(settings: Settings) -> str:
    from perfsuite.quiet import as_list

    lines = [f"export {name}={shlex.quote(value)}" for name, value in settings.variables.items()]
    if set(settings.cpus) != os.sched_getaffinity(0):
        lines.append(f"taskset -p -c {as_list(settings.cpus)} $$ > /dev/null")
    return "".join(f"{line}\n" for line in lines)


def _said(settings: Settings) -> str:
    from perfsuite.environment import huge_pages
    from perfsuite.present.cells import clean
    from perfsuite.quiet import as_list

    parts = [" ".join(f"{name}={value}" for name, value in settings.variables.items()) or "nothing to set"]
    parts.append(f"CPUs {as_list(settings.cpus)}")
    if settings.kept:
        parts.append(f"kept {' '.join(settings.kept)}")
    parts += [f"still: {clean(one)}" for one in _left(settings)]
    pages = huge_pages()
    if pages is not None:
        parts.append(f"transparent huge pages {pages}")
    return clean(f"perfsuite launch: {' · '.join(parts)}")


def _left(settings: Settings) -> tuple[str, ...]:
    """What will disturb the command all the same, because it was asked for so."""
    from perfsuite.environment import cpu_quota, libc, usable_cpus
    from perfsuite.quiet import disturbances

    variables = {**os.environ, **settings.variables}
    preloaded = os.path.basename(variables.get("LD_PRELOAD", "").split(":")[0])
    allocator = preloaded.removeprefix("lib").partition(".")[0].partition("_")[0] or libc()
    return disturbances(variables, allocator, usable_cpus().within(settings.cpus), quota=cpu_quota())


def _become(command: tuple[str, ...], settings: Settings) -> int:
    """Run the command in place of this process; returns only if it cannot be run."""
    # Before it is said what was set: what cannot be run is one line.
    if shutil.which(command[0]) is None:
        if os.sep in command[0] and os.path.exists(command[0]):
            return fail(f"{command[0]}: cannot be run: Permission denied", _NOT_EXECUTABLE)
        return fail(f"{command[0]}: command not found", _NOT_FOUND)
    tell(_said(settings))
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # closed by the caller, as the command will find it
            stream.flush()
    # Python ignores these, and a command would inherit that.
    for name in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(name, signal.SIG_DFL)
    try:
        os.sched_setaffinity(0, settings.cpus)
        os.execvpe(command[0], command, {**_inherited(), **settings.variables})
    except OSError as error:
        return fail(f"{command[0]}: cannot be run: {error.strerror}", _NOT_EXECUTABLE)


def _inherited() -> Mapping[str, str]:
    """The variables of this process, the locale as it was before Python may have set one for itself."""
    from perfsuite.environment import initial_environment

    locale = initial_environment().get("LC_CTYPE")
    variables = {name: value for name, value in os.environ.items() if name != "LC_CTYPE"}
    return variables if locale is None else {**variables, "LC_CTYPE": locale}
