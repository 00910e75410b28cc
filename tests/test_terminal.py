from __future__ import annotations

import dataclasses
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from perfsuite.errors import UsageError
from perfsuite.present.cells import (
    clean,
    fit_widths,
    format_bytes,
    format_count,
    format_ns,
    format_shapes,
    format_share,
    shorten_left,
    shorten_right,
)
from perfsuite.present.terminal import GROUPS, render_grouped, render_header, render_profile, render_runs
from perfsuite.records import AllocationCurve, Ledger, Memory, Operator, Phase, PhaseSpan, Profile, Run, Samples
from perfsuite.store import RunSummary
from tests.samples import a_primitive, a_profile, an_environment, profiles

EVIL = "[red]x[/red] \x1b[31mred\x07\x9b2J\r\n\t\u202e :smile: \ud800"
EVIL_SHOWN = r"[red]x[/red] \x1b[31mred\x07\x9b2J\r\n\t\u202e :smile: \ud800"


def render(profile: Profile, by: str | None = None, *, top: int = 10, width: int = 80, color: bool = False) -> str:
    if by is None:
        return render_profile(profile, top=top, width=width, color=color)
    return render_grouped(profile, by, top=top, width=width, color=color)


# --- a workload -------------------------------------------------------------------------------------


def test_a_workload_at_80_columns_reads_like_this() -> None:
    assert (
        render(a_profile())
        == """\
benchmarks/test_net.py::test_step[smoke-float32]
smoke · float32 · eager
median step 100.0 µs, 92.00 µs to 108.0 µs (95% interval, n = 11)

Phases: from steps without the profiler
Phase       Median  Of step
───────────────────────────
forward    41.0 µs    41.0%
backward   50.0 µs    50.0%
optimizer  8.00 µs     8.0%

3 operator rows: self time, mean of 2 profiled steps
Operator                                                     Self  Share  Calls
───────────────────────────────────────────────────────────────────────────────
aten::convolution_backward 4x8                            40.0 µs  40.0%      1
  jit:avx512_core, brg_conv_bwd_w:avx512_core  net.conv1
aten::mkldnn_convolution 4x3                              30.0 µs  30.0%      1
  brg_conv_fwd:avx512_core, jit:uni  net.conv1
aten::add_ 8                                              5.00 µs   5.0%      2

4 kinds of primitive: oneDNN's own clock, mean of 2 profiled steps
Primitive             Time  Of step  Of oneDNN  Calls
─────────────────────────────────────────────────────
convolution FWD_D  20.0 µs    20.0%      40.0%      1
convolution BWD_D  16.0 µs    16.0%      32.0%      1
convolution BWD_W  12.0 µs    12.0%      24.0%      1
reorder            2.00 µs     2.0%       4.0%      1

ledger: operators 75.0%, python 20.0%, unattributed 5.0% of 100 µs profiled
oneDNN: 50.0% of the step, 4 of 4 primitives joined (by markers)
memory: peak RSS 25.0 MiB, 10.0 MiB before the step; allocator peak +3.00 MiB in
  forward
passes cost: operators +4.1%, primitives +12.0% over the timed median of the
  same session
note: The first note.
"""
    )


def test_on_a_wide_screen_an_operator_takes_one_line() -> None:
    text = render(a_profile(), width=140)
    line = next(line for line in text.splitlines() if line.startswith("aten::mkldnn_convolution"))
    assert line.split() == [
        "aten::mkldnn_convolution", "4x3", "30.0", "µs", "30.0%", "1", "brg_conv_fwd:avx512_core,", "jit:uni",
        "net.conv1",
    ]  # fmt: skip


def many_shapes() -> Profile:
    """Operators as those of a large network: long shapes, modules and implementations."""
    names = ("aten::convolution_backward", "aten::convolution_overrideable", "aten::convolution")
    sizes = ((2, 256, 200, 304), (2, 256, 200, 304), (256, 256, 3, 3))
    rows = zip(names, a_profile().operators, strict=True)
    operators = tuple(dataclasses.replace(row, name=name, module=LONG, shapes=sizes) for name, row in rows)
    return a_profile(operators=operators)


@pytest.mark.parametrize("width", [60, 80, 100, 119, 120, 140])
def test_of_an_operator_the_shapes_are_cut_and_not_the_name(width: int) -> None:
    lines = [line for line in render(many_shapes(), width=width).splitlines() if line.startswith("aten::")]
    assert [line.split()[0] for line in lines] == [
        "aten::convolution", "aten::convolution_overrideable", "aten::convolution_backward",
    ]  # fmt: skip
    for line in lines:
        assert re.match(r"aten::\w+ (2x256x200x304 2x256x200x304 256x256x3x3|[0-9x ]*…) ", line)


