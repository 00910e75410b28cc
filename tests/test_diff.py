from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.analyse.diff import NOISE, Delta, RunDiff, WorkloadDiff, diff_profiles, diff_runs
from perfsuite.errors import UsageError
from perfsuite.records import Memory, Profile, Run, Samples
from tests.diff_profiles import closing_profiles, op, primitive, profile, python, shuffled
from tests.samples import an_environment

CONV = "aten::mkldnn_convolution"


def top(base: Profile, head: Profile) -> Delta:
    return diff_profiles(base, head).operators[0]


def run(*profiles: Profile, id: str = "run", status: str = "complete", **environment: Any) -> Run:
    return Run(id, "2026-01-01T00:00:00+00:00", status, an_environment(**{"disturbances": (), **environment}), profiles)


# --- the rows ---------------------------------------------------------------------------------------


def test_a_row_says_how_much_how_surely_and_why() -> None:
    base = profile([op(CONV, "Net.a", times=(100, 110, 90))], [(0, primitive("brg:avx512_core"))], rest=(0, 0, 0))
    head = profile([op(CONV, "Net.a", times=(200, 210, 190))], [(0, primitive("ref:any"))], rest=(0, 0, 0))
    row = top(base, head)
    assert (row.kind, row.name, row.module, row.phase) == ("operator", CONV, "Net.a", "forward")
    assert (row.base_ns, row.head_ns, row.delta_ns, row.share) == (100, 200, 100, 1.0)
    # Two means of three, standard deviation 10 each: 4 degrees of freedom, t = 2.776.
    half = 2.776445105 * 10 * math.sqrt(2 / 3)
    assert row.interval == pytest.approx((100 - half, 100 + half))
    # Three and three are too few for an interval by their order.
    assert (row.method, row.beyond_ns) == ("welch", pytest.approx(100 - half))
    assert (row.cause.kind, row.cause.base, row.cause.head) == ("implementation", "brg:avx512_core", "ref:any")


def test_without_a_cause_in_the_census_it_is_time() -> None:
    row = top(profile([op(CONV)]), profile([op(CONV, times=(5000, 5010, 4990))]))
    assert (row.cause.kind, row.cause.base, row.cause.head) == ("time", 1000, 5000)


def test_one_step_has_no_interval_and_ranks_by_what_was_measured() -> None:
    def once(ns: int) -> Profile:
        return profile([op(CONV, times=(ns,), counts=(1,))], rest=(0,))

    row = top(once(100), once(150))
    assert (row.interval, row.method, row.beyond_ns) == (None, None, 50)


@pytest.mark.parametrize(
    ("base", "head", "kind"),
    [
        (op(CONV, "Net.a"), op(CONV, "Net.a", dtypes=("bfloat16",)), "dtype"),
        (op(CONV, "Net.a"), op(CONV, "Net.a", ((4, 9),)), "shape"),
        (op(CONV, "Net.a"), op(CONV, "Net.a", counts=(2, 2, 2)), "count"),
        (op(CONV, "Net.a"), op("torch_ipex::convolution_forward_impl", "Net.a", ()), "implementation"),
        (op("aten::relu", "Net.a"), op("aten::relu_", "Net.a"), "implementation"),
    ],
)
def test_causes_from_the_operator(base, head, kind) -> None:
    steady = op("aten::mul", times=(100, 100, 100))
    row = next(row for row in diff_profiles(profile([base, steady]), profile([head, steady])).operators if row.causes)
    assert row.cause.kind == kind


