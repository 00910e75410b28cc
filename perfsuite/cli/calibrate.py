"""``perfsuite calibrate``: what a gate can tell on this host."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from perfsuite.cli.face import directory_option, finite, here, main, screen, tell, write
from perfsuite.cli.progress import progress_line
from perfsuite.cli.signals import stopped_like_interrupted

#: Slowdowns that are built in, in thresholds.
_PLANTED = (1.0, 2.0)


@main.command(short_help="How small a slowdown the gate can see on this host, and in how long.")
@click.option(
    "--pairs", type=click.IntRange(min=8), default=40, show_default=True, help="Process pairs of equal sides."
)
@click.option(
    "--planted",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="Process pairs of each slowdown that is built in; 0 for none.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 100, min_open=True),
    callback=finite,
    metavar="PERCENT",
    help="Threshold to decide by; default: the project's, or 3.",
)
@click.option("--seed", type=int, metavar="N", help="Seed for every order and every draw, to get the same again.")
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON.")
@directory_option
def calibrate(
    pairs: int, planted: int, threshold: float | None, seed: int | None, as_json: bool, directory: Path
) -> int:
    """Compare a training step of perfsuite's own with itself, and with slowdowns that are built in, on this host.

    Prints how often a gate here would raise a false alarm, which slowdowns it would find, and how long that takes.
    The budget that it recommends is kept in DIR, and `perfsuite gate` takes it if it is more than its own default.
    Confidence, the most pairs, allocator and threads are those of the project's settings.  A pair takes about five
    seconds; run nothing else in the meantime.
    """
    from perfsuite.gate.calibration import calibrate as conclude
    from perfsuite.gate.calibration_store import check_folder, save_calibration
    from perfsuite.gate.git import working_tree
    from perfsuite.gate.model import Policy
    from perfsuite.gate.rehearse import rehearse
    from perfsuite.gate.settings import settings_for

    if 0 < planted < 3:
        raise click.UsageError("--planted: at least three pairs of each slowdown, or 0 for none")
    folder = here()
    settings, _ = settings_for(folder, working_tree(folder) or folder)
    policy = Policy(
        threshold=settings.threshold if threshold is None else threshold / 100,
        confidence=settings.confidence,
        max_pairs=settings.max_pairs,
    )
    check_folder(directory)
    with stopped_like_interrupted(), progress_line() as progress:
        shares = [times * policy.threshold for times in _PLANTED]
        found = rehearse(pairs, planted, shares, progress, seed, settings.allocator, settings.threads)
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
        tell(f"kept in {path}")
    return 0
