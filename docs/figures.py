"""Records the four models and draws their donuts: ``python docs/figures.py``, or ``make figures``.

With the folder of a recording (``--runs DIR``, made by an earlier call with ``--keep DIR``) it only draws.  The figures
show times: record them on a machine that does nothing else.

In float32 a Transformer executes no oneDNN primitive (its products are the BLAS library's), so it is recorded in
bfloat16 where the processor multiplies that; elsewhere its donut shows operators, and says so.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from perfsuite.analyse.figures import donut
from perfsuite.environment import gather_environment
from perfsuite.errors import PerfsuiteError
from perfsuite.present.cells import format_share
from perfsuite.present.phrases import machine
from perfsuite.present.plots import draw, save
from perfsuite.present.plots.style import NARROW
from perfsuite.records import Profile, Run
from perfsuite.store import list_runs, load_run

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
MODELS = ("retinanet", "resnet18", "lstm", "transformer")
#: Shares of the time in primitives, as read off figure 2 of arXiv 2206.10034.
PAPER = {
    "retinanet": "convolution BWD_W 65%, BWD_D 15%, FWD_D 15%, reorder 5%",
    "resnet18": "convolution BWD_W 50%, batch normalisation BWD 16%, reorder 15%, others",
    "lstm": "rnn BWD 55%, FWD 37%, reorder 5%",
    "transformer": "inner product BWD_W 35%, matmul 29%, inner product FWD 19%, reorder 10%, inner product BWD_D 7%",
}
#: Any of these in ``/proc/cpuinfo`` says that products in bfloat16 have an instruction.
_BFLOAT16 = ("avx512_bf16", "amx_bf16")


def main(arguments: Sequence[str] | None = None) -> int:
    """Record unless told where a recording lies, draw, and say what was drawn from what."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", metavar="DIR", type=Path, help="draw what is recorded there, without recording")
    parser.add_argument("--keep", metavar="DIR", type=Path, help="where to leave the recording; by default nowhere")
    parser.add_argument("--scale", default="standard", help="of the workloads (default: standard)")
    parser.add_argument("--images", metavar="DIR", type=Path, default=IMAGES, help="where the figures go")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.runs is not None:
            return _draw(chosen.runs, chosen.images)
        with tempfile.TemporaryDirectory() as scratch:
            folder = chosen.keep or Path(scratch)
            record(folder, chosen.scale, gather_environment().isa)
            return _draw(folder, chosen.images)
    except PerfsuiteError as error:
        print(f"figures: error: {error}", file=sys.stderr)
        return error.exit_code
    except subprocess.CalledProcessError as error:
        print(f"figures: error: recording failed with exit code {error.returncode}; see above", file=sys.stderr)
        return 1


def record(folder: Path, scale: str, isa: Sequence[str]) -> None:
    """Runs of all models in ``folder``.

    Raises:
        subprocess.CalledProcessError: pytest failed.
    """
    for dtype, models in by_dtype(isa).items():
        tests = [f"benchmarks/test_training.py::test_training_step[{model}]" for model in models]
        options = ["--profile-dnn", "--profile-dnn-dir", str(folder.resolve())]
        sizes = ["--workload-scale", scale, "--workload-dtype", dtype]
        # Quietly: where the allocator gives memory back, the first touches of its pages are part of a primitive's time.
        quietly = [sys.executable, "-m", "perfsuite.cli", "launch", "--", sys.executable, "-m", "pytest", "-q"]
        subprocess.run([*quietly, *tests, *options, *sizes], cwd=ROOT, check=True)


def by_dtype(isa: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Which models to record in which data type on a processor with these features."""
    if not set(isa) & set(_BFLOAT16):
        return {"float32": MODELS}
    return {"float32": MODELS[:3], "bfloat16": MODELS[3:]}


def newest(folder: Path) -> dict[str, tuple[Run, Profile]]:
    """The newest recording of each model that is there."""
    found: dict[str, tuple[Run, Profile]] = {}
    for summary in reversed(list_runs(folder)):
        run = load_run(summary.path)
        found |= {profile.name: (run, profile) for profile in run.workloads if profile.name in MODELS}
    return found


def shares(recorded: Mapping[str, tuple[Run, Profile]]) -> str:
    """The donuts as a table in Markdown, beside those of the paper; ``docs/method.md`` includes it."""
    lines = ["| recorded | of the step | shares here | in the paper |", "|---|---|---|---|"]
    machines: dict[str, None] = {}
    for model, (run, profile) in recorded.items():
        figure = donut(profile)
        wedges = ", ".join(f"{wedge.name} {wedge.part}".strip() + f" {wedge.share:.0%}" for wedge in figure.wedges)
        of = format_share(figure.share_of_step)
        shown = figure.missing or f"{wedges}{'' if figure.of == 'primitives' else ' (operators: no primitive ran)'}"
        lines.append(f"| {figure.subtitle} | {of} | {shown} | {PAPER[model]} |")
        machines[machine(run)] = None
    return "\n".join([*lines, "", f"Recorded on {'; '.join(machines)}.", ""])


def _draw(folder: Path, images: Path) -> int:
    """A donut of each model, and the table of their shares.

    Raises:
        PerfsuiteError: a model is not there.
    """
    recorded = newest(folder)
    lacking = [model for model in MODELS if model not in recorded]
    if lacking:
        raise PerfsuiteError(f"{folder}: no recording of {', '.join(lacking)}; record them with: make figures")
    images.mkdir(parents=True, exist_ok=True)
    for model in MODELS:
        run, profile = recorded[model]
        figure = donut(profile)
        path = images / f"donut-{model}.svg"
        save(draw(figure, width=NARROW), path)  # two beside each other
        print(f"{path}: {figure.title} ({figure.subtitle}), run {run.id}")
    (images / "donuts.md").write_text(shares({model: recorded[model] for model in MODELS}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
