"""The Markdown is read by a parser of GitHub's tables and by one of HTML; names are as hostile as they come."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from perfsuite.analyse.report import Report, report
from perfsuite.present.cells import clean
from perfsuite.present.gfm import code, details, html, prose, table
from perfsuite.present.markdown import MAX_LINES, render_markdown
from perfsuite.present.phrases import short
from perfsuite.records import Memory, Profile, Run, Samples
from tests.diff_profiles import op, primitive, profile, python
from tests.hostile import HOSTILE, Page, hostile_text
from tests.samples import a_primitive, a_profile, an_environment

GFM = MarkdownIt("commonmark").enable(["table", "strikethrough"])
TAGS = {
    "h3",
    "p",
    "strong",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "ul",
    "li",
    "code",
    "details",
    "summary",
    "sub",
}
#: What GitHub makes a link or a ping of, after the Markdown was rendered, where it is not in code.
LINKED = re.compile(r"@\w|#\d|://|www\.|\bGH-\d", re.IGNORECASE)


def a_run(*profiles: Profile, **changes: object) -> Run:
    values = {
        "created": "2026-11-21T10:39:53.1+00:00",
        "status": "complete",
        "environment": an_environment(),
        **changes,
    }
    return Run("20261121T103953Z-bff376", workloads=profiles, **values)  # type: ignore[arg-type]


def read(markdown: str) -> Page:
    return Page(GFM.render(markdown))


def rows(markdown: str) -> list[list[str]]:
    """The cells of the only table, which is in nothing that is folded."""
    tokens = GFM.parse(markdown)
    folded = next((i for i, t in enumerate(tokens) if t.type == "html_block"), len(tokens))
    assert [t.type for t in tokens].count("table_open") == 1
    found: list[list[str]] = []
    for index, token in enumerate(tokens):
        if token.type == "tr_open":
            assert index < folded
            found.append([])
        if token.type in ("th_open", "td_open"):
            found[-1].append(tokens[index + 1].content)
    return found


def check(markdown: str, workloads: int) -> Page:
    assert len(markdown.splitlines()) <= MAX_LINES
    assert markdown.endswith("\n")
    cells = rows(markdown)
    assert len(cells) == 1 + min(workloads, 12)
    # A parser fills up and cuts off: count what stands in the line itself.
    lines = [line for line in markdown.split("\n") if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {len(cells[0]) + 1}
    page = read(markdown)
    assert set(page.tags) <= TAGS
    assert page.attributes <= {"style"}
    assert not page.open
    outside = "".join(page.text)
    assert not LINKED.search(outside), outside
    return page


# --- what it says -----------------------------------------------------------------------------------


def test_a_run_reads_like_this() -> None:
    text = render_markdown(report(a_run(a_profile())))
    head, _, rest = text.partition("<details>")
    assert (
        head
        == """\
### perfsuite: run `20261121T103953Z-bff376`

**1 workload.** No rule found anything whose cost is known.

| Workload | Median step | Interval | n | Optimise first |
| :--- | ---: | ---: | ---: | :--- |
| `benchmarks/test_net.py::test_step[smoke-float32]` | 100.0 µs | 92.00 µs to 108.0 µs (95% interval) | 11 | \
nothing found |

"""
    )
    assert (
        rest
        == """\
<summary><code>benchmarks&#47;test&#95;net&#46;py&#58;&#58;test&#95;step&#91;smoke&#45;float32&#93;</code>: notes, \
operators</summary>

- **Notes**
  - Note: The first note.
- **Operators, most self time first, and its share of the profiled step**
  - 40.0 µs, 40.0%: `aten::convolution_backward 4x8`, in `net.conv1`
  - 30.0 µs, 30.0%: `aten::mkldnn_convolution 4x3`, in `net.conv1`
  - 5.00 µs, 5.0%: `aten::add_ 8`

</details>