@pytest.mark.parametrize("width", [80, 120, 160])
def test_a_name_too_long_for_one_line_has_the_room_of_two(width: int) -> None:
    flash = "aten::_scaled_dot_product_flash_attention_for_cpu"
    names = (f"{flash}_backward", flash, "aten::add_")
    rows = zip(names, many_shapes().operators, strict=True)
    profile = a_profile(operators=tuple(dataclasses.replace(row, name=name) for name, row in rows))
    lines = [line for line in render(profile, width=width).splitlines() if line.startswith(flash)]
    assert len(lines) == 2
    assert lines[0].startswith(f"{flash} ")
    assert lines[1].startswith(f"{flash}_ba")
    assert ("the_last_name" in lines[0]) == (width == 160)


@pytest.mark.parametrize("width", [80, 100, 119])
def test_below_a_wide_screen_shapes_have_the_room_of_the_details(width: int) -> None:
    text = render(many_shapes(), width=width)
    assert "aten::convolution 2x256x200x304 2x256x200x304 " in text
    assert "the_last_name\n" in text


def test_a_fact_that_does_not_fit_goes_on_indented() -> None:
    note = "word " * 40 + "end"
    lines = render(a_profile(notes=(note,)), width=80).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("note: "))
    first, *rest = lines[start:]
    assert len(rest) == 2
    assert all(line.startswith("  word") for line in rest)
    assert " ".join([first, *(line.strip() for line in rest)]) == f"note: {note}"


def test_top_limits_the_rows_and_says_of_how_many() -> None:
    text = render(a_profile(), top=1)
    assert "top 1 of 3 operator rows" in text
    assert "top 1 of 4 kinds of primitive" in text
    assert "aten::add_" not in text
    assert "reorder" not in text


@pytest.mark.parametrize(
    ("by", "there"),
    [
        ("operator", ["3 operator rows", "aten::add_", "backward  jit:avx512_core", "optimizer"]),
        ("primitive", ["convolution BWD_W  12.0 µs    12.0%", "brg_conv_bwd_w:avx512_core"]),
        ("module", ["net.conv1    70.0 µs  4.00 µs  74.0%  50.0 µs", "(outside)"]),
        ("phase", ["backward   50.0 µs    50.0%    40.0 µs     0 ns  40.0%  28.0 µs", "(outside)"]),
    ],
)
def test_each_grouping_shows_its_own_table(by: str, there: list[str]) -> None:
    text = render(a_profile(), by, width=90)
    for part in there:
        assert part in text
    assert text.startswith(a_profile().name)


def test_an_unknown_grouping_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="by 'colour': expected one of operator, primitive, module, phase"):
        render(a_profile(), "colour")


def test_a_step_without_onednn_says_so() -> None:
    operators = tuple(dataclasses.replace(row, primitives=()) for row in a_profile().operators)
    ledger = Ledger(100_000.0, 75_000.0, 20_000.0, 5_000.0, 0.0, 0.0)
    text = render(a_profile(primitives=(), operators=operators, ledger=ledger))
    assert "oneDNN: no primitive was executed" in text
    assert "aten::add_" in text


def test_a_pass_that_did_not_run_leaves_no_trace() -> None:
    assert render(Profile("bare")) == "bare\nnot timed\n"
    text = render(
        a_profile(
            join=None,
            primitives=(),
            operators=(),
            ledger=None,
            memory=None,
            allocation_curve=None,
            overhead={},
            notes=(),
        )
    )
    assert "oneDNN" not in text
    assert "ledger" not in text
    assert "memory" not in text


def test_the_allocators_peak_is_said_without_resident_memory_and_without_phases() -> None:
    curve = AllocationCurve(10, (0, 5, 10), (0, 2**20, 0), (PhaseSpan(EVIL, 5, 6),))
    bare = dataclasses.replace(curve, phases=())
    assert "memory: allocator peak +1.00 MiB\n" in render(a_profile(memory=None, allocation_curve=bare))
    assert f"allocator peak +1.00 MiB in {EVIL_SHOWN}" in render(Profile("p", allocation_curve=curve), width=120)


def test_few_samples_have_a_range() -> None:
    text = render(Profile("p", samples=Samples((2e6, 1e6, 3e6))))
    assert "median step 2.000 ms, 1.000 ms to 3.000 ms (range; n = 3 has no 95% interval)" in text


def test_what_is_not_known_is_a_dash_and_not_a_zero() -> None:
    text = render(a_profile(ledger=None, memory=Memory(2**20, None)))
    assert "peak RSS –" in text
    assert re.search(r"aten::add_ 8 +5\.00 µs +– +2\n", text)


def test_contended_times_are_marked() -> None:
    assert "smoke · float32 · eager · contended" in render(a_profile(contended=True))