@pytest.mark.parametrize(
    ("base", "head", "kinds"),
    [
        ({"layouts": "src:abcd"}, {"layouts": "src:acdb"}, ["layout"]),
        ({"direction": "backward_data"}, {"direction": "backward_weights"}, ["count", "count"]),
        ({}, {"count": 2.0, "counts": (2, 2, 2)}, ["count"]),
        ({"layouts": "src:abcd"}, {"implementation": "ref:any", "layouts": "src:acdb"}, ["implementation", "layout"]),
        ({"dtypes": "src:f32"}, {"dtypes": "src:bf16", "implementation": "ref:any"}, ["dtype", "implementation"]),
        ({"attributes": ""}, {"attributes": "attr-post-ops:relu"}, ["implementation"]),
    ],
)
def test_causes_from_the_primitives_with_the_one_that_explains_the_others_first(base, head, kinds) -> None:
    sides = [
        profile([op(CONV)], [(0, primitive(**{"implementation": "jit:avx2", **values}))]) for values in (base, head)
    ]
    (row,) = (row for row in diff_profiles(*sides).operators if row.name == CONV)
    assert [cause.kind for cause in row.causes] == kinds


def test_a_primitive_that_is_gone_is_a_count_of_it_and_no_implementation() -> None:
    weights = (0, primitive("jit:avx512_core", direction="backward_weights"))
    data = (0, primitive("jit:avx512_core", direction="backward_data"))
    row = op("aten::convolution_backward", times=(9000, 9010, 8990))
    base, head = profile([row], [weights, data]), profile([replace(row, self_ns=4000.0)], [weights])
    (cause,) = next(row for row in diff_profiles(base, head).operators if row.causes).causes
    assert (cause.kind, cause.primitive, cause.base, cause.head) == ("count", "convolution backward_data", 1, 0)


def test_another_operator_in_its_place_is_no_implementation_of_it() -> None:
    steady = op("aten::mul", times=(100, 100, 100))
    diff = diff_profiles(profile([op("aten::detach"), steady]), profile([op("aten::exp"), steady]))
    told = {
        (row.name, row.there, row.cause.kind, row.cause.base, row.cause.head) for row in diff.operators if row.causes
    }
    assert told == {("aten::detach", "base", "count", 1, None), ("aten::exp", "head", "count", None, 1)}
    assert [entry.where.name for entry in diff.census.added] == ["aten::exp"]
    assert [entry.where.name for entry in diff.census.removed] == ["aten::detach"]


def test_a_reorder_alone_is_a_cause() -> None:
    conv = (0, primitive("jit:avx2"))
    reorder = (0, primitive("jit:uni", "src:abcd dst:acdb", kind="reorder"))
    (row,) = (
        r
        for r in diff_profiles(profile([op(CONV)], [conv]), profile([op(CONV)], [conv, reorder])).operators
        if r.causes
    )
    assert (row.cause.kind, row.cause.base, row.cause.head) == ("reorder", None, "abcd→acdb")


def test_renamed_rows_say_what_base_called_them() -> None:
    rows = diff_profiles(profile([op(CONV, "Net.a")]), profile([op(CONV, "Wrapper.Net.a")])).operators
    (row,) = (row for row in rows if row.kind == "operator")
    assert (row.name, row.base_name, row.module, row.base_module) == (CONV, CONV, "Wrapper.Net.a", "Net.a")
    assert row.causes == ()


# --- which comes first ------------------------------------------------------------------------------

STEADY = op("aten::mul", "Net.z", times=(10**6, 10**6, 10**6))


def order(base: list[Any], head: list[Any]) -> list[str | None]:
    rows = diff_profiles(profile([*base, STEADY]), profile([*head, STEADY])).operators
    return [row.module for row in rows if row.kind == "operator" and row.module != "Net.z"]


def test_what_the_census_backs_comes_before_a_larger_change_that_it_does_not() -> None:
    base = [op(CONV, "Net.a", times=(9000, 9010, 8990)), op(CONV, "Net.b")]
    head = [
        op(CONV, "Net.a", times=(99000, 99010, 98990)),
        op(CONV, "Net.b", counts=(2, 2, 2), times=(9000, 9010, 8990)),
    ]
    assert order(base, head) == ["Net.b", "Net.a"]


