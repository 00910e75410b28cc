"""Prints the tables of gate-statistics.md: ``python docs/gate_tables.py``; about half a minute.

Normal noise, or what is said, from a fixed seed; nothing is measured, so every machine prints the same, up to the
random numbers of numpy's version.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from perfsuite import sequential
from perfsuite.gate import simulate
from perfsuite.gate.disturb import DISTURBANCES, factors
from perfsuite.gate.estimate import paired_log_ratios
from perfsuite.gate.judge import minimal_detectable
from perfsuite.gate.model import Policy
from perfsuite.gate.simulate import OUTCOMES, Tally, decide, looks
from perfsuite.sequential import multiplier
from perfsuite.stats import student_t_quantile
from perfsuite.strays import EVERY

DECISIONS = 40_000
Array = Any
Draw = Callable[[tuple[int, int]], Array]


def table(title: str, header: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> None:
    print(f"\n{title}\n\n| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def per_cent(share: float, digits: int = 1) -> str:
    return f"{share * 100:.{digits}f} %"


def noise(spread: float, pairs: int, draw: Draw | None = None, start: float = 0.0) -> Array:
    random = np.random.default_rng(11)
    values = (draw or random.standard_normal)((DECISIONS, pairs))
    # By a spread that is known, not by that of the sample.
    return values * spread + start * np.where(np.arange(pairs) % 2, 1, -1)


def widths() -> Iterator[tuple[str, ...]]:
    for count in (4, 5, 6, 8, 10, 12, 14):
        yield (
            str(count),
            f"{student_t_quantile(0.975, count - 2):.2f}",
            *(f"{multiplier(count, 0.05 / family, 4, 14, 2):.2f}" for family in (1, 5, 20)),
        )


def looking_often() -> str:
    """How often Student's 95% interval is wrong at any of the looks after 4 to 20 pairs."""
    values = noise(1.0, 20)
    wrong = np.zeros(len(values), dtype=bool)
    for count in range(4, 21):
        seen = values[:, :count]
        half = student_t_quantile(0.975, count - 1) * seen.std(axis=1, ddof=1) / math.sqrt(count)
        wrong |= abs(seen.mean(axis=1)) > half
    return per_cent(float(wrong.mean()))


def boundaries() -> Iterator[tuple[str, ...]]:
    plan = Policy(max_pairs=14)
    for shape, name in ((0.5, "½ (Pocock)"), (0.25, "¼"), (0.0, "0 (O'Brien and Fleming)")):
        sequential.SHAPE = shape
        sequential.critical_value.cache_clear()
        quiet, loud = decide(noise(0.01, 14), plan), decide(noise(0.02, 14), plan)
        small = decide(noise(0.018, 14) + math.log1p(0.03), replace(plan, threshold=0.01))
        yield (
            name,
            *(f"{multiplier(count, 0.05, 4, 14, 2):.2f}" for count in (4, 8, 14)),
            f"{per_cent(quiet.share('unchanged'))}, {quiet.mean_pairs:.1f}",
            f"{per_cent(loud.share('unchanged'))}, {loud.mean_pairs:.1f}",
            f"{per_cent(small.share('regressed'))}, {small.mean_pairs:.1f}",
        )
    sequential.SHAPE = 0.25
    sequential.critical_value.cache_clear()


def power() -> Iterator[tuple[str, ...]]:
    for spread in (0.01, 0.015, 0.02, 0.024):
        for pairs in (10, 14, 20):
            plan = Policy(max_pairs=pairs)
            fine = replace(plan, threshold=0.01)
            values = noise(spread, pairs)
            same, slower = decide(values, plan), decide(values + math.log1p(0.06), plan)
            small = decide(values + math.log1p(0.03), fine)
            yield (
                per_cent(spread),
                str(pairs),
                f"{per_cent(same.share('unchanged'))}, {same.mean_pairs:.1f}",
                f"{per_cent(slower.share('regressed'))}, {slower.mean_pairs:.1f}",
                f"{per_cent(small.share('regressed'))}, {small.mean_pairs:.1f}",
                f"+{per_cent(minimal_detectable(pairs, spread, plan))}",
            )


def shapes() -> Iterator[tuple[str, ...]]:
    random = np.random.default_rng(12)
    normal = random.standard_normal

    def two_modes(shape: tuple[int, int]) -> Array:
        return 0.5 * normal(shape) + 2.0 * (random.random(shape) < 0.2)

    def skewed(shape: tuple[int, int]) -> Array:
        return random.exponential(size=shape)

    drawn: dict[str, Draw] = {
        "normal": normal,
        "Student's t with 5 degrees of freedom": lambda shape: random.standard_t(5, shape),
        "3 % of pairs out by 6 deviations": lambda shape: (
            normal(shape) + 6 * (random.random(shape) < 0.03) * random.choice([-1, 1], shape)
        ),
        "each side's processes skewed (exponential)": lambda shape: skewed(shape) - skewed(shape),
        "each side's processes bimodal (1 in 5 slower)": lambda shape: two_modes(shape) - two_modes(shape),
        "only head's processes skewed": skewed,
        "only head's processes bimodal": two_modes,
        "only base's processes skewed": lambda shape: -skewed(shape),
    }
    for name, draw in drawn.items():
        many = draw((200_000, 1))
        values = noise(0.015, 14, lambda shape, d=draw, m=many: (d(shape) - m.mean()) / m.std())  # type: ignore[misc]
        tally, same = decide(values + math.log1p(0.03), Policy(max_pairs=14)), decide(values, Policy(max_pairs=14))
        yield (
            name,
            *(per_cent(tally.share(one)) for one in ("regressed", "unchanged")),
            per_cent(same.share("unchanged")),
            f"{same.verdicts['regressed']} of {DECISIONS}",
        )


