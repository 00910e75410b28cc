"""``perfsuite calibrate``: what a gate can tell on this host."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import click

from perfsuite.cli.face import directory_option, finite, main, screen, write
from perfsuite.cli.progress import progress_line
from perfsuite.cli.signals import stopped_like_interrupted

#: Slowdowns that are built in, in thresholds.
_PLANTED = (1.0, 2.0)


@main.command(short_help="How small a slowdown the gate can see on this host, and in how long.")
@click.option("--pairs", type=click.IntRange(min=8), default=40, show_default=True, help="Process pairs, equal sides.")
@click.option(
    "--planted", type=click.IntRange(min=0), default=10, show_default=True, help="Pairs of each built-in slowdown."
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 100, min_open=True),
    callback=finite,
    default=3.0,
    show_default=True,
    metavar="PERCENT",
    help="By which decisions are made.",
)
@click.option("--seed", type=int, metavar="N", help="Of every order and of what is drawn, to have the same again.")
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON.")
@directory_option
def calibrate(pairs: int, planted: int, threshold: float, seed: int | None, as_json: bool, directory: Path) -> int:
    """Compare a training step of perfsuite's own with itself, and with slowdowns built in, on this host.

    Prints how often a gate here would cry wolf, what it would find, and what that takes.  The budget that it
    recommends is kept in DIR and is what `perfsuite gate` uses by default.  A pair takes about five seconds; nothing
    else should run meanwhile.
    """
    from perfsuite.gate.calibration import calibrate as conclude
    from perfsuite.gate.calibration_store import check_folder, save_calibration
    from perfsuite.gate.model import Policy
    from perfsuite.gate.rehearse import rehearse

    if 0 < planted < 3:
        raise click.UsageError("--planted: at least three pairs of each slowdown, or 0 for none")
    policy = replace(Policy(), threshold=threshold / 100)
    check_folder(directory)
    with stopped_like_interrupted(), progress_line() as progress:
        found = rehearse(pairs, planted, [times * policy.threshold for times in _PLANTED], progress, seed)
        progress("drawing decisions")
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        calibration = conclude(
            found.equal,
            found.planted,
            policy,
            created=created,
            environment=found.environment,
            profile_seconds=found.profile_seconds,
            seed=seed or 0,
        )
    path = save_calibration(directory, calibration)
    if as_json:
        from perfsuite.present.calibration import calibration_json

        write(json.dumps(calibration_json(calibration), allow_nan=False) + "\n")
    else:
        from perfsuite.present.calibration import render_calibration

        write(render_calibration(calibration, **screen()))
        click.echo(f"kept in {path}", err=True)
    return 0
