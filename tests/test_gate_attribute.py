"""What explains a change: the operator that was made slower comes first, with few noisy processes a side."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from perfsuite.analyse.diff import MATERIAL
from perfsuite.gate.attribute import attribute, compare
from perfsuite.gate.merge import merge
from perfsuite.records import Operator, Profile, Samples
from tests.diff_profiles import op, primitive, profile

ROWS = 60
WALL = 20e6


def attributed(base: Profile, head: Profile, slower: bool = True):
    return attribute(compare(base, head, 1.06, (1.05, 1.07), 0.95, 4), base, head, slower)


# --- simulated --------------------------------------------------------------------------------------


class Machine:
    """Processes of one step: every row has noise of its own in each process, and each process some of its own."""

    def __init__(self, seed: int, noise: float, interrupted: float) -> None:
        self.rng = random.Random(seed)
        weights = [min(self.rng.paretovariate(0.9), 40) for _ in range(ROWS)]
        self.rows = [0.9 * WALL * weight / sum(weights) for weight in weights]
        self.noise, self.interrupted = noise, interrupted
        by_size = sorted(range(ROWS), key=lambda at: -self.rows[at])
        self.plant, *self.new = self.rng.sample(by_size[:30], 4)

    def side(self, processes: int, change: float = 0.0, cheap_calls: bool = False) -> Profile:
        """``change`` is of the step, in the planted row; ``cheap_calls`` adds calls worth 0.2 % of it to three rows."""
        return merge([self._process(change, cheap_calls) for _ in range(processes)])

    def _process(self, change: float, cheap_calls: bool) -> Profile:
        speed = self.rng.gauss(1, self.noise)
        hit = self.rng.randrange(ROWS) if self.rng.random() < self.interrupted else None
        return profile([self._row(at, speed, change, cheap_calls, at == hit) for at in range(ROWS)])

    def _row(self, at: int, speed: float, change: float, cheap_calls: bool, hit: bool) -> Operator:
        ns = self.rows[at] + change * WALL * (at == self.plant)
        called = cheap_calls and at in self.new
        ns = (ns + 0.002 * WALL * called) * speed * self.rng.gauss(1, self.noise) + 0.3 * WALL * hit
        return op(f"aten::op{at}", f"Net.m{at}", times=(max(1, round(ns)),) * 3, counts=(2 if called else 1,) * 3)


@pytest.mark.parametrize(
    ("noise", "interrupted", "cheap_calls"),
    [(0.01, 0.0, False), (0.02, 0.0, True), (0.02, 0.1, False), (0.02, 0.1, True)],
)
@pytest.mark.parametrize("slower", [True, False])
def test_the_planted_operator_is_named_first_of_three_processes_a_side(noise, interrupted, cheap_calls, slower):
    trials, named, sure = 40, 0, 0
    for seed in range(trials):
        machine = Machine(seed, noise, interrupted)
        plain, planted = machine.side(3), machine.side(3, 0.06, cheap_calls)
        base, head = (plain, planted) if slower else (planted, plain)
        found = attributed(base, head, slower)
        first = found.rows[0].name == f"aten::op{machine.plant}"
        named += first
        sure += first and found.sure > 0
    assert named / trials >= 0.95
    assert sure / trials >= 0.9


def test_without_a_change_little_is_sure():
    found = [
        attributed(machine.side(3), machine.side(3)) for machine in (Machine(seed, 0.02, 0.0) for seed in range(20))
    ]
    assert sum(one.sure for one in found) / len(found) < 0.05 * ROWS


# --- order ------------------------------------------------------------------------------------------


def steps(*rows: tuple[str, Sequence[int]], counts: int = 1) -> Profile:
    """A profile of processes; each row has a time of each process."""
    processes = len(rows[0][1])
    return merge(
        [
            profile([op(name, f"Net.{name}", times=(ns[at],) * 3, counts=(counts,) * 3) for name, ns in rows])
            for at in range(processes)
        ]
    )


BASE = steps(("a", (1000, 1010, 990)), ("b", (500, 505, 495)), ("c", (800, 801, 799)), ("d", (300, 300, 301)))
HEAD = steps(("a", (1100, 1110, 1090)), ("b", (900, 905, 895)), ("c", (600, 601, 599)), ("d", (300, 600, 301)))


def test_rows_that_changed_as_the_step_did_come_first_the_surest_change_before_all():
    found = attributed(BASE, HEAD)
    assert [row.name for row in found.rows[:3]] == ["b", "a", "d"]  # d was interrupted once: it is not sure
    assert found.sure == 2
    assert found.rows[found.sure].beyond_ns == 0
    assert attributed(BASE, HEAD, slower=False).rows[0].name == "c"


def test_every_row_of_the_diff_is_there_once():
    diff = compare(BASE, HEAD, 1.06, None, 0.95, 3)
    found = attribute(diff, BASE, HEAD, slower=True)
    assert sorted(map(repr, found.rows)) == sorted(map(repr, diff.operators))


def test_a_sure_row_matters():
    found = attributed(BASE, HEAD)
    wall = BASE.ledger.wall_ns
    assert all(row.beyond_ns >= MATERIAL * wall and row.delta_ns > 0 for row in found.rows[: found.sure])


def test_of_one_process_a_side_nothing_is_sure_and_the_largest_change_comes_first():
    base, head = steps(("a", (1000,)), ("b", (500,))), steps(("a", (1010,)), ("b", (700,)))
    found = attributed(base, head)
    assert found.rows[0].name == "b"
    assert found.sure == 0


def test_an_operator_that_only_head_has_is_named():
    head = steps(("a", (1000, 1010, 990)), ("b", (500, 505, 495)), ("new", (200, 202, 201)))
    base = steps(("a", (1000, 1010, 990)), ("b", (500, 505, 495)))
    (first, *_), sure = attributed(base, head).rows, attributed(base, head).sure
    assert (first.name, first.there, sure) == ("new", "head", 1)


# --- what the gate knows better ---------------------------------------------------------------------


def test_the_wall_is_the_gates():
    timed = Samples((9.0, 10.0, 11.0))
    base, head = merge([profile([op("aten::add")], samples=timed)] * 2), merge([profile([op("aten::add")])] * 2)
    wall = compare(base, head, 1.25, (1.2, 1.3), 0.9, 7).wall
    assert (wall.ratio, wall.interval, wall.confidence, wall.base_n, wall.head_n) == (1.25, (1.2, 1.3), 0.9, 7, 7)
    assert wall.base_ns == 10.0
    assert wall.claim == "slower"


def test_a_step_that_the_gate_timed_is_not_said_not_to_be_timed():
    untimed = merge([profile([op("aten::add")], samples=None)] * 2)
    diff = compare(untimed, untimed, 1.0, (0.99, 1.01), 0.95, 4)
    assert not any("not timed" in note for note in diff.notes)
    assert diff.wall.base_ns is None


def test_rows_that_tell_another_story_than_the_gate_are_said_to():
    """The note compares with the gate's interval and not with that of the profiled processes."""
    base, head = (merge([profile([op("aten::add", times=(t, t, t))])] * 2) for t in (1000, 2000))
    assert any(
        "(1.995) than the timed ones (0.990 to 1.010)" in n
        for n in compare(base, head, 1.0, (0.99, 1.01), 0.95, 4).notes
    )
    assert not any("timed ones" in note for note in compare(base, head, 2.0, (1.9, 2.1), 0.95, 4).notes)