def test_what_did_not_surely_change_does_not_stand_above_what_did() -> None:
    base = [op(CONV, "Net.a"), op(CONV, "Net.b")]
    head = [
        op(CONV, "Net.a", times=(9000, 9010, 8990)),
        op(CONV, "Net.b", counts=(2, 2, 2), times=(100, 90_000, 200)),
    ]
    assert order(base, head) == ["Net.a", "Net.b"]


def test_a_cause_that_explains_nothing_to_speak_of_is_no_culprit() -> None:
    base = [op(CONV, "Net.a"), op(CONV, "Net.b", times=(10, 10, 10))]
    head = [op(CONV, "Net.a", times=(9000, 9010, 8990)), op(CONV, "Net.b", counts=(2, 2, 2), times=(20, 20, 20))]
    assert order(base, head) == ["Net.a", "Net.b"]


def test_the_surest_change_comes_first_not_the_largest_mean() -> None:
    base = [op(CONV, "Net.a"), op(CONV, "Net.b")]
    head = [op(CONV, "Net.a", times=(1000, 1010, 99_000)), op(CONV, "Net.b", times=(9000, 9010, 8990))]
    assert order(base, head) == ["Net.b", "Net.a"]


def test_an_interrupted_step_does_not_hide_an_operator_that_is_new() -> None:
    zeros = (0,) * 5
    steady = op("aten::mul", "Net.z", times=(10**6,) * 5, counts=(1,) * 5)
    drifted = op(CONV, "Net.a", times=(9000,) * 5, counts=(1,) * 5)
    new = op("aten::erf", "Net.b", times=(5000, 5100, 5200, 300_000, 4900), counts=(1,) * 5)
    base = profile([steady, op(CONV, "Net.a", times=(1000,) * 5, counts=(1,) * 5)], rest=zeros)
    rows = diff_profiles(base, profile([steady, drifted, new], rest=zeros)).operators
    assert rows[0].name == "aten::erf"
    # Welch's interval would hold 0; what is said is what ranks.
    assert (rows[0].method, rows[0].interval, rows[0].beyond_ns) == ("moses", (4900, 300_000), 4900)


@given(st.lists(st.integers(0, 9999), min_size=5, max_size=5), st.lists(st.integers(0, 9999), min_size=5, max_size=5))
def test_what_is_surely_at_least_is_the_nearer_end_of_the_interval_that_is_told(base: Any, head: Any) -> None:
    sides = [profile([op(CONV, times=times, counts=(1,) * 5)], rest=(0,) * 5) for times in (base, head)]
    (row,) = (row for row in diff_profiles(*sides).operators if row.kind == "operator")
    assert row.interval is not None
    low, high = row.interval
    assert row.beyond_ns == (max(0, low) if row.delta_ns > 0 else max(0, -high))
    # Never beyond no change on the side where the mean is not.
    assert row.delta_ns == 0 or (high if row.delta_ns > 0 else -low) >= 0


def test_a_gain_ranks_like_a_loss() -> None:
    base = [op(CONV, "Net.a", times=(50_000, 50_010, 49_990)), op(CONV, "Net.b")]
    head = [op(CONV, "Net.a"), op(CONV, "Net.b", times=(9000, 9010, 8990))]
    assert order(base, head) == ["Net.a", "Net.b"]


def test_where_nothing_surely_changed_the_largest_change_comes_first_whatever_the_census_saw() -> None:
    base = [op(CONV, "Net.a"), op(CONV, "Net.b", times=(10, 10, 10)), op(CONV, "Net.c")]
    # Surely more by 10 ns, which does not matter; surely nothing, by 20 000 ns; and by 300.
    head = [
        op(CONV, "Net.a", times=(100, 60_000, 2900)),
        op(CONV, "Net.b", counts=(2, 2, 2), times=(20, 20, 20)),
        op(CONV, "Net.c", times=(100, 1000, 2800)),
    ]
    assert order(base, head) == ["Net.a", "Net.c", "Net.b"]
    diff = diff_profiles(profile([*base, STEADY]), profile([*head, STEADY]))
    assert diff.culprits == 0


