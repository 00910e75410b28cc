"""Which commit it was, by commits whose times are known."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping

import pytest

from perfsuite.errors import PerfsuiteError, UsageError
from perfsuite.gate.model import Judgement
from perfsuite.history.asv_files import HistoryError
from perfsuite.history.bisect import BAD, GOOD, INCONCLUSIVE, UNMEASURED, Bisection, BisectOptions, Decision, bisect
from perfsuite.history.measuring import Target, target_of
from perfsuite.history.model import Commit
from perfsuite.present.history.lines import render_bisection, render_decision


def commits(count: int) -> list[Commit]:
    return [
        Commit(f"{place:040x}", place, f"2025-01-{place + 1:02}T00:00:00Z", (f"v{place}",)) for place in range(count)
    ]


def noisy(levels: Mapping[int, float] | list[float], noise: float, seed: int) -> Callable[[Commit], float]:
    """Values around each commit's level; whoever is measured first in a pair is slower by 2 %."""
    chance, calls = random.Random(seed), [0]

    def measure(commit: Commit) -> float:
        calls[0] += 1
        first = 1.02 if calls[0] % 2 else 1.0
        return levels[commit.position] * first * math.exp(chance.gauss(0, noise))

    return measure


def found(levels: list[float], noise: float = 0.005, seed: int = 1, **options: float) -> Bisection:
    line = commits(len(levels))
    asked = BisectOptions(**options)  # type: ignore[arg-type]
    return bisect("step of x", line[0], line[-1], line[1:-1], noisy(levels, noise, seed), asked)


@pytest.mark.parametrize("at", [1, 2, 5, 8, 9])
def test_the_first_bad_commit_is_found(at: int) -> None:
    result = found([10.0] * at + [11.0] * (10 - at))
    assert result.first_bad is not None
    assert result.first_bad.position == at
    assert result.last_good.position == at - 1
    assert result.step is not None
    assert result.step.interval is not None
    assert result.step.interval[0] < 1.1 < result.step.interval[1]
    assert result.part == pytest.approx(1, abs=0.15)
    assert {one.verdict for one in result.decisions} <= {GOOD, BAD}
    assert len(result.decisions) <= 4


def test_as_few_pairs_as_the_noise_allows() -> None:
    quiet, loud = (found([10.0] * 4 + [11.0] * 4, noise=noise).processes for noise in (0.001, 0.02))
    assert 2 * 4 * 5 <= quiet <= 2 * 6 * 5  # the ends, three halvings, the answer
    assert loud > quiet


def test_all_decisions_together_err_no_more_than_they_may() -> None:
    """Log-ratios whose noise is a third of the step: many answers are ranges, and few are wrong."""
    wrong = right = 0
    for seed in range(120):
        at = 1 + seed % 6
        result = found([10.0] * at + [10.9] * (7 - at), noise=0.02, seed=seed, max_pairs=20)
        suspects = [one.position for one in result.suspects]
        wrong += bool(suspects) and at not in suspects
        right += suspects == [at]
    assert wrong <= 6  # 5 % of 120; the bound of Bonferroni is far from being reached
    assert right >= 60


def test_no_difference_is_no_answer() -> None:
    result = found([10.0] * 6, noise=0.01)
    assert result.suspects == ()
    assert result.first_bad is None
    assert result.decisions == ()
    assert "not sure" in render_bisection(result, 0)
    assert "\n" in render_bisection(result, 0)


def test_an_improvement_is_no_slowdown() -> None:
    result = found([10.0, 10.0, 9.0])
    assert result.suspects == ()
    assert result.whole.verdict == "improved"
    assert result.processes <= 12


def test_a_commit_on_the_cut_widens_the_answer() -> None:
    middle = math.sqrt(10 * 12)
    result = found([10.0, 10.0, middle, middle, 12.0], noise=0.01)
    assert result.first_bad is None
    assert [one.position for one in result.suspects] == [2, 3, 4]
    assert sum(one.verdict == INCONCLUSIVE for one in result.decisions) == 2
    shown = render_bisection(result, 3)
    assert "one of these 3" in shown
    assert "v2 (" in shown
    assert "3 commits after v1 cannot be measured" in shown


