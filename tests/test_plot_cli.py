"""``perfsuite plot``, and the script behind ``make figures``."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner, Result

from perfsuite.analyse import figures
from perfsuite.cli import main
from perfsuite.present import plots
from perfsuite.present.kinds import KINDS
from perfsuite.records import Phase, Profile
from perfsuite.store import create_run
from tests.samples import a_profile, an_environment
from tests.test_figures import with_curve

ROOT = Path(__file__).parent.parent
STARTS = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


def plot(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["plot", *map(str, arguments)])


def _script() -> ModuleType:
    """``docs/figures.py``, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("docs_figures", ROOT / "docs" / "figures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


script = _script()


def save(directory: Path, *profiles: Profile, **environment: object) -> str:
    with create_run(directory, an_environment(**environment)) as run:
        for one in profiles:
            run.write(one)
        run.finish()
    return run.id


@pytest.fixture
def runs(tmp_path):
    """A folder with two runs: base, then head, whose names are the other two values."""
    directory = tmp_path / "runs"
    base = save(directory, a_profile("net"))
    head = save(directory, replace(with_curve(), name="net"))
    return directory, base, head


@pytest.mark.parametrize("suffix", STARTS)
@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_each_kind_in_each_format(kind, suffix, runs, tmp_path):
    directory, base, head = runs
    path = tmp_path / f"x{suffix}"
    sides = [head, base] if kind == "waterfall" else [head]
    done = plot(*sides, "--kind", kind, "-o", path, "--dir", directory)
    assert done.exit_code == 0, done.output
    assert path.read_bytes().startswith(STARTS[suffix])
    assert done.stdout == f"{path}: {kind} of net\n"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_kind_names_what_is_there(kind):
    assert issubclass(getattr(figures, kind.record), figures.FigureRecord)
    assert callable(getattr(figures, kind.make))
    assert plots.KINDS[kind.name] is getattr(plots, kind.draw)


def test_every_record_has_a_kind():
    # Those of a profile; a history has figures of its own.
    of_profiles = figures.__name__ + "."
    records = {one.__name__ for one in figures.FigureRecord.__subclasses__() if one.__module__.startswith(of_profiles)}
    assert records == {kind.record for kind in KINDS}


def test_samples_of_two_runs_and_a_column(runs, tmp_path):
    directory, base, head = runs
    path = tmp_path / "x.svg"
    assert plot(head, base, "--kind", "samples", "-o", path, "--dir", directory, "--column").exit_code == 0
    text = path.read_text()
    assert "Timed steps of base and head" in text
    assert 'width="252pt"' in text


def test_what_there_is_nothing_of_is_said_in_the_figure_and_on_stderr(runs, tmp_path):
    directory = runs[0]
    path = tmp_path / "x.svg"
    other = save(directory, a_profile("net", allocation_curve=None, passes=("timing",)))
    done = plot(other, "--kind", "memory", "-o", path, "--dir", directory)
    assert done.exit_code == 0
    assert "did not run" in done.stderr
    assert "did not run" in path.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["HEAD", "--kind", "donut", "-o", "x.jpg"], "must end in .png, .svg or .pdf"),
        (["HEAD", "--kind", "donut", "-o", "x"], "must end in .png, .svg or .pdf"),
        (["HEAD", "--kind", "donut", "-o", "none/x.svg"], "there is no folder"),
        (["HEAD", "--kind", "waterfall", "-o", "x.svg"], "perfsuite plot RUN BASE"),
        (["HEAD", "BASE", "--kind", "donut", "-o", "x.svg"], "only waterfall and samples"),
        (["HEAD", "--kind", "pie", "-o", "x.svg"], "'pie' is not one of"),
        (["HEAD", "--kind", "donut", "-o", "x.svg", "--workload", "bert"], "'bert' is not in run"),
        (["nowhere", "--kind", "donut", "-o", "x.svg"], "nowhere"),
        (["HEAD", "OTHER", "--kind", "waterfall", "-o", "x.svg"], "not comparable"),
        (["HEAD", "HEAD", "--kind", "waterfall", "-o", "x.svg"], "base and head are the same run"),
        (["HEAD", "HEAD", "--kind", "samples", "-o", "x.svg"], "base and head are the same run"),
        (["HEAD", "--kind", "donut"], "--output"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_written(arguments, said, runs, tmp_path, monkeypatch):
    directory, base, head = runs
    other = save(directory, a_profile("net"), cpu_model="Another CPU")
    monkeypatch.chdir(tmp_path)
    names = {"HEAD": head, "BASE": base, "OTHER": other}
    done = plot(*(names.get(one, one) for one in arguments), "--dir", directory)
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_force_draws_what_is_not_comparable(runs, tmp_path):
    directory, _, head = runs
    other = save(directory, a_profile("net"), cpu_model="Another CPU")
    path = tmp_path / "x.svg"
    assert plot(head, other, "--kind", "waterfall", "-o", path, "--dir", directory, "--force").exit_code == 0
    assert path.exists()


def test_of_several_workloads_one_has_to_be_named(tmp_path):
    save(tmp_path, a_profile("net"), a_profile("other"))
    done = plot("--kind", "phases", "-o", tmp_path / "x.svg", "--dir", tmp_path)
    assert done.exit_code == 2
    assert "choose one with --workload: net, other" in done.stderr
    done = plot("--kind", "phases", "-o", tmp_path / "x.svg", "--dir", tmp_path, "--workload", "oth")
    assert done.exit_code == 0


def test_a_file_that_cannot_be_written_stays_as_it_was(runs, tmp_path, monkeypatch):
    directory, _, head = runs
    path = tmp_path / "x.svg"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("perfsuite.store.files.os.replace", full)
    done = plot(head, "--kind", "donut", "-o", path, "--dir", directory)
    assert done.exit_code == 2
    assert done.stderr == f"perfsuite: error: cannot write {path}: No space left on device\n"
    assert path.read_text() == "old"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["runs", "x.svg"]


def test_plot_loads_no_torch_and_writes_only_its_line(runs, tmp_path):
    directory, _, head = runs
    code = (
        "import sys; from perfsuite.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as end: print(end.code, 'torch' in sys.modules, 'matplotlib.pyplot' in sys.modules)"
    )
    arguments = ["plot", head, "--kind", "donut", "-o", str(tmp_path / "x.png"), "--dir", str(directory)]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, cwd=ROOT,
        env={"MPLCONFIGDIR": str(tmp_path / "fresh"), "PATH": ""},
    )  # fmt: skip
    assert done.stdout.splitlines() == [f"{tmp_path / 'x.png'}: donut of net", "0 False False"]


