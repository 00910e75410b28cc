"""How runs, workloads, comparisons and advice show in IPython and Jupyter; the records know nothing of it.

IPython is the caller's: nothing here imports it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from perfsuite.analyse import tables
from perfsuite.analyse.advice import Advice
from perfsuite.analyse.diff import RunDiff, WorkloadDiff
from perfsuite.present.advice import render_advice
from perfsuite.present.cells import format_ns
from perfsuite.present.diff import render_diff
from perfsuite.present.notebook_html import advice_html, profile_html, run_diff_html, run_html, workload_diff_html
from perfsuite.present.phrases import counted, factor, short
from perfsuite.present.terminal import render_header, render_profile
from perfsuite.records import Profile, Run

_TOP = 10
#: Of the text that a click unfolds below a table.
_HTML_WIDTH = 120
#: Shell → (mime type, record) → the formatter that was there before, None where there was none.
_replaced: WeakKeyDictionary[Any, dict[tuple[str, type], Any]] = WeakKeyDictionary()


def register(ipython: Any) -> None:
    """Show perfsuite's records as tables in this shell (an ``InteractiveShell``); twice is once."""
    if ipython in _replaced:
        return
    before: dict[tuple[str, type], Any] = {}
    for mime, functions in _FORMATTERS.items():
        formatter = ipython.display_formatter.formatters[mime]
        for record, function in functions.items():
            before[mime, record] = formatter.for_type(record, function)
    _replaced[ipython] = before


def unregister(ipython: Any) -> None:
    """Show them as before; what somebody else has registered since stays."""
    for (mime, record), function in _replaced.pop(ipython, {}).items():
        formatter = ipython.display_formatter.formatters[mime]
        if formatter.for_type(record) is not _FORMATTERS[mime][record]:
            continue
        formatter.pop(record)
        if function is not None:
            formatter.for_type(record, function)


# --- text -------------------------------------------------------------------------------------------


def _run_text(run: Run, width: int) -> str:
    parts = [render_header(run, width=width, color=False)]
    parts += [short(f"cannot be read: {problem}", width) + "\n" for problem in run.problems]
    parts += [_profile_text(profile, width) for profile in run.workloads]
    return "\n".join(parts)


def _profile_text(profile: Profile, width: int) -> str:
    return render_profile(profile, top=_TOP, width=width, color=False)


def _run_diff_text(diff: RunDiff, width: int) -> str:
    return render_diff(diff, top=_TOP, width=width, color=False)


def _workload_diff_text(diff: WorkloadDiff, width: int) -> str:
    text = render_diff(RunDiff("", "", (), (), (), (), (diff,)), top=_TOP, width=width, color=False)
    # Without the line that names the runs, and the empty one below it: a workload does not know them.
    return text.split("\n", 2)[2]


def _advice_text(advice: Advice, width: int) -> str:
    return render_advice(advice, width=width, color=False)


def _run_name(run: Run) -> str:
    return f"{run.id}: {counted(len(run.workloads), 'workload')}"


def _profile_name(profile: Profile) -> str:
    step = tables.headline(profile)
    return f"{profile.name}: {'not timed' if step is None else f'median step {format_ns(step.median_ns, 4)}'}"


def _run_diff_name(diff: RunDiff) -> str:
    return f"{diff.base_id} to {diff.head_id}: {counted(len(diff.workloads), 'workload')}"


def _workload_diff_name(diff: WorkloadDiff) -> str:
    return f"{diff.name}: head is {factor(diff.wall.ratio)} base"


def _advice_name(advice: Advice) -> str:
    return f"{advice.workload}: {counted(len(advice.findings), 'finding')}"


def _plain(text: Callable[[Any, int], str], name: Callable[[Any], str]) -> Callable[[Any, Any, bool], None]:
    """A function for IPython's pretty printer: all of it on its own, one line inside of something else."""

    def show(record: Any, printer: Any, cycle: bool) -> None:
        if len(printer.stack) > 1:
            printer.text(f"<{type(record).__name__} {short(name(record))}>")
        else:
            printer.text(text(record, printer.max_width).rstrip("\n"))

    return show


_FORMATTERS: Mapping[str, Mapping[type, Callable[..., Any]]] = {
    "text/plain": {
        Run: _plain(_run_text, _run_name),
        Profile: _plain(_profile_text, _profile_name),
        RunDiff: _plain(_run_diff_text, _run_diff_name),
        WorkloadDiff: _plain(_workload_diff_text, _workload_diff_name),
        Advice: _plain(_advice_text, _advice_name),
    },
    "text/html": {
        Run: lambda run: run_html(run, _run_text(run, _HTML_WIDTH)),
        Profile: lambda profile: profile_html(profile, _profile_text(profile, _HTML_WIDTH)),
        RunDiff: lambda diff: run_diff_html(diff, _run_diff_text(diff, _HTML_WIDTH)),
        WorkloadDiff: lambda diff: workload_diff_html(diff, _workload_diff_text(diff, _HTML_WIDTH)),
        Advice: lambda advice: advice_html(advice, _advice_text(advice, _HTML_WIDTH)),
    },
}
