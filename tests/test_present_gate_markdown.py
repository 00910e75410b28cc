"""The comment is read by a parser of GitHub's tables and by one of HTML; names are as hostile as they come."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from markdown_it import MarkdownIt

from perfsuite.gate.model import CensusVerdict, Failure, GateResult
from perfsuite.present.gate import markdown
from perfsuite.present.gate.markdown import LIMIT, MARKER, render_gate_markdown
from tests import gate_results as made
from tests.hostile import HOSTILE, Page, hostile_text
from tests.test_present_gate import hostile

GFM = MarkdownIt("commonmark").enable(["table", "strikethrough"])
TAGS = {
    "h3", "p", "strong", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "code", "details", "summary",
}  # fmt: skip
#: What GitHub makes a link or a ping of, after the Markdown was rendered, where it is not in code.
LINKED = re.compile(r"@\w|#\d|://|www\.|\bGH-\d", re.IGNORECASE)


def check(result: GateResult) -> Page:
    """The page that GitHub makes of it, which holds nothing but what it should."""
    text = render_gate_markdown(result)
    first, _, rest = text.partition("\n")
    assert first == MARKER
    assert text.endswith("\n")
    assert len(text.encode()) <= LIMIT
    page = Page(GFM.render(rest))
    assert set(page.tags) <= TAGS
    assert page.attributes <= {"style"}
    assert not page.open
    outside = "".join(page.text)
    assert not LINKED.search(outside), outside
    return page


def rows(result: GateResult) -> list[list[str]]:
    tokens = GFM.parse(render_gate_markdown(result))
    found: list[list[str]] = []
    for index, token in enumerate(tokens):
        if token.type == "tr_open":
            found.append([])
        if token.type in ("th_open", "td_open"):
            found[-1].append(tokens[index + 1].content)
    return found


def test_a_regression_reads_like_this() -> None:
    text = render_gate_markdown(made.a_gate(made.regressed()))
    culprit = (
        "+100 µs (+12.7%, +89.5 µs to +110 µs): `aten::mkldnn_convolution 4x8`, in `Net.layer1.conv2`: "
        "implementation of convolution `forward_training` `brg_conv_fwd:avx512_core` → ref:any"
    )
    head, _, rest = text.partition("<details>")
    assert (
        head
        == f"""\
<!-- perfsuite gate -->
### perfsuite gate: regressed

**1 benchmark in 45.9 s: 1 regressed.** Base `git:main` (commit 0123456789ab), head `.` (commit fedcba987654, with \
changes), threshold 3%.

| Benchmark | Verdict | Change | Process pairs | Time | Census | Likeliest culprit |
| :--- | :--- | ---: | ---: | ---: | :--- | :--- |
| `tests/bench/test_training.py::test_step[resnet18]` | **regressed** | +6.2% (+4.8 to +7.6) | 6 | 41.4 s | passes | \
{culprit} |

"""
    )
    first, _, last = rest.partition("<details>")
    assert (
        first
        == f"""\
<summary><code>tests&#47;bench&#47;test&#95;training&#46;py&#58;&#58;test&#95;step&#91;resnet18&#93;</code>: \
regressed</summary>

- Verdict: regressed: +6.2% (+4.8 to +7.6), surely slower by more than the threshold of 3% after 6 process pairs
- 1 row surely changed the way the step did, the likeliest first, by step and as a share of base's profiled step
  - {culprit}
- Run the primitives of the first row alone with benchdnn, as head has them:
  - `{made.BENCHDNN}`

</details>

"""
    )
    assert last.startswith("<summary>How this was obtained</summary>\n\n- What it says: a process pair is ")
    assert "OMP_WAIT_POLICY=passive" in last
    check(made.a_gate(made.regressed()))


def test_the_worst_comes_first_and_each_verdict_is_in_the_table() -> None:
    result = made.every_kind()
    verdicts = [row[1].strip("*") for row in rows(result)[1:]]
    assert verdicts == [
        "regressed", "unchanged", "incomparable", "missing", "inconclusive", "improved", "unchanged",
    ]  # fmt: skip
    # The second one is as fast as before, and its census fails.
    assert rows(result)[2][5] == "**1 failure**"
    page = check(result)
    assert page.tags.count("details") == 7
    text = page.everything
    assert "only base has this benchmark: renamed or removed" in text
    assert "7 further process pairs would decide if estimate and noise stay the same" in text
    assert "Census fails, implementation" in text
    assert "Note: the machine was busy: load 3.1" in text


def test_identical_and_interrupted_gates() -> None:
    text = check(made.identical()).everything
    assert "Nothing that could change a time differs between base and head" in text
    assert "unchanged" in text
    assert not rows(made.identical())
    text = check(made.interrupted()).everything
    assert "no verdict" in text
    assert "stopped before these had a verdict: tests/bench/test_training.py::test_step[b]" in text


def test_with_the_least_room_what_is_left_out_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    noted = replace(made.interrupted(), notes=("one", "two"))
    text = check(noted).everything
    assert "stopped before these had a verdict" in text
    assert "Note: two" in text
    assert "more note" not in text
    monkeypatch.setattr(markdown, "_ROOMS", markdown._ROOMS[-1:])
    text = check(noted).everything
    assert "The gate was stopped before 2 benchmarks had a verdict" in text
    assert "The gate's log has 2 more notes" in text
    assert "test_step[b]" not in text


def test_a_failure_of_the_census_has_its_commands() -> None:
    text = check(made.a_gate(made.census_failed())).everything
    assert "Run this primitive alone with benchdnn, as base and as head had it:" in text


def test_a_pair_that_is_set_aside_is_worth_a_line() -> None:
    assert "Note: process pair 6 was set aside" in render_gate_markdown(made.a_gate(made.with_a_stray()))


def test_what_differs_besides_the_code() -> None:
    head = replace(made.HEAD, variables={"ONEDNN_MAX_CPU_ISA": "AVX2"})
    assert "Differs besides the code: ONEDNN_MAX_CPU_ISA – → AVX2" in check(made.a_gate(head=head)).everything


@pytest.mark.parametrize("count", [1, 99, 101, 1000])
def test_it_stays_below_the_limit_and_counts_what_it_leaves_out(count: int) -> None:
    failures = tuple(
        Failure("flops", f"failure {i} " + "@x|`" * 200, None, ("--conv " + "|" * 900,) * 2) for i in range(9)
    )
    bad = replace(made.regressed(), census=CensusVerdict(failures), notes=("#1 " * 300,) * 9)
    many = tuple(replace(bad, name=f"tests/test_{i}.py::" + "|" * 100) for i in range(count))
    result = made.a_gate(*many)
    page = check(result)
    shown = len(rows(result)) - 1
    assert 0 < shown <= count
    assert (f"And {count - shown} more benchmark" in page.everything) == (shown < count)
    detailed = page.tags.count("details") - 1
    assert ("Details of" in page.everything) == (detailed < count)


def test_a_plain_suite_of_a_hundred_is_shown_whole() -> None:
    many = tuple(made.unchanged(f"tests/test_{i}.py::test_step") for i in range(100))
    assert len(rows(made.a_gate(*many))) == 101


@pytest.mark.parametrize("evil", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_do_nothing(evil: str) -> None:
    result = hostile(evil)
    check(result)
    assert {len(row) for row in rows(result)} == {7}
    assert len(rows(result)) == 3


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(hostile_text)
def test_nor_does_any_text(text: str) -> None:
    check(hostile(text))