# --- make figures -----------------------------------------------------------------------------------


def test_the_transformer_is_recorded_in_bfloat16_where_there_are_instructions_for_it():
    assert script.by_dtype(("avx2",)) == {"float32": script.MODELS}
    assert script.by_dtype(("avx512f", "avx512_bf16"))["bfloat16"] == ("transformer",)
    assert script.by_dtype(("amx_bf16", "amx_tile"))["float32"] == ("retinanet", "resnet18", "lstm")


def test_the_newest_recording_of_each_model_is_drawn(tmp_path, capsys):
    runs, images = tmp_path / "runs", tmp_path / "images"
    save(runs, *(a_profile(model) for model in script.MODELS))
    newest = save(runs, a_profile("lstm", scale="standard", phases=(Phase("forward", (1,)),)))
    assert script.main(["--runs", str(runs), "--images", str(images)]) == 0
    drawn = sorted(path.name for path in images.glob("*.svg"))
    assert drawn == sorted(f"donut-{model}.svg" for model in script.MODELS)
    assert "lstm" in (images / "donuts.md").read_text()
    assert "lstm · standard" in (images / "donut-lstm.svg").read_text()
    printed = capsys.readouterr().out.splitlines()
    assert [newest in line for line in printed] == [False, False, True, False]


def test_a_model_that_was_not_recorded_is_named(tmp_path, capsys):
    save(tmp_path, a_profile("lstm"))
    assert script.main(["--runs", str(tmp_path), "--images", str(tmp_path / "images")]) == 2
    assert "no recording of retinanet, resnet18, transformer" in capsys.readouterr().err
    assert not (tmp_path / "images").exists()
