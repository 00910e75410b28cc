"""The real IPython loads the extension, shows records that were saved and loaded, and forgets them again."""

from __future__ import annotations

import atexit
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from IPython.core.interactiveshell import InteractiveShell
from rich.cells import cell_len
from traitlets.config import Config

import perfsuite
from perfsuite.analyse.advice import Advice, Finding, NotChecked, Stake, Subject, advise
from perfsuite.analyse.diff import diff_runs
from perfsuite.present.cells import clean
from perfsuite.present.notebook import register, unregister
from perfsuite.present.phrases import short
from perfsuite.records import Profile, Run
from perfsuite.store import create_run
from tests.diff_profiles import op, primitive, profile
from tests.hostile import HOSTILE, Page, hostile_text
from tests.samples import a_profile, an_environment

TAGS = {"div", "b", "code", "table", "thead", "tbody", "tr", "th", "td", "bdi", "details", "summary", "pre"}


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InteractiveShell]:
    config = Config()
    config.HistoryManager.enabled = False
    made = InteractiveShell.instance(config=config, ipython_dir=str(tmp_path_factory.mktemp("ipython")))
    yield made
    made.atexit_operations()
    made.restore_sys_module_state()  # of __main__, which multiprocessing in other tests reads
    # Or it would be done once more at the end of the process, which fails.
    atexit.unregister(made.atexit_operations)
    InteractiveShell.clear_instance()


@pytest.fixture
def shell(started: InteractiveShell) -> Iterator[InteractiveShell]:
    yield started
    started.run_line_magic("unload_ext", "perfsuite")
    unregister(started)
    started.display_formatter.formatters["text/html"].pop(Run, None)


def a_run(*profiles: Profile, **changes: Any) -> Run:
    values = {"id": "a-run", "created": "2026-11-21T10:39:53+00:00", "status": "complete", **changes}
    return Run(environment=an_environment(), workloads=profiles, **values)


def shown(shell: InteractiveShell, record: Any) -> dict[str, str]:
    formats, _ = shell.display_formatter.format(record)
    return formats


def cells(html: str) -> list[list[str]]:
    """The text of each row of the table."""
    rows = re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)
    return [[Page(cell).everything for cell in re.findall(r"<bdi>.*?</bdi>", row, re.DOTALL)] for row in rows]


def sides() -> tuple[Run, Run]:
    base = profile([op("aten::mkldnn_convolution", "Net.conv", times=(10000, 10010, 9990))], [(0, primitive("brg"))])
    head = profile([op("aten::mkldnn_convolution", "Net.conv", times=(20000, 20010, 19990))], [(0, primitive("ref"))])
    return a_run(base, id="base-run"), a_run(head, id="head-run")


def test_a_saved_run_shows_as_a_table_once_the_extension_is_loaded(shell: InteractiveShell, tmp_path: Path) -> None:
    writer = create_run(tmp_path, an_environment())
    writer.write(a_profile())
    writer.finish()
    shell.run_cell(
        f"%load_ext perfsuite\nimport perfsuite\nrun = perfsuite.load_run(directory={str(tmp_path)!r})"
    ).raise_error()
    result = shell.run_cell("run")
    result.raise_error()
    formats = shown(shell, result.result)
    assert set(formats) == {"text/plain", "text/html"}
    head, row = cells(formats["text/html"])
    assert head == ["Workload", "Median step", "Interval", "", "n", "Most self time", "Share"]
    assert row == [
        "benchmarks/test_net.py::test_step[smoke-float32]", "100.0 µs", "92.00 µs to 108.0 µs", "95% interval", "11",
        "aten::convolution_backward 4x8", "40.0%",
    ]  # fmt: skip
    plain = formats["text/plain"]
    assert plain.startswith(f"run {writer.id}\n")
    assert "median step 100.0 µs" in plain
    assert "Profile(" not in plain
    assert plain.rstrip("\n") == plain


