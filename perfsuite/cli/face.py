"""What every command shares: how it fails, how it writes, and the folder of the runs."""

from __future__ import annotations

import math
import os
import shutil
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, AnyStr

import click

from perfsuite import __version__
from perfsuite.errors import FAULT, INTERRUPTED, NotComparableError, PerfsuiteError, StoreError, UsageError

DEFAULT_DIR = ".perfsuite"


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
            code = INTERRUPTED
        except click.ClickException as error:
            code = fail(error.format_message(), error.exit_code)
        except Exception as error:  # whatever it is, it must not end with a code that is a verdict
            code = _crashed(error)
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; perfsuite's errors become one line and an exit code."""
        try:
            return super().invoke(ctx)
        except NotComparableError as error:
            # Every command that compares runs has the option.
            return fail(f"{error}; --force compares them anyway", error.exit_code)
        except PerfsuiteError as error:
            return fail(str(error), error.exit_code)
        except KeyboardInterrupt:
            return INTERRUPTED
        except BrokenPipeError:
            # `| head` has read what it wanted of a stream; what has a verdict to give does not come here.
            _discard(sys.stdout)
            return 0


def fail(message: str, exit_code: int) -> int:
    """One line on stderr; returns the exit code."""
    from perfsuite.present.cells import clean

    tell(f"perfsuite: error: {clean(message)}")
    return exit_code


def _crashed(error: Exception) -> int:
    """What nobody expected: the traceback and one line on stderr; returns the exit code."""
    from perfsuite.present.cells import clean

    tell("".join(traceback.format_exception(error)), nl=False)
    tell(f"perfsuite: this is a fault of perfsuite: {clean(f'{type(error).__name__}: {error}')}; please report it")
    return FAULT


def tell(text: str, nl: bool = True) -> None:
    """Write to stderr.  Where nobody reads that any more nothing is said, and the command goes on."""
    try:
        click.echo(text, nl=nl, err=True)
    except OSError:
        _discard(sys.stderr)


def _discard(stream: IO[str]) -> None:
    """Point a stream at nothing: else the interpreter's last flush fails once more, which changes the exit code."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


def write(text: str) -> None:
    """Write to stdout; a character that its encoding lacks becomes ``?`` instead of a traceback.

    A reader that is gone (``| head``, a ``tee`` that died) is no failure: the command goes on to its own exit code.

    Raises:
        PerfsuiteError: stdout is closed, or cannot be written to.
    """
    with suppress(BrokenPipeError):
        write_on(text)


def write_on(text: str) -> None:
    """Write the next part of a stream of unknown length to stdout, as :func:`write` does.

    Raises:
        BrokenPipeError: nobody reads any more, so the rest need not be made.
        PerfsuiteError: as :func:`write`.
    """
    _check_open()
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    text = text.encode(encoding, "replace").decode(encoding)
    _written(sys.stdout, text)


def write_document(text: str) -> None:
    """Write a page or a comment to stdout, in UTF-8 whatever the locale: that is what its readers take it for.

    A reader that is gone is no failure, as for :func:`write`.

    Raises:
        PerfsuiteError: stdout is closed, or cannot be written to.
    """
    _check_open()
    if not hasattr(sys.stdout, "buffer"):
        # A caller in Python has put a text stream in its place, which has no encoding.
        return write(text)
    with suppress(BrokenPipeError):
        sys.stdout.flush()
        _written(sys.stdout.buffer, text.encode("utf-8", "backslashreplace"))


def _check_open() -> None:
    if sys.stdout is None:
        raise PerfsuiteError("cannot write the output: stdout is closed")


def _written(stream: IO[AnyStr], text: AnyStr) -> None:
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        _discard(sys.stdout)
        raise
    except OSError as error:
        _discard(sys.stdout)
        raise PerfsuiteError(f"cannot write the output: {error.strerror}") from error


def here() -> Path:
    """The folder that the user is in.

    Raises:
        UsageError: it does not exist any more.
    """
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise UsageError("the folder you are in does not exist any more: change to one that does") from None


def target(output: str) -> Path:
    """The file that ``-o`` names; what is wrong with it is said before anything is loaded.

    Raises:
        UsageError: the name is empty.
        StoreError: there is no folder for it, or it is one itself.
    """
    from perfsuite.store.files import check_target

    if not output:
        raise UsageError("-o: expected the name of a file, found ''")
    # A `Path` forgets the stroke that says: this is a folder.
    if output.endswith(os.sep):
        raise StoreError(f"cannot write {output}: that is the name of a folder")
    path = Path(output)
    check_target(path)
    return path


def screen() -> dict[str, Any]:
    """Width and colour of the terminal; 80 columns and none where it is a pipe."""
    _check_open()
    plain = not sys.stdout.isatty() or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return {"width": shutil.get_terminal_size((80, 24)).columns, "color": not plain}


def finite(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """Refuse ``nan``, which lies in every range by the comparisons that click makes, and infinity."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is no number to work with")
    return value


directory_option = click.option(
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
    """Look at what `pytest --profile-dnn` recorded, and at any oneDNN verbose log."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
