"""``perfsuite …``: looks at recorded runs; needs no torch."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perfsuite import __version__
from perfsuite.errors import PerfsuiteError

if TYPE_CHECKING:
    from perfsuite.records import Run

# Everything else is imported by the command that needs it: `perfsuite list` should answer at once.

DEFAULT_DIR = ".perfsuite"
_INTERRUPTED = 130


class _Face(click.Group):
    """Turns every kind of failure into one line on stderr and an exit code, in one place."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line and exit; click's own failures get their exit code here."""
        kwargs["standalone_mode"] = False
        try:
            code = super().main(*args, **kwargs)
        except click.exceptions.Exit as error:
            code = error.exit_code
        except (click.Abort, KeyboardInterrupt):
            code = _INTERRUPTED
        except click.ClickException as error:
            code = _fail(error.format_message(), error.exit_code)
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; perfsuite's errors become one line and an exit code."""
        try:
            return super().invoke(ctx)
        except PerfsuiteError as error:
            return _fail(str(error), error.exit_code)
        except KeyboardInterrupt:
            return _INTERRUPTED
        except BrokenPipeError:
            # `| head` has read what it wanted.
            _discard_output()
            return 0


def _fail(message: str, exit_code: int) -> int:
    from perfsuite.present.cells import clean

    click.echo(f"perfsuite: error: {clean(message)}", err=True)
    return exit_code


def _discard_output() -> None:
    """Point stdout at nothing, so that the interpreter's last flush does not fail once more."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def _write(text: str) -> None:
    """Write to stdout; a character that its encoding lacks becomes ``?`` instead of a traceback."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    text = text.encode(encoding, "replace").decode(encoding)
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _discard_output()
        raise PerfsuiteError(f"cannot write the output: {error.strerror}") from error


def _screen() -> dict[str, Any]:
    """Width and colour of the terminal; 80 columns and none where it is a pipe."""
    if sys.stdout is None:
        raise PerfsuiteError("cannot write the output: stdout is closed")
    plain = not sys.stdout.isatty() or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return {"width": shutil.get_terminal_size((80, 24)).columns, "color": not plain}


_directory = click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path),
    default=Path(DEFAULT_DIR),
    show_default=True,
    help="Folder that holds the runs.",
)


@click.group(cls=_Face, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="perfsuite")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Look at what `pytest --profile-dnn` recorded."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@main.command()
@click.argument("run", default="latest")
@click.option(
    "--by",
    type=click.Choice(["operator", "primitive", "module", "phase"]),
    help="One table of each workload, grouped so.",
)
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True, help="Rows in a table.")
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON, whatever --by and --top say.")
@_directory
def show(run: str, by: str | None, top: int, as_json: bool, directory: Path) -> int:
    """Show a run: a path, an id, the beginning of one, or `latest` (the default).

    Exits with 2 if a part of the run cannot be read; what can is shown.
    """
    from perfsuite.store import load_run, resolve_run

    loaded = load_run(resolve_run(run, directory))
    if as_json:
        from perfsuite.present.as_json import show_json

        _write(json.dumps(show_json(loaded), indent=1, allow_nan=False) + "\n")
    else:
        _write(_as_text(loaded, by, top))
    for problem in loaded.problems:
        _fail(problem, PerfsuiteError.exit_code)
    return PerfsuiteError.exit_code if loaded.problems else 0


def _as_text(run: Run, by: str | None, top: int) -> str:
    from perfsuite.present import terminal

    screen = _screen()
    parts = [terminal.render_header(run, **screen)]
    for profile in run.workloads:
        if by is None:
            parts.append(terminal.render_profile(profile, top=top, **screen))
        else:
            parts.append(terminal.render_grouped(profile, by, top=top, **screen))
    if not run.workloads:
        parts.append("no workload was recorded in it\n")
    return "\n".join(parts)


@main.command(name="list")
@_directory
def list_command(directory: Path) -> int:
    """List the runs, newest first."""
    from perfsuite.store import list_runs

    runs = list_runs(directory)
    if not runs:
        click.echo(f"no runs in {directory}: record one with: pytest --profile-dnn", err=True)
        return 0
    from perfsuite.present.terminal import render_runs

    _write(render_runs(runs, **_screen()))
    return 0


@main.command()
@click.option("--keep", type=click.IntRange(min=0), required=True, help="How many of the newest runs to keep.")
@_directory
def prune(keep: int, directory: Path) -> int:
    """Remove old runs; one that is still being written stays."""
    from perfsuite.store import prune_runs

    removed = prune_runs(directory, keep)
    _write("".join(f"removed {run_id}\n" for run_id in removed) or "nothing to remove\n")
    return 0


if __name__ == "__main__":
    main()