@given(closing_profiles(), closing_profiles())
def test_the_culprits_are_the_rows_that_surely_changed_by_what_matters(base: Profile, head: Profile) -> None:
    diff = diff_profiles(base, head)
    assert base.ledger is not None
    matter = [row.beyond_ns > 0 and row.beyond_ns >= 0.001 * base.ledger.wall_ns for row in diff.operators]
    assert matter == [True] * diff.culprits + [False] * (len(matter) - diff.culprits)
    rest = [abs(row.delta_ns) for row in diff.operators]
    assert diff.culprits or rest == sorted(rest, reverse=True)


# --- what is said beside the rows -------------------------------------------------------------------


def timed(ns: float, profiled: int, **more: Any) -> Profile:
    samples = Samples(tuple(ns * factor for factor in (0.99, 0.995, 1.0, 1.0, 1.005, 1.01)))
    return profile([op(CONV, times=(profiled,) * 3)], rest=(0, 0, 0), samples=samples, **more)


@pytest.mark.parametrize(
    ("ns", "profiled", "words"),
    [
        (1.11e7, 15_100_000, "(16.7 ms → 15.1 ms), which changed the other way than the timed ones"),
        (0.9e7, 20_000_000, "(16.7 ms → 20.0 ms), which changed the other way"),
        (1.5e7, 17_000_000, "which changed by another factor (1.018) than the timed ones (1."),
        (1.11e7, 18_537_000, None),
        (1e7, 16_700_000, None),
    ],
)
def test_rows_that_do_not_explain_the_timed_steps_are_told(ns: float, profiled: int, words: str | None) -> None:
    notes = diff_profiles(timed(1e7, 16_700_000), timed(ns, profiled)).notes
    assert len(notes) == (words is not None)
    assert words is None or words in notes[0]


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (
            Memory(1, None, 10**8, 1, 0, 0),
            "page faults, not operators: of one bare step the kernel took about 5.00 ms → 0 ns for 900 → 0 page faults",
        ),
        (
            Memory(1, None, 10**8, 1, 9_000_000, 900),
            "the kernel, not operators: of one bare step the kernel took about 5.00 ms → 9.00 ms for 900 → 900 page",
        ),
        (
            Memory(1, None, 10**8, 1, 9_000_000, None),
            "the kernel, not operators: of one bare step the kernel took about 5.00 ms → 9.00 ms, a change by 4.0% of",
        ),
        (Memory(1, None, 10**8, 1, 3_100_000, 0), None),
        (Memory(1, None), None),
        (None, None),
    ],
)
def test_kernel_time_that_explains_the_step_is_told(head: Memory | None, words: str | None) -> None:
    base = Memory(1, None, 10**8, 1, 5_000_000, 900)
    notes = diff_profiles(timed(1e8, 10**7, memory=base), timed(1e8, 10**7, memory=head)).notes
    assert len(notes) == (words is not None)
    assert words is None or words in notes[0]


# --- the ledger -------------------------------------------------------------------------------------


def test_python_and_the_unattributed_rest_have_rows() -> None:
    base = profile([op(CONV)], ranges=[python("Net.a", (100, 100, 100))], rest=(5, 5, 5))
    head = profile([op(CONV)], ranges=[python("Net.a", (300, 310, 290))], rest=(25, 26, 24))
    rows = {row.kind: row for row in diff_profiles(base, head).operators}
    assert (rows["python"].name, rows["python"].module, rows["python"].delta_ns) == ("module", "Net.a", 200)
    assert rows["unattributed"].delta_ns == 20
    # By step: what is left of its wall time.
    assert rows["unattributed"].interval == pytest.approx((20 - 2.484, 20 + 2.484), abs=1e-3)
    assert {rows["python"].cause.kind, rows["unattributed"].cause.kind} == {"time"}