def families() -> Iterator[tuple[str, ...]]:
    plan = Policy(max_pairs=14)
    gates = DECISIONS // 4
    for family in (1, 5, 20):
        random = np.random.default_rng(family)
        wrong = np.zeros(gates, dtype=bool)
        for _ in range(family):
            values = random.standard_normal((gates, 14)) * 0.015 + math.log1p(0.03)
            wrong |= looks(values, plan, family)[0] == OUTCOMES.index("regressed")
        tallies: list[Tally] = [decide(noise(spread, 14), plan, family) for spread in (0.01, 0.015)]
        yield (
            str(family),
            per_cent(float(wrong.mean())),
            *(f"{per_cent(one.share('unchanged'))}, {one.mean_pairs:.1f}" for one in tallies),
        )


def set_aside() -> Iterator[tuple[str, ...]]:
    """With and without pairs being set aside: A/A called unchanged, +6 % found, and +3 % called regressed at 3 %."""
    plan = Policy(max_pairs=14)
    for share in (0.0, 0.01, 0.02, 0.05):
        random = np.random.default_rng(14)
        far = random.choice([-0.15, 0.15], (DECISIONS, 14)) * (random.random((DECISIONS, 14)) < share)
        values = noise(0.01, 14) + far
        cells = []
        for every in (EVERY, len(values[0]) + 1):
            simulate.EVERY = every
            same, slower, edge = (decide(values + math.log1p(effect), plan) for effect in (0.0, 0.06, 0.03))
            cells += [
                f"{per_cent(same.share('unchanged'))}, {same.mean_pairs:.1f}",
                f"{per_cent(slower.share('regressed'))}, {slower.mean_pairs:.1f}",
                per_cent(edge.share("regressed")),
            ]
        simulate.EVERY = EVERY
        yield (per_cent(share, 0), *cells)


def start_order() -> Iterator[tuple[str, ...]]:
    plan = Policy(max_pairs=14, threshold=0.01)
    for start in (0.0, 0.005, 0.01, 0.015):
        values = noise(0.018, 14, start=start) + math.log1p(0.03)
        known = decide(values, plan)
        yield per_cent(start), f"{per_cent(known.share('regressed'))}, {known.mean_pairs:.1f}", _unaware(values, plan)


def _unaware(values: Array, plan: Policy) -> str:
    """The same plan without groups: looks with one mean and n − 1 degrees of freedom."""
    found = np.zeros(len(values), dtype=bool)
    pairs = np.full(len(values), plan.max_pairs)
    for count in range(plan.min_pairs, plan.max_pairs + 1):
        seen = values[:, :count]
        half = multiplier(count, 0.05, plan.min_pairs, plan.max_pairs) * seen.std(axis=1, ddof=1) / math.sqrt(count)
        now = (seen.mean(axis=1) - half > math.log1p(plan.threshold)) & ~found
        pairs[now], found = count, found | now
    return f"{per_cent(float(found.mean()))}, {pairs.mean():.1f}"


def estimators() -> Iterator[tuple[str, ...]]:
    """Standard deviation, within a pair, of the two numbers that a pair could say: 15 turns of 3 steps a side."""
    random = np.random.default_rng(13)
    pairs, blocks = 4000, 15
    turns = np.repeat(np.arange(2 * blocks), 3)
    is_head = np.array([letter for _ in range(blocks) for letter in random.permutation([True, False])])
    # Steps of one process: 2 % above their best, skewed.
    quiet = np.exp(0.02 * random.exponential(size=(pairs, len(turns))))
    for name, disturbance in DISTURBANCES.items():
        steps = quiet * factors(disturbance, turns, np.zeros(pairs), 1 / 14, random)
        sides = [np.median(steps[:, is_head[turns] == side], axis=1) for side in (True, False)]
        said = np.log(sides[0] / sides[1]), paired_log_ratios(steps, turns, is_head)
        yield (
            "none" if name == "as recorded" else name,
            *(f"{per_cent(float(one.std()), 2)}, {per_cent(float(np.quantile(abs(one), 0.99)), 1)}" for one in said),
        )


def main() -> None:
    print(f"Student's interval, looked at after each of 4 to 20 pairs, errs in {looking_often()}")
    table("Half-width in standard errors", ("pairs", "one look", "1", "5", "20 benchmarks"), widths())
    header = ("shape", "4 pairs", "8", "14", "A/A 1 %", "A/A 2 %", "+3 % at 1 %, 1.8 %")
    table("Boundaries", header, boundaries())
    header = ("spread", "pairs at most", "A/A unchanged", "+6 % at 3 %", "+3 % at 1 %", "minimal detectable")
    table("Power", header, power())
    table("Shapes", ("noise", "regressed", "unchanged", "A/A unchanged", "A/A alarms"), shapes())
    header = ("stray pairs", "A/A unchanged", "+6 % found", "+3 % regressed", "without: A/A", "+6 %", "+3 %")
    table("Set aside", header, set_aside())
    table("Families", ("benchmarks", "any regressed", "1 %", "1.5 %"), families())
    table("Order of the start", ("start", "with groups", "without"), start_order())
    table("What a pair says", ("disturbance", "ratio of medians", "median of blocks"), estimators())


if __name__ == "__main__":
    main()