def test_a_slowdown_too_noisy_to_halve_may_be_any() -> None:
    # Sure that it is slower, and not by how much.
    for seed in range(200):
        result = found([10.0, 10.0, 10.0, 10.4], noise=0.02, seed=seed, max_pairs=10)
        if result.whole.verdict == "regressed" and not result.decisions:
            assert [one.position for one in result.suspects] == [1, 2, 3]
            assert "halve" in render_bisection(result, 0)
            return
    pytest.fail("no such case among the seeds")


def test_what_cannot_be_measured_stays_a_suspect() -> None:
    line = commits(6)
    values = noisy([10.0, 10.0, 10.0, 11.0, 11.0, 11.0], 0.003, 1)

    def measure(commit: Commit) -> float:
        if commit.position in (2, 3):
            raise PerfsuiteError("no wheel fits")
        return values(commit)

    told: list[str] = []
    result = bisect("x", line[0], line[-1], line[1:-1], measure, tell=lambda one: told.append(render_decision(one)))
    assert [one.position for one in result.suspects] == [2, 3, 4]
    assert [one.verdict for one in result.decisions].count(UNMEASURED) == 2
    assert any("not measured: no wheel fits" in line for line in told)
    # They cost no decision: 1 and 4 were decided all the same.
    assert {one.commit.position for one in result.decisions} == {1, 2, 3, 4}


def test_an_end_that_cannot_be_measured_is_an_error() -> None:
    def measure(commit: Commit) -> float:
        raise PerfsuiteError("it cannot be installed")

    line = commits(4)
    with pytest.raises(PerfsuiteError, match="cannot be installed"):
        bisect("x", line[0], line[-1], line[1:-1], measure)
    for value in (0.0, math.nan, math.inf, -1.0):
        with pytest.raises(HistoryError, match="only positive numbers"):
            bisect("x", line[0], line[-1], [], lambda commit, value=value: value)  # type: ignore[misc]


def test_with_nothing_between_the_ends_are_the_answer() -> None:
    result = found([10.0, 11.0])
    assert result.first_bad is not None
    assert result.first_bad.position == 1
    assert result.step == result.whole
    assert result.processes <= 12


def test_a_slowdown_in_parts_is_said() -> None:
    # 4 %, 8 %, 4 %: the middle one crosses the level halfway, and is half of it.
    result = found([10.0, 10.0, 10.4, 11.2, 11.65, 11.65], noise=0.002)
    assert result.first_bad is not None
    assert result.first_bad.position == 3
    assert result.part is not None
    assert 0.3 < result.part < 0.7
    assert "of the whole slowdown" in render_bisection(result, 0)


def test_an_interruption_passes_through() -> None:
    def measure(commit: Commit) -> float:
        raise KeyboardInterrupt

    line = commits(3)
    with pytest.raises(KeyboardInterrupt):
        bisect("x", line[0], line[-1], line[1:-1], measure)


# --- what is asked for ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("retinanet", Target("retinanet", "step")),
        ("steps.Steps.track_step(retinanet)", Target("retinanet", "step")),
        ("track_phase(lstm, backward)", Target("lstm", "phase", "backward")),
        (" phase(lstm,backward) ", Target("lstm", "phase", "backward")),
        ("operator(resnet18, convolution)", Target("resnet18", "operator", "convolution")),
        ("kernels.Kernels.track_focal_loss", Target("sigmoid_focal_loss", "focal_loss")),
        ("track_focal_loss()", Target("sigmoid_focal_loss", "focal_loss")),
    ],
)
def test_how_a_benchmark_may_be_written(text: str, expected: Target) -> None:
    assert target_of(text) == expected


@pytest.mark.parametrize("text", ["", "track_step", "track_nothing(x)", "step()", "phase(a, b, c)", "a b", "step(x"])
def test_what_is_no_benchmark(text: str) -> None:
    with pytest.raises(UsageError) as error:
        target_of(text)
    assert repr(text) in str(error.value)
    assert "\n" not in str(error.value)


def test_pairs_that_do_not_count_are_said() -> None:
    commit = Commit("a" * 40, 3, "2025-01-01T00:00:00Z", ("v3",))
    judgement = Judgement("improved", 1.0, (0.99, 1.01), 12, strays=(4,))
    told = render_decision(Decision(commit, GOOD, judgement))
    assert told.endswith("in 12 pairs, 1 of them too far from the others to count\n")
    alone = render_decision(Decision(commit, GOOD, Judgement("improved", 1.0, (0.99, 1.01), 1)))
    assert alone.endswith("in 1 pair\n")