@given(closing_profiles(), closing_profiles())
def test_the_rows_add_up_to_the_difference_of_the_ledgers(base: Profile, head: Profile) -> None:
    diff = diff_profiles(base, head)
    assert base.ledger is not None
    assert head.ledger is not None
    assert diff.ledger is not None
    difference = head.ledger.wall_ns - base.ledger.wall_ns
    scale = max(1.0, base.ledger.wall_ns, head.ledger.wall_ns)
    # Sums of floats of this size are exact to a part in 10¹⁵.
    assert math.fsum(row.delta_ns for row in diff.operators) == pytest.approx(difference, abs=1e-13 * scale)
    for kind, whole in (("operator", diff.ledger.operators_ns), ("python", diff.ledger.python_ns)):
        rows = [row.delta_ns for row in diff.operators if row.kind == kind]
        assert math.fsum(rows) == pytest.approx(whole, abs=1e-13 * scale)
    if base.ledger.wall_ns:
        shares = math.fsum(row.share for row in diff.operators if row.share is not None)
        assert shares == pytest.approx(difference / base.ledger.wall_ns)


@given(closing_profiles())
def test_a_run_differs_from_itself_in_nothing(one: Profile) -> None:
    diff = diff_profiles(one, one)
    assert all(row.delta_ns == 0 and row.causes == () and row.beyond_ns == 0 for row in diff.operators)
    assert diff.wall.ratio == 1
    assert diff.changes == ()


def facts(row: Delta, swap: bool = False) -> tuple[object, ...]:
    sides = ((row.base_name, row.base_module, row.base_ns), (row.name, row.module, row.head_ns))
    causes = sorted(
        (c.kind, str(c.primitive), *map(str, (c.head, c.base) if swap else (c.base, c.head))) for c in row.causes
    )
    return (row.kind, *(sides[::-1] if swap else sides), causes)


@given(closing_profiles(), closing_profiles())
def test_the_other_way_round_is_the_mirror(base: Profile, head: Profile) -> None:
    there, back = diff_profiles(base, head), diff_profiles(head, base)
    both = [facts(row) for row in there.operators if row.there == "both"]
    mirrored = [facts(row, swap=True) for row in back.operators if row.there == "both"]
    assert sorted(map(str, both)) == sorted(map(str, mirrored))
    assert sorted(row.delta_ns for row in there.operators) == sorted(-row.delta_ns for row in back.operators)
    assert sorted(row.beyond_ns for row in there.operators) == pytest.approx(
        sorted(row.beyond_ns for row in back.operators)
    )


@given(closing_profiles(), closing_profiles(), st.data())
def test_the_order_of_the_rows_changes_nothing(base: Profile, head: Profile, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(head.operators))))
    mixed = diff_profiles(base, shuffled(head, order))
    plain = diff_profiles(base, head)
    assert [row.name for row in mixed.operators] == [row.name for row in plain.operators]
    assert mixed.census == plain.census


def test_where_a_side_has_no_modules_rows_are_compared_without() -> None:
    base = profile([op(CONV, "Net.a", times=(10, 20, 30)), op(CONV, "Net.b", times=(1, 2, 3))])
    head = profile([op(CONV, None, times=(11, 22, 33), counts=(2, 2, 2))], backend="compile")
    diff = diff_profiles(base, head)
    (row,) = (row for row in diff.operators if row.kind == "operator")
    assert (row.module, row.base_ns, row.head_ns, row.causes) == (None, 22, 22, ())
    assert any("head has no modules" in note for note in diff.notes)
    assert [(change.key, change.base, change.head) for change in diff.changes] == [("backend", "eager", "compile")]


