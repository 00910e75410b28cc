"""What explains a change between two commits: shares that add up, with intervals, from runs of several processes."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfsuite.history.explain import Explainer, explain, explain_runs
from perfsuite.history.kept import KeptPages
from perfsuite.history.marks import marks
from perfsuite.history.model import Change, Commit, Finding
from perfsuite.history.reports import (
    MOST,
    STAYING,
    attributable,
    made_of,
    report_of,
    report_pages,
    workloads_of,
)
from perfsuite.history.share import share_interval
from perfsuite.history.shelf import Shelf
from perfsuite.records import Environment, Operator, Profile, Run
from perfsuite.store import create_run
from tests.diff_profiles import closing_profiles, op, primitive, profile, python
from tests.samples import an_environment

WORKLOAD = "resnet18"
CONVOLUTION, BACKWARD = "aten::mkldnn_convolution", "aten::convolution_backward"


def a_commit(position: int, *tags: str) -> Commit:
    return Commit(f"{position:040x}", position, f"2026-01-{position + 1:02d}T00:00:00+00:00", tags)


BEFORE, AT = a_commit(1, "v2.7.0"), a_commit(2, "v2.8.0")


def a_step(draw: random.Random, slower: float = 1.0, name: str = BACKWARD, implementation: str = "jit:avx512_core"):
    """One process: two layers of convolutions; ``slower`` is of the backward one in layer3."""

    def times(ns: float) -> tuple[int, ...]:
        return tuple(round(ns * speed * draw.gauss(1, 0.002)) for _ in range(3))

    speed = draw.gauss(1, 0.004)
    rows = [
        op(CONVOLUTION, "ResNet.layer1.0.conv1", times=times(3e6)),
        op(name, "ResNet.layer1.0.conv1", times=times(4e6), phase="backward"),
        op(name, "ResNet.layer3.0.conv1", times=times(2e6 * slower), phase="backward"),
        op(name, "ResNet.layer3.1.conv2", times=times(3e6 * slower), phase="backward"),
        op("aten::relu_", "ResNet.relu", times=times(1e6)),
    ]
    executed = [(at, primitive(implementation)) for at in (2, 3)]
    return replace(profile(rows, executed, [python("ResNet")]), name=WORKLOAD)


def runs(*profiles: Profile, **environment: object) -> tuple[Run, ...]:
    return tuple(
        Run(f"run-{at}", "2026-01-01T00:00:00+00:00", "complete", an_environment(**environment), (one,))
        for at, one in enumerate(profiles)
    )


def slower(one: Profile, factor: float) -> Profile:
    """The same process on a machine that is slower throughout."""

    def row(of: Operator) -> Operator:
        samples = tuple(round(factor * ns) for ns in of.self_ns_samples)
        return replace(of, self_ns=factor * of.self_ns, self_ns_samples=samples)

    return replace(one, operators=tuple(map(row, one.operators)))


def sides(slower: float = 1.2, processes: int = 3, seed: int = 1, **more: str):
    draw = random.Random(seed)
    base = runs(*(a_step(draw) for _ in range(processes)))
    return base, runs(*(a_step(draw, slower, **more) for _ in range(processes)))


def explained(base, head):
    found = explain_runs(BEFORE, AT, WORKLOAD, base, head)
    assert found is not None
    return found


# --- which operator ---------------------------------------------------------------------------------


def test_the_planted_operator_is_named_with_its_place_its_share_and_its_cause():
    found = explained(*sides(1.2, implementation="ref:any"))
    guilty = found.culprit
    assert guilty is not None
    assert (guilty.name, guilty.module, guilty.phase) == ("convolution_backward", "ResNet.layer3", "backward")
    assert guilty.cause.kind == "implementation"
    assert (guilty.cause.base, guilty.cause.head) == ("jit:avx512_core", "ref:any")
    assert found.slower is True
    assert guilty.share == pytest.approx(1.0, abs=0.15)
    low, high = guilty.share_interval
    assert low <= guilty.share <= high
    assert high - low < 0.8


def test_an_improvement_is_explained_as_well():
    head, base = sides(1.2)
    found = explained(base, head)
    assert found.slower is False
    assert found.culprit is not None
    assert found.culprit.name == "convolution_backward"
    assert found.culprit.delta_ns < 0


def test_an_operator_is_one_contributor_whoever_implements_it():
    found = explained(*sides(1.2, name="torch_ipex::convolution_backward"))
    assert [one.name for one in found.contributors].count("convolution_backward") == 1
    assert found.culprit is not None
    assert found.culprit.name == "convolution_backward"


@given(closing_profiles(), closing_profiles())
@settings(max_examples=20, deadline=None)
def test_contributors_add_up_to_the_change_of_the_step(base, head):
    found = explain_runs(BEFORE, AT, base.name, runs(base, base), runs(replace(head, name=base.name)))
    assert found is not None
    if found.delta_ns is not None:
        assert math.fsum(one.delta_ns for one in found.contributors) == pytest.approx(found.delta_ns, abs=1e-3)
        shares = [one.share for one in found.contributors]
        if shares and None not in shares:
            assert math.fsum(shares) == pytest.approx(1.0, abs=1e-6)


def test_with_one_process_a_side_nothing_is_sure():
    found = explained(*sides(1.2, processes=1))
    assert found.contributors[0].name == "convolution_backward"
    assert found.contributors[0].interval is None
    assert (found.sure, found.culprit, found.interval) == (0, None, None)


def test_where_the_step_did_not_change_no_share_is_told():
    found = explained(*sides(1.0))
    assert found.culprit is None
    assert {one.share for one in found.contributors} == {None}


# --- which runs -------------------------------------------------------------------------------------


def test_without_a_run_on_a_side_there_is_no_explanation(tmp_path):
    base, head = sides()
    assert explain_runs(BEFORE, AT, WORKLOAD, (), head) is None
    assert explain_runs(BEFORE, AT, "another", base, head) is None
    assert explain(tmp_path / "missing", BEFORE, AT, WORKLOAD) is None


def test_only_runs_of_one_machine_are_compared():
    base, head = sides()
    other = tuple(replace(one, environment=an_environment(cpu_model="Another CPU")) for one in head)
    found = explained((*base, other[0]), (*other[:2], *head))
    assert found.reasons == ()
    assert tuple(map(len, found.runs)) == (3, 3)


def test_the_processes_of_another_night_do_not_count_where_both_took_turns():
    """The machine was 30 % slower in the night before: with it, the step would have become faster."""
    draw = random.Random(3)
    slow = [slower(a_step(draw), 1.3) for _ in range(3)]
    base, head = sides(1.2)
    at_night = [*runs(*slow), *base]
    began = [f"2026-01-01T00:0{minute}:00+00:00" for minute in (0, 1, 2)]
    began += [f"2026-01-02T00:0{minute}:00+00:00" for minute in (0, 3, 4)]
    ours = tuple(
        replace(one, id=f"base-{number}", created=when)
        for number, (one, when) in enumerate(zip(at_night, began, strict=True))
    )
    theirs = tuple(
        replace(one, created=f"2026-01-02T00:0{minute}:00+00:00") for one, minute in zip(head, (1, 2, 5), strict=True)
    )
    found = explained(ours, theirs)
    assert found.runs == (("base-3", "base-4", "base-5"), ("run-0", "run-1", "run-2"))
    assert found.slower is True
    assert found.culprit is not None
    assert found.culprit.name == "convolution_backward"
    # Nothing took turns with the night before, so of it alone all there is has to do.
    alone = explained(ours[:3], theirs)
    assert tuple(map(len, alone.runs)) == (3, 3)


def test_between_two_machines_only_counts_are_compared():
    base, head = sides(1.2, implementation="ref:any")
    other = tuple(replace(one, environment=an_environment(cpu_model="Another CPU")) for one in head)
    found = explained(base, other)
    assert any("CPU model" in line for line in found.reasons)
    assert (found.contributors, found.delta_ns, found.ratio, found.culprit) == ((), None, None, None)
    assert any(entry.what == "implementation" for _, entry in found.diff.census.entries)


def test_what_changed_around_the_code_is_told():
    base, head = sides()
    moved = tuple(replace(one, environment=an_environment(torch="2.14.0")) for one in head)
    assert ("torch", "2.13.0", "2.14.0") in [
        (one.key, one.base, one.head) for one in explained(base, moved).environment
    ]


def store(folder, commit: Commit, profiles, environment: Environment | None = None) -> None:
    for at, one in enumerate(profiles):
        with create_run(folder / commit.hash, environment or an_environment(), run_id=f"run-{at}") as run:
            run.write(one)
            run.finish()


def test_runs_are_read_from_their_folder_and_a_damaged_one_is_told(tmp_path):
    base, head = sides()
    store(tmp_path, BEFORE, [one.workloads[0] for one in base])
    store(tmp_path, AT, [one.workloads[0] for one in head])
    (tmp_path / AT.hash / "run-1" / "run.json").write_text("{")
    found = explain(tmp_path, BEFORE, AT, WORKLOAD)
    assert found is not None
    assert tuple(map(len, found.runs)) == (3, 2)
    shelf = Shelf(tmp_path)
    assert len(shelf.runs(AT)) == 2
    assert any("run-1" in line for line in shelf.problems)
    assert shelf.environment(AT) == an_environment()


# --- the interval of a share ------------------------------------------------------------------------


@pytest.mark.parametrize(("processes", "noise"), [(3, 0.005), (3, 0.02), (6, 0.02)])
def test_the_interval_of_a_share_covers_it(processes, noise):
    """Two parts with noise of their own and a common one; 80 % of the change is in the first."""
    draw = random.Random(7)
    held = known = 0
    for _ in range(400):
        drawn = []
        for first, second in ((50.0, 50.0), (58.0, 52.0)):
            speeds = [draw.gauss(1, noise / 2) for _ in range(processes)]
            parts = [first * speed * draw.gauss(1, noise / 2) for speed in speeds]
            wholes = [
                part + second * speed * draw.gauss(1, noise / 2) for part, speed in zip(parts, speeds, strict=True)
            ]
            drawn += [parts, wholes]
        interval = share_interval(*drawn)
        if interval is not None:
            known += 1
            held += interval[0] <= 0.8 <= interval[1]
    assert known > 300
    assert held / known >= 0.92


@given(st.lists(st.tuples(st.floats(1, 1e9), st.floats(1, 1e9)), min_size=2, max_size=5), st.floats(0.1, 3))
def test_the_interval_of_the_whole_is_1(pairs, factor):
    wholes = [whole for whole, _ in pairs]
    head = [whole * factor for whole in wholes]
    interval = share_interval(wholes, wholes, head, head)
    assert interval is None or interval == pytest.approx((1.0, 1.0), rel=1e-6)


def test_of_a_whole_that_may_not_have_changed_no_share_is_known():
    assert share_interval([1, 2, 3], [10, 12, 14], [1, 2, 3], [11, 13, 14]) is None
    assert share_interval([1], [10], [2], [20]) is None
    assert share_interval([1, 1], [10, 10], [2, 2], [10, 10]) is None


# --- marks and reports ------------------------------------------------------------------------------


def test_a_kernel_upgrade_is_a_mark_and_machines_that_take_turns_are_none(tmp_path):
    commits = [a_commit(at) for at in range(6)]
    facts = [("A", "6.1"), ("B", "6.1"), ("A", "6.1"), ("B", "6.1"), ("A", "6.8"), ("B", "6.1")]
    one = sides()[0][0].workloads[0]
    for commit, (cpu, kernel) in zip(commits, facts, strict=True):
        store(tmp_path, commit, [one], an_environment(cpu_model=cpu, kernel=kernel, ram_bytes=2**33 + commit.position))
    found = marks(Shelf(tmp_path), commits)
    assert [mark.commit.position for mark in found] == [1, 4]
    assert [[one.key for one in mark.changes] for mark in found] == [["cpu_model"], ["kernel"]]


def a_finding(before: Commit, at: Commit, ratio: float = 1.2) -> Finding:
    from perfsuite.history.model import Benchmark

    benchmark = Benchmark("steps.Steps.track_step", {"workload": WORKLOAD}, "ms")
    return Finding(before, at, (Change(benchmark, before, at, ratio, (ratio - 0.02, ratio + 0.02), 0.99, (5, 5)),))


def test_memory_at_its_peak_is_not_attributed_to_operators():
    from perfsuite.history.model import Benchmark

    before, at = a_commit(0), a_commit(1)
    changes = tuple(
        Change(Benchmark(f"steps.Steps.track_{measure}", {"workload": name}), before, at, 1.2, (1.1, 1.3), 0.99, (5, 5))
        for name, measure in (("lstm", "peak_rss"), ("resnet18", "peak_rss"), ("resnet18", "step"))
    )
    assert workloads_of(Finding(before, at, changes)) == ("lstm", "resnet18")
    assert attributable(Finding(before, at, changes)) == ("resnet18",)


def test_the_newest_commit_and_those_of_findings_have_a_report(tmp_path):
    commits = [a_commit(at) for at in range(20)]
    one = sides()[0][0].workloads[0]
    for commit in commits[:18]:
        store(tmp_path, commit, [one])
    explainer = Explainer(Shelf(tmp_path))
    findings = [a_finding(commits[at - 1], commits[at]) for at in range(3, 20)]
    kept = KeptPages(tmp_path)
    pages = report_pages(commits, findings[:2], explainer, kept)
    assert [(page.commit.position, page.before.position) for page in pages] == [(17, 16), (4, 3), (3, 2)]
    assert pages[0].workloads is None
    assert pages[1].workloads == (WORKLOAD,)
    every = report_pages(commits, findings, explainer, kept)
    assert [page.commit.position for page in every] == list(range(17, 17 - MOST, -1))
    shown = report_of(pages[1], explainer)
    assert shown is not None
    assert shown.base is not None
    assert [one.profile.name for one in shown.workloads] == [WORKLOAD]
    assert report_pages(commits[18:], findings, explainer, kept) == ()


def test_a_report_of_what_was_the_newest_stays_for_a_while(tmp_path):
    commits = [a_commit(at) for at in range(STAYING + 3)]
    one = sides()[0][0].workloads[0]
    for commit in commits:
        store(tmp_path, commit, [one])
    kept = KeptPages(tmp_path)
    for night in range(2, len(commits) + 1):
        explainer = Explainer(Shelf(tmp_path))
        pages = report_pages(commits[:night], [], explainer, kept)
        new = [page for page in pages if not kept.has(made_of(page, explainer))]
        assert [page.commit for page in new] == [commits[night - 1]]
        kept.keep(made_of(new[0], explainer), "a page")
        assert [page.commit for page in pages] == commits[max(1, night - STAYING) : night][::-1]
    # One that is there already is not made again for a finding, and does not count among those that may be made.
    findings = [a_finding(commits[at - 1], commits[at]) for at in range(1, len(commits))]
    explainer = Explainer(Shelf(tmp_path))
    pages = report_pages(commits, findings, explainer, kept)
    assert [page.workloads for page in pages] == [None] * STAYING + [(WORKLOAD,)] * 2
    # Of other runs it would be another one.
    with create_run(tmp_path / commits[5].hash, an_environment(), run_id="another") as run:
        run.write(one)
        run.finish()
    pages = report_pages(commits, [], Explainer(Shelf(tmp_path)), kept)
    assert {5, 6} & {page.commit.position for page in pages} == set()
    assert len(pages) == STAYING - 2