@pytest.mark.parametrize("by", [None, *GROUPS])
@pytest.mark.parametrize("color", [False, True])
def test_hostile_text_is_shown_and_does_nothing(by: str | None, color: bool) -> None:
    base = a_profile()
    profile = a_profile(
        EVIL,
        scale=EVIL, dtype=EVIL, backend=EVIL, join=EVIL, notes=(EVIL,), overhead={EVIL: 0.1}, ledger=base.ledger,
        phases=(Phase(EVIL, (1,)),),
        operators=tuple(
            dataclasses.replace(row, name=EVIL, phase=EVIL, module=EVIL, shapes=((EVIL, 3),)) for row in base.operators
        ),
        primitives=tuple(
            dataclasses.replace(row, kind=EVIL, direction=EVIL, implementation=EVIL) for row in base.primitives
        ),
    )  # fmt: skip
    text = render(profile, by, width=400, color=color)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text) if color else text
    assert not [char for char in plain if unicodedata.category(char) in ("Cc", "Cf", "Cs") and char != "\n"]
    assert plain.startswith(EVIL_SHOWN)
    assert "\x1b[31m" not in text, "red is not a style of ours in a table"


@pytest.mark.parametrize("by", [None, *GROUPS])
def test_without_color_there_are_no_escape_codes_whatever_the_environment_says(
    by: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "CLICOLOR_FORCE"):
        monkeypatch.setenv(name, "1")
    assert "\x1b" not in render(a_profile(), by, color=False)
    assert "\x1b" in render(a_profile(), by, color=True)


LONG = "backbone.body.layer4.2.branch." * 4 + "the_last_name"


@pytest.mark.parametrize("by", [None, *GROUPS])
@pytest.mark.parametrize("width", [10, 60, 80, 99, 100, 120, 200])
def test_nothing_is_wider_than_the_screen_and_no_number_is_cut(by: str | None, width: int) -> None:
    base = a_profile()
    operators = tuple(
        dataclasses.replace(row, name=f"torch_ipex::{'convolution_' * 6}{i}", module=LONG, self_ns=123_456_789.0)
        for i, row in enumerate(base.operators)
    )
    primitives = (*base.primitives, a_primitive("convolution" * 9, "undef", 999_999_999.0, None, count=12345.25))
    text = render(a_profile("x" * 300, operators=operators, primitives=primitives), by, width=width)
    assert max(cell_len(line) for line in text.splitlines()) <= max(width, 60)
    assert text.replace("\n", "").startswith("x" * 300)
    for line in text.splitlines():
        assert line == line.rstrip()
    if by in (None, "operator"):
        assert text.count("123 ms") == 3
        assert "the_last_name" in text, "a module path loses its beginning"
        assert "torch_ipex::" in text
    if by in (None, "primitive"):
        assert "1.00 s" in text
        assert "12345.25" in text


def test_numbers_are_right_aligned() -> None:
    lines = render(a_profile()).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("Phase "))
    assert len({len(line) for line in lines[start : start + 5]}) == 1


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(profiles, st.integers(1, 150), st.sampled_from([None, *GROUPS]))
def test_any_profile_can_be_shown(profile: Profile, width: int, by: str | None) -> None:
    # Indices that point nowhere never leave the store.
    operators = tuple(dataclasses.replace(row, primitives=()) for row in profile.operators)
    text = render(dataclasses.replace(profile, operators=operators), by, width=width)
    assert text.endswith("\n")
    assert "\x1b" not in text


# --- runs -------------------------------------------------------------------------------------------


def test_the_header_names_the_machine_and_the_software() -> None:
    run = Run("20261121T081009Z-3fa9", "2026-11-21T08:10:09.000001+00:00", "complete", an_environment(torch_threads=4))
    assert render_header(run, width=120, color=False) == (
        "run 20261121T081009Z-3fa9\n"
        "2026-11-21 08:10:09 UTC · complete\n"
        "A CPU · 4 of 4 CPUs · 8.00 GiB · Linux 6.1\n"
        "torch 2.13.0 · oneDNN v3.12.0 · 4 threads · glibc 2.36 · git 0123456789ab (dirty)\n"
    )


def test_a_listing_has_a_line_a_run_and_the_problems_below() -> None:
    runs = [
        RunSummary("b", Path("b"), "2026-11-21T08:10:09.000001+00:00", "complete", 4, 2048),
        RunSummary("a", Path("a"), None, None, 0, 0, "run.json: damaged\x1b"),
    ]
    lines = render_runs(runs, width=80, color=False).splitlines()
    assert lines[0].split() == ["Run", "Created", "(UTC)", "Status", "Workloads", "Size"]
    assert lines[2].split() == ["b", "2026-11-21", "08:10:09", "complete", "4", "2.00", "KiB"]
    assert lines[3].split() == ["a", "–", "unreadable", "0", "0", "B"]
    assert lines[4:] == [r"a: run.json: damaged\x1b"]