def test_a_workload_shows_its_operators(shell: InteractiveShell) -> None:
    shell.run_line_magic("load_ext", "perfsuite")
    html = shown(shell, a_profile())["text/html"]
    assert [row[:5] for row in cells(html)] == [
        ["Self", "Share", "Calls", "Operator", "Phase"],
        ["40.0 µs", "40.0%", "1", "aten::convolution_backward 4x8", "backward"],
        ["30.0 µs", "30.0%", "1", "aten::mkldnn_convolution 4x3", "forward"],
        ["5.00 µs", "5.0%", "2", "aten::add_ 8", "optimizer"],
    ]
    assert "median step 100.0 µs, 92.00 µs to 108.0 µs (95% interval, n = 11)" in Page(html).everything
    assert "no operators recorded" in Page(shown(shell, Profile("bare"))["text/html"]).everything


def test_comparisons_show_the_ratio_the_culprit_and_why(shell: InteractiveShell) -> None:
    shell.run_line_magic("load_ext", "perfsuite")
    diff = diff_runs(*sides())
    formats = shown(shell, diff)
    _, row = cells(formats["text/html"])
    assert row[0] == "net"
    assert row[3] == "1.00×"
    assert row[5:7] == ["aten::mkldnn_convolution 4x8", "+10.0 µs"]
    assert row[7] == "implementation of convolution forward_training brg → ref"
    assert formats["text/plain"].startswith("base base-run, head head-run\n")
    formats = shown(shell, diff.workloads[0])
    row = cells(formats["text/html"])[1]
    assert row[0] == "+10.0 µs"
    assert formats["text/plain"].startswith("net\nstep: head is 1.00× base")


def test_runs_that_are_not_comparable_say_so(shell: InteractiveShell) -> None:
    shell.run_line_magic("load_ext", "perfsuite")
    base, head = sides()
    html = shown(shell, diff_runs(base, replace(head, environment=an_environment(cpu_model="B"))))["text/html"]
    assert "NOT COMPARABLE: " in Page(html).everything


def test_advice_shows_what_is_at_stake(shell: InteractiveShell) -> None:
    shell.run_line_magic("load_ext", "perfsuite")
    found = Finding("rule", "A title", (), Stake(1e6, 0.25, "bound", "all of it"), "Do `this(a<b)`.", "Or not.")
    unknown = replace(found, title="Another", stake=Stake(None, None, "unknown", "of accuracy"), action="Do this.")
    advice = Advice("net", (found, unknown), (), (NotChecked("other", "needs a pass"),))
    formats = shown(shell, advice)
    assert cells(formats["text/html"])[1:] == [
        ["up to 1.00 ms", "25.0% of the profiled step", "A title", "Do this(a<b)."],
        ["not known", "", "Another", "Do this."],
    ]
    assert "<code>this(a&lt;b)</code>" in formats["text/html"]
    said = "2 findings: they overlap, so what is at stake does not add up; at stake is a share of the step"
    assert said in Page(formats["text/html"]).everything
    assert "1. A title [rule]" in formats["text/plain"]
    real = advise(Subject(a_profile(), an_environment()))
    assert "not checked" in shown(shell, real)["text/plain"]


def test_inside_of_something_else_a_record_is_one_line(shell: InteractiveShell) -> None:
    shell.run_line_magic("load_ext", "perfsuite")
    diff = diff_runs(*sides())
    listed = shown(shell, [a_run(a_profile()), a_profile("x"), Profile("bare"), diff, diff.workloads[0]])["text/plain"]
    assert [line.strip(" [],") for line in listed.splitlines()] == [
        "<Run a-run: 1 workload>", "<Profile x: median step 100.0 µs>", "<Profile bare: not timed>",
        "<RunDiff base-run to head-run: 1 workload>", "<WorkloadDiff net: head is 1.00× base>",
    ]  # fmt: skip