# --- command lines ----------------------------------------------------------------------------------


def convolution(ns: int, problem: str | None, count: int = 1) -> Profile:
    rows = [op("aten::relu"), op("aten::mkldnn_convolution", "Net.conv", times=(ns, ns + 1, ns), counts=(count,) * 3)]
    one = primitive(
        "jit:avx2",
        "src:acdb wei:Acdb8a dst:acdb",
        dtypes="src:f32 wei:f32 dst:f32",
        algorithm="alg:convolution_direct",
        problem=problem,
    )
    made = profile(rows, [(1, one)] if problem else [])
    return merge([made, made])


SMALL, LARGE = "mb1_ic2oc2_ih4oh4kh3ph1", "mb9_ic2oc2_ih4oh4kh3ph1"


def test_the_primitive_is_heads():
    (line,) = attributed(convolution(1000, SMALL), convolution(3000, LARGE)).benchdnn
    assert line == (
        "benchdnn --conv --reset --allow-enum-tags-only=0 --engine=cpu --dir=FWD_D --dt=f32:f32:f32 --alg=direct "
        f"--stag=acdb --wtag=Acdb8a --dtag=acdb {LARGE}"
    )


def test_the_primitive_is_bases_where_head_has_none():
    (line,) = attributed(convolution(1000, SMALL), convolution(3000, None)).benchdnn
    assert line.endswith(SMALL)
    assert attributed(convolution(1000, None), convolution(3000, None)).benchdnn == ()