def test_without_an_operator_pass_there_is_still_the_wall() -> None:
    diff = diff_profiles(profile([op(CONV)]), Profile("net", samples=Samples((4e6,) * 6)))
    assert (diff.operators, diff.census.totals, diff.ledger) == ((), (), None)
    assert diff.wall.ratio == 2
    assert any("head has no operator pass" in note for note in diff.notes)


# --- the wall ---------------------------------------------------------------------------------------


def wall(base: Samples | None, head: Samples | None) -> Any:
    return diff_profiles(profile([], samples=base), profile([], samples=head)).wall


def test_the_ratio_of_the_timed_steps() -> None:
    found = wall(Samples(tuple(range(90, 111)), 1), Samples(tuple(2 * ns for ns in range(190, 211)), 2))
    assert (found.base_ns, found.head_ns, found.ratio) == (100, 200, 2)
    assert found.interval[0] < 2 < found.interval[1]
    assert (found.base_n, found.head_n, found.confidence) == (21, 21, 0.95)


def test_a_step_that_was_not_timed_has_no_ratio() -> None:
    assert wall(None, Samples((1.0,))).ratio is None
    assert wall(Samples((0.0,)), Samples((1.0,))).ratio is None
    assert wall(Samples((1.0,)), Samples((1.5,))).ratio == 1.5
    assert wall(Samples((1.0,)), Samples((1.5,))).interval is None


# --- the runs ---------------------------------------------------------------------------------------

NET = profile([op(CONV)])


def compare(base: Run, head: Run, workload: str | None = None) -> RunDiff:
    return diff_runs(base, head, workload)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cpu_model": "Another"}, "CPU model: A CPU and Another"),
        ({"isa": ("avx2", "avx512f", "fma")}, "instruction sets: 2 (no other) and 3 (avx512f)"),
        ({"logical_cpus": 8}, "logical CPUs: 4 and 8"),
        ({"usable_cpus": 2}, "usable CPUs: 4 and 2"),
        ({"torch_threads": 1}, "torch threads: 2 and 1"),
    ],
)
def test_another_machine_is_a_reason_and_a_change(change: dict[str, Any], words: str) -> None:
    diff = compare(run(NET, torch_threads=2), run(NET, **{"torch_threads": 2, **change}))
    assert diff.reasons == (words,)
    assert not diff.comparable
    assert list(change) == [one.key for one in diff.environment_changes]


def test_what_one_side_does_not_know_is_a_change_and_no_reason() -> None:
    diff = compare(run(NET, torch_threads=2), run(NET, torch_threads=None, cpu_model=None, isa=()))
    assert diff.comparable
    assert {change.key for change in diff.environment_changes} == {"torch_threads", "cpu_model", "isa"}


@pytest.mark.parametrize(("key", "words"), [("scale", "scale"), ("dtype", "data type")])
def test_another_workload_under_the_same_name_is_a_reason(key: str, words: str) -> None:
    diff = compare(run(replace(NET, **{key: "one"})), run(replace(NET, **{key: "two"})))
    assert diff.reasons == (f"net: {words} one and two",)