<sub>Recorded 2026-11-21 10:39:53 UTC with `pytest --profile-dnn`, complete; A CPU · 4 of 4 CPUs · torch 2.13.0 · \
oneDNN v3.12.0 · git 0123456789ab (dirty); steps are timed without instrumentation, operators and primitives in steps \
of their own</sub>
"""
    )
    check(text, 1)


LEFT_TO_RIGHT = "\N{LEFT-TO-RIGHT MARK}"
SLOW = Samples((2.2e6, 2.21e6, 2.19e6, 2.2e6, 2.18e6, 2.22e6, 2.2e6, 2.2e6))
FAST = Samples((2.0e6, 2.01e6, 1.99e6, 2.0e6, 1.98e6, 2.02e6, 2.0e6, 2.0e6))


def sides(name: str = "net") -> tuple[Profile, Profile]:
    """The convolution takes twice as long because its implementation is another one."""

    def side(times: Sequence[int], implementation: str, samples: Samples) -> Profile:
        rows = [op("aten::mkldnn_convolution", "Net.conv", times=times), op("aten::add_", "Net")]
        made = profile(rows, [(0, primitive(implementation))], [python("Net")], samples=samples)
        return replace(made, name=name, join="timestamps")

    return side((10000, 10010, 9990), "brg:avx512", FAST), side((20000, 20010, 19990), "ref:any", SLOW)


def compared(*names: str, **changes: object) -> Report:
    pairs = [sides(name) for name in names]
    return report(a_run(*(head for _, head in pairs), **changes), a_run(*(base for base, _ in pairs), **changes))


def test_a_comparison_names_the_ratio_the_culprit_and_why() -> None:
    text = render_markdown(compared("net"))
    head, row = rows(text)
    assert head == [
        "Workload", "Median step of head", "Interval", "n", "n of base", "Head ÷ base", "Its interval",
        "Likeliest culprit",
    ]  # fmt: skip
    assert row[0] == "`net`"
    assert row[1] == "2.200 ms"
    assert row[3:6] == ["8", "8", "1.10×"]
    assert re.fullmatch(r"1\.\d{3} to 1\.\d{3}", row[6])
    assert row[7].startswith("+10.0 µs")
    assert "`aten::mkldnn_convolution 4x8`, in `Net.conv`: implementation of convolution" in row[7]
    assert "brg:avx512" in row[7]
    assert "**1 workload: 1 slower.**" in text
    assert "these two processes alone: neither a test of the code nor a gate" in text
    assert "**Census, what takes longest first**" in text
    check(text, 1)


def test_a_row_that_got_slower_is_not_the_culprit_of_a_faster_step() -> None:
    base, head = sides()
    text = render_markdown(report(a_run(replace(head, samples=FAST)), a_run(replace(base, samples=SLOW))))
    assert "1 faster" in text
    assert rows(text)[1][-1] == "no row changed beyond its interval that way"
    assert "+10.0 µs" in text.partition("<details>")[2]


def test_advice_keeps_its_code_and_its_order() -> None:
    """Short operators rule the step, with page faults that inflate them: those come first, in table and verdict."""
    slow = a_primitive("matmul", "undef", 60_000.0, None, implementation="ref:any")
    operators = tuple(replace(row, primitives=()) for row in a_profile().operators)
    memory = Memory(0, None, 100_000, 80_000, 20_000, 2_000)
    profile = a_profile(
        operators=operators, primitives=(slow,), memory=memory, passes=("operators", "primitives", "memory")
    )
    text = render_markdown(report(a_run(replace(profile, walls_ns={"primitives": (100_000,)}))))
    assert "First: `benchmarks" in text
    assert rows(text)[1][-1].startswith("about 20.0 µs, 20.0% of a bare step: mend this before you read on: ")
    findings = [line for line in text.split("\n") if line.startswith("  - about") or line.startswith("  - up to")]
    assert "20.0% of a bare step: mend this before you read on" in findings[0]
    assert "run it as `perfsuite launch -- COMMAND`, or preload" in findings[0]
    assert findings[1].startswith("  - up to 60.0 µs, 60.0% of the step of the primitives pass: matmul in a reference")
    assert "refused the others (`ONEDNN_VERBOSE=dispatch`), then change" in findings[1]


def test_what_surely_changed_stands_first_and_the_rest_is_counted() -> None:
    same = [replace(sides(f"same{i}")[0]) for i in range(18)]
    base, head = sides("slow")
    text = render_markdown(report(a_run(*same, head), a_run(*same, base)))
    check(text, 19)
    assert rows(text)[1][0] == "`slow`"
    assert "**19 workloads: 1 slower, 18 not told apart.**" in text
    assert "And 7 more workloads (7 not told apart): `perfsuite report` shows all." in text


def test_what_forbids_trust_stands_above_the_table() -> None:
    base, head = sides()
    runs = (
        a_run(head, environment=an_environment(cpu_model="Another CPU"), problems=("x.json.gz: damaged",)),
        a_run(base),
    )
    text = render_markdown(report(*runs, force=True))
    above = text.partition("| Workload")[0]
    assert "**NOT COMPARABLE**, compared because it was forced: " in above
    assert "Of the head, what could not be read: x.json.gz: damaged" in above
    check(text, 1)


def test_a_workload_that_base_lacks_says_so() -> None:
    base, head = sides()
    text = render_markdown(report(a_run(head, a_profile("new")), a_run(base)))
    assert rows(text)[2][0] == "`new`"
    assert rows(text)[2][4:] == ["–", "–", "not in base", "–"]
    assert "1 slower, 1 not in base" in text
    check(text, 2)


def test_an_untimed_workload_and_an_empty_run_say_so() -> None:
    text = render_markdown(report(a_run(Profile("bare"))))
    assert rows(text)[1][1:4] == ["not timed", "–", "0"]
    check(text, 1)
    assert "**0 workloads.**" in render_markdown(report(a_run()))


def test_a_pass_that_does_not_stand_for_the_step_is_said_above_the_table() -> None:
    walls = {"operators": (100_000, 100_000, 700_000), "primitives": (250_000, 250_000)}
    text = render_markdown(report(a_run(a_profile("net", walls_ns=walls))))
    (line,) = (line for line in text.partition("\n| ")[0].splitlines() if line.startswith("Rough: "))
    assert (
        "net: The profiled steps took 100 µs to 700 µs each, 300 µs on average, which is 3.00 times their median"
        in line
    )
    assert "3.00 times the timed step: shares of them are rough; " in line
    assert "took 250 µs on average, which is 2.50 times the timed step: shares of them need not hold" in line
    check(text, 1)
    assert "Rough: " not in render_markdown(report(a_run(a_profile("net"))))


def test_a_run_of_which_nothing_can_be_read_is_not_called_empty() -> None:
    text = render_markdown(report(replace(a_run(), problems=("x.json.gz: damaged",))))
    assert "**No workload could be read.**" in text
    assert "Of the run, what could not be read: x.json.gz: damaged" in text
    assert "No rule" not in text
    assert "0 workloads" not in text


def test_a_quiet_run_says_so_and_a_noisy_one_says_what_disturbs() -> None:
    noisy = an_environment(disturbances=("freed memory goes back: use perfsuite launch",))
    assert "; not quiet: freed memory goes back</sub>" in render_markdown(report(a_run(a_profile(), environment=noisy)))
    quiet = an_environment(disturbances=())
    assert "; quiet</sub>" in render_markdown(report(a_run(a_profile(), environment=quiet)))


# --- hostile names ----------------------------------------------------------------------------------


def hostile_profile(name: str, evil: str) -> Profile:
    made = a_profile(name, notes=(evil,), join=evil)
    operators = tuple(replace(row, name=evil, module=evil, phase=evil) for row in made.operators)
    primitives = tuple(replace(row, kind=evil, implementation=evil) for row in made.primitives)
    return replace(made, operators=operators, primitives=primitives)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(names=st.lists(hostile_text, min_size=1, max_size=15, unique=True), evil=hostile_text, other=hostile_text)
def test_any_names_give_sixty_lines_one_table_and_no_markup(names: list[str], evil: str, other: str) -> None:
    environment = an_environment(
        cpu_model=evil, torch=other, git_commit=evil, disturbances=(f"{evil}: x",), onednn=({"version": other},)
    )
    head = a_run(*(hostile_profile(name, evil) for name in names), environment=environment, problems=(evil, other))
    page = check(render_markdown(report(head)), len(names))
    if evil.strip():
        assert short(evil) in page.code or short(evil) in "".join(page.text)
    base = a_run(
        *(replace(hostile_profile(name, other), samples=SLOW) for name in names[1:] or names), environment=environment
    )
    page = check(render_markdown(report(head, base, force=True)), len(names))
    shown = [short(name) for name in names if short(name).strip()]
    assert len(names) > 12 or set(shown) <= set(page.code)


@pytest.mark.parametrize("evil", HOSTILE)
@pytest.mark.parametrize("write", [code, html])
def test_code_shows_the_very_name(write, evil: str) -> None:
    shown = clean(evil)
    lines = details(write(evil), []) if write is html else table([("a", "left"), ("b", "right")], [(write(evil), "x")])
    page = read("\n".join(lines))
    if shown.strip():
        assert page.code == [shown]
    else:
        assert "–" in "".join(page.text)
    assert page.tags.count("td") == (0 if write is html else 2)


@settings(deadline=None)
@given(st.lists(hostile_text, max_size=3).map(" ".join))
def test_prose_says_the_same_words_and_formats_nothing(text: str) -> None:
    page = read(f"- so: {prose(text)}\n")
    assert set(page.tags) <= {"ul", "li", "code"}
    assert not LINKED.search("".join(page.text))
    said = page.everything.replace(LEFT_TO_RIGHT, "").split()
    assert said == ["so:", *clean(text).split()]


def test_a_plain_sentence_stays_plain() -> None:
    sentence = "weights (and 3 gradients) are repacked in every step: 25% of it, 2x256 → 1.5, isn't it?"
    assert prose(sentence) == sentence.replace("it?", "`it?`")
    assert prose("call torch.compile(loss); then stop") == "call `torch.compile(loss)`; then stop"
    assert prose("see #12, @me and a_b") == "see `#12`, `@me` and `a_b`"
