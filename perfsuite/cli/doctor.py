"""``perfsuite doctor``: what about this host makes times unrepeatable, and what mends it."""

from __future__ import annotations

import json

import click

from perfsuite.cli.face import finite, main, screen, tell, write

#: Something is bad; with ``--strict``, something is to be mended.
_FOUND = 1


@main.command(short_help="What makes times unrepeatable on this host, and what mends it.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0.5, max=3600),
    default=1.0,
    show_default=True,
    callback=finite,
    help="How long to sample load, steal time, swapping and throttling.",
)
@click.option(
    "--import",
    "modules",
    metavar="MODULE",
    multiple=True,
    help="What a process imports in which OpenMP runtimes are looked for; by default torch, if it is installed.",
)
@click.option("--no-import", is_flag=True, help="Import nothing: OpenMP runtimes are not looked for.")
@click.option("--strict", is_flag=True, help="Exit with 1 for what is to be mended too, not only for what is bad.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def doctor(seconds: float, modules: tuple[str, ...], no_import: bool, strict: bool, as_json: bool) -> int:
    """Look for what makes times unrepeatable on this host, and say what mends each.

    Nothing is changed.  What computes while it looks counts as a disturbance, so start it when the machine is as it
    will be for your measurements.  Exits with 1 if a check is bad.
    """
    from perfsuite.doctor import Unread, diagnose, gather_software, loaded_runtimes, read_facts

    if no_import and modules:
        raise click.UsageError("--import and --no-import exclude each other")
    openmp = Unread("not looked for, because of --no-import") if no_import else loaded_runtimes(modules)
    tell(f"sampling for {seconds:g} s …")
    diagnosis = diagnose(read_facts(seconds=seconds, software=gather_software(), openmp=openmp))
    if as_json:
        from perfsuite.present.doctor import diagnosis_json

        write(json.dumps(diagnosis_json(diagnosis), indent=1, allow_nan=False) + "\n")
    else:
        from perfsuite.present.doctor import render_diagnosis

        write(render_diagnosis(diagnosis, **screen()))
    return _FOUND if diagnosis.count("bad") or (strict and diagnosis.count("warn")) else 0