def test_software_and_settings_are_changes_variable_by_variable() -> None:
    base = run(
        NET, omp={"OMP_NUM_THREADS": "2"}, onednn=({"version": "3.7", "isa": "x"},), torch="2.12", git_commit="a"
    )
    omp = {"OMP_NUM_THREADS": "2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
    onednn = ({"version": "3.12", "isa": "x"},)
    head = run(NET, omp=omp, onednn=onednn, torch="2.13", git_commit="b", allocator="tcmalloc")
    diff = compare(base, head)
    assert diff.comparable
    assert [(change.key, change.base, change.head) for change in diff.environment_changes] == [
        ("allocator", "glibc 2.36", "tcmalloc"),
        ("git_commit", "a", "b"),
        ("omp.ONEDNN_MAX_CPU_ISA", None, "AVX2"),
        ("onednn[0].version", "3.7", "3.12"),
        ("torch", "2.12", "2.13"),
    ]


def test_it_says_when_a_side_was_not_quiet_or_unfinished_or_contended() -> None:
    quiet = run(NET)
    assert compare(quiet, run(NET, id="other")).notes == ()
    loud = run(NET, disturbances=("malloc returns memory", "OpenMP spins"), status="interrupted")
    unknown = run(replace(NET, contended=True), disturbances=None)
    diff = compare(loud, unknown)
    assert "base was not quiet" in diff.notes[0]
    assert diff.notes[0].endswith("malloc returns memory; OpenMP spins")
    assert "base is interrupted" in diff.notes[1]
    assert "whether head was recorded under quiet settings is not known" in diff.notes[2]
    assert diff.notes[3:] == (NOISE,)
    assert diff.workloads[0].notes == ("head was timed while other workers of the session ran",)


def test_what_both_sides_share_is_told_once() -> None:
    sides = [run(replace(NET, contended=True), id=side, disturbances=None) for side in ("a", "b")]
    diff = compare(*sides)
    note, noise = diff.notes
    assert noise == NOISE
    assert note.startswith("whether base and head were recorded under quiet settings is not known")
    assert diff.workloads[0].notes == ("base and head were timed while other workers of the session ran",)


def test_a_run_beside_itself_is_the_same_run() -> None:
    assert compare(run(NET), run(NET)).notes == ("these are the same run",)


def test_what_only_the_primitive_pass_hears_is_no_change_where_a_side_lacks_it() -> None:
    copy = {"version": "3.7", "commit": "c"}
    heard = run(replace(NET, join="markers"), onednn=({**copy, "isa": "AVX2", "threads": "2"},))
    deaf = run(replace(NET, passes=("timing", "operators")), onednn=({**copy, "version": "3.8"},))
    for sides in ((heard, deaf), (deaf, heard)):
        diff = compare(*sides)
        assert [change.key for change in diff.environment_changes] == ["onednn[0].version"]
        assert diff.workloads[0].changes == ()
    silent = run(NET, onednn=(copy,))
    assert {change.key for change in compare(heard, silent).environment_changes} == {
        "onednn[0].isa",
        "onednn[0].threads",
    }


@pytest.mark.parametrize(("damaged", "only_in"), [((), "head"), (("workloads/x.json.gz: damaged",), "unknown")])
def test_what_may_be_in_a_damaged_file_is_not_only_on_the_other_side(damaged: tuple[str, ...], only_in: str) -> None:
    base, head = replace(run(NET), problems=damaged), run(NET, replace(NET, name="new"))
    diff = compare(base, head)
    assert [(one.name, one.only_in, one.found_in) for one in diff.missing] == [("new", only_in, "head")]
    assert any("base has workloads that cannot be read" in note for note in diff.notes) == bool(damaged)


def test_workloads_are_matched_by_name_and_none_is_dropped_silently() -> None:
    other, new = replace(NET, name="other"), replace(NET, name="new")
    diff = compare(run(other, NET), run(new, NET))
    assert [workload.name for workload in diff.workloads] == ["net"]
    assert [(one.name, one.only_in) for one in diff.missing] == [("other", "base"), ("new", "head")]


def test_nothing_in_common_is_an_error_that_says_what_there_is() -> None:
    with pytest.raises(UsageError, match="no workload is in both runs: a has net; b has other"):
        compare(run(NET, id="a"), run(replace(NET, name="other"), id="b"))
    with pytest.raises(UsageError, match="no workload 'nett' is in both"):
        compare(run(NET), run(NET), "nett")


def test_one_workload_can_be_chosen_and_the_others_are_not_judged() -> None:
    other = replace(NET, name="other", dtype="float32")
    diff = compare(run(NET, other), run(NET, replace(other, dtype="bfloat16")), "net")
    assert diff.comparable
    assert [workload.name for workload in diff.workloads] == ["net"]
    assert isinstance(diff.workloads[0], WorkloadDiff)