def test_unloading_restores_what_was_there(shell: InteractiveShell) -> None:
    before = shown(shell, a_profile())
    assert set(before) == {"text/plain"}
    plain = shell.display_formatter.formatters["text/plain"]
    html = shell.display_formatter.formatters["text/html"]

    def mine(run: Run) -> str:
        return "<i>mine</i>"

    html.for_type(Run, mine)
    types = [set(formatter.type_printers) for formatter in (plain, html)]
    shell.run_line_magic("load_ext", "perfsuite")
    assert shown(shell, a_run())["text/html"] != "<i>mine</i>"
    shell.run_line_magic("unload_ext", "perfsuite")
    assert [set(formatter.type_printers) for formatter in (plain, html)] == types
    assert shown(shell, a_run())["text/html"] == "<i>mine</i>"
    assert shown(shell, a_profile()) == before


def test_unloading_leaves_what_was_registered_since(shell: InteractiveShell) -> None:
    shell.run_line_magic("load_ext", "perfsuite")
    shell.display_formatter.formatters["text/html"].for_type(Run, lambda run: "<i>later</i>")
    shell.run_line_magic("unload_ext", "perfsuite")
    assert shown(shell, a_run())["text/html"] == "<i>later</i>"


def test_loading_twice_is_loading_once(shell: InteractiveShell) -> None:
    before = shown(shell, a_profile())
    register(shell)
    perfsuite.load_ipython_extension(shell)
    perfsuite.unload_ipython_extension(shell)
    assert shown(shell, a_profile()) == before
    unregister(shell)
    shell.run_line_magic("load_ext", "perfsuite")
    shell.run_line_magic("reload_ext", "perfsuite")
    assert "text/html" in shown(shell, a_profile())


def hostile_run(first: str, second: str) -> Run:
    made = a_profile(first, notes=(second,), scale=second, join=second)
    operators = tuple(replace(row, name=second, module=first, phase=second) for row in made.operators)
    primitives = tuple(replace(row, kind=first, implementation=second) for row in made.primitives)
    environment = an_environment(cpu_model=first, torch=second, disturbances=(second,))
    workload = replace(made, operators=operators, primitives=primitives)
    return replace(a_run(workload, problems=(first, second)), environment=environment)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=hostile_text, second=hostile_text)
def test_hostile_names_are_shown_as_text(shell: InteractiveShell, first: str, second: str) -> None:
    register(shell)
    run = hostile_run(first, second)
    told = Finding("rule", second, (), Stake(1.0, 0.5, "measured", second), first, second)
    advice = replace(advise(Subject(run.workloads[0], run.environment)), findings=(told,))
    diff = diff_runs(run, run)
    for record in (run, run.workloads[0], diff, diff.workloads[0], advice):
        formats = shown(shell, record)
        page = Page(formats["text/html"])
        assert set(page.tags) <= TAGS
        assert page.attributes <= {"style"}
        assert not page.open
        for line in formats["text/plain"].split("\n"):
            assert clean(line) == line
        nested = shown(shell, [record])["text/plain"]
        assert clean(nested) == nested
    assert short(first) in Page(shown(shell, run)["text/html"]).everything


def test_text_keeps_to_the_width_of_the_shell(shell: InteractiveShell) -> None:
    register(shell)
    width = shell.display_formatter.formatters["text/plain"].max_width
    # Each name once, two in a run.
    for index in range(0, len(HOSTILE), 2):
        run = hostile_run(HOSTILE[index], HOSTILE[index - 1])
        for record in (run, run.workloads[0], diff_runs(run, run)):
            text = shown(shell, record)["text/plain"]
            assert max(cell_len(line) for line in text.split("\n")) <= width


def test_the_extension_needs_neither_torch_nor_pandas() -> None:
    code = (
        "import sys; from IPython.core.interactiveshell import InteractiveShell as Shell;"
        "shell = Shell.instance(); shell.run_line_magic('load_ext', 'perfsuite');"
        "from perfsuite.records import Profile; formats, _ = shell.display_formatter.format(Profile('x'));"
        "print(sorted(formats), [m for m in ('torch', 'pandas', 'matplotlib') if m in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "['text/html', 'text/plain'] []"