# --- cells ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 ns"), (0.4, "0 ns"), (1, "1 ns"), (999, "999 ns"), (999.7, "1.00 µs"), (1e3, "1.00 µs"),
        (12_345, "12.3 µs"), (999_499, "999 µs"), (999_999, "1.00 ms"), (1.5e9, "1.50 s"), (1.5e13, "15000 s"),
        (-2_500_000, "-2.50 ms"), (None, "–"), (float("nan"), "–"), (float("inf"), "–"),
    ],
)  # fmt: skip
def test_times_have_sensible_units(ns: float | None, text: str) -> None:
    assert format_ns(ns) == text


@given(st.floats(1, 1e15))
def test_a_time_reads_back_within_its_digits(ns: float) -> None:
    number, unit = format_ns(ns).split()
    scale = {"ns": 1.0, "µs": 1e3, "ms": 1e6, "s": 1e9}[unit]
    assert float(number) < 1000 or unit == "s"
    # Half a unit of the third digit, or half a nanosecond.
    assert abs(float(number) * scale - ns) <= max(0.005 * ns, 0.5 + 1e-9)


def test_sizes_shares_and_counts() -> None:
    assert [format_bytes(n) for n in (None, 0, 1023, 1024, 5 * 2**30)] == ["–", "0 B", "1023 B", "1.00 KiB", "5.00 GiB"]
    assert [format_share(s) for s in (None, 0.0, 0.4512, 1.0)] == ["–", "0.0%", "45.1%", "100.0%"]
    assert [format_share(s, "+") for s in (0.041, -0.02)] == ["+4.1%", "-2.0%"]
    assert [format_count(c) for c in (None, 3.0, 1.5, 2.9999)] == ["–", "3", "1.50", "3"]


@pytest.mark.parametrize(
    ("shapes", "text"),
    [
        ((), ""), (((),), ""), (((8,),), "8"), (((2, 3, 16, 16), (8, 3, 3, 3)), "2x3x16x16 8x3x3x3"),
        (((2, 8), (), (8, 2), ()), "2x8 8x2"), (((0, 4),), "0x4"),
        ((((512, 256), (4,), (8,)), (7,)), "512x256[3] 7"), ((((),),), "[1]"), ([[2, 3], [[4], [5]]], "2x3 4[2]"),
        ((3, None, "2x3", ()), ""), (((None, "a"),), "Nonexa"),
    ],
)  # fmt: skip
def test_shapes_are_sizes_and_scalars_are_left_out(shapes: tuple[object, ...], text: str) -> None:
    assert format_shapes(shapes) == text


@given(st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=5)))
def test_shapes_read_back(sizes: list[list[int]]) -> None:
    assert [[int(size) for size in shape.split("x")] for shape in format_shapes(sizes).split()] == sizes


_text = st.text(max_size=5)
_any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=2),
    max_leaves=5,
)


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(_any, max_size=3))
def test_any_shapes_of_a_damaged_file_are_one_harmless_line(shapes: list[object]) -> None:
    operator = Operator("o", None, None, tuple(shapes), 1.0, 9.0, (9,), 9.0)
    lines = render(Profile("p", operators=(operator,), steps=1), "operator").splitlines()
    (line,) = lines[6:]
    assert re.match(r"o( .*)? 9 ns +– +1$", line)
    assert not [char for char in line if unicodedata.category(char)[0] == "C"]


@given(st.text(), st.integers(1, 40))
def test_shortened_text_fits_and_keeps_the_right_end(text: str, width: int) -> None:
    text = clean(text)
    left, right = shorten_left(text, width), shorten_right(text, width)
    assert cell_len(left) <= width
    assert cell_len(right) <= width
    assert left == text or (left[0] == "…" and text.endswith(left[1:]))
    assert right == text or (right[-1] == "…" and text.startswith(right[:-1]))


@given(st.lists(st.integers(0, 60), max_size=6), st.integers(-5, 150))
def test_widths_fit_and_are_wasted_on_nobody(wanted: list[int], available: int) -> None:
    widths = fit_widths(wanted, available)
    assert all(0 <= given <= want for given, want in zip(widths, wanted, strict=True))
    assert sum(widths) <= max(available, 0)
    if sum(wanted) <= max(available, 0):
        assert widths == wanted
    elif wanted:
        assert sum(widths) == max(available, 0)
        cut = [given for given, want in zip(widths, wanted, strict=True) if given < want]
        assert max(cut) - min(cut) <= 1, "those that are cut are cut to the same width"


@given(st.text())
def test_clean_text_has_no_controls_and_plain_text_is_itself(text: str) -> None:
    assert not [char for char in clean(text) if unicodedata.category(char)[0] == "C"]
    if text.isprintable():
        assert clean(text) == text
