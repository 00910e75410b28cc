from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.history.names import OTHER
from perfsuite.history.values import PHASES, SINGLE, UNITS, place_of, values_of
from perfsuite.passes import PASSES
from perfsuite.records import Memory, Operator, Profile, Samples
from tests.samples import a_profile, profiles


def test_a_profile_in_numbers():
    values = values_of(a_profile("resnet18", steps=2, passes=PASSES))
    assert values["step"][""][:2] == [0.09, 0.092], "ms of one call: the profile has rounds of two"
    assert values["phase"] == {"forward": [0.04, 0.042], "backward": [0.05], "optimizer": [0.008]}
    assert values["operator"] == {
        "add": [0.005, 0.005],
        "convolution": [0.029, 0.031],
        "convolution_backward": [0.039, 0.041],
    }
    # Primitives take 50 of the 100 µs.
    assert values["outside_onednn"] == {"": [pytest.approx(50.0)]}
    assert values["reorders"] == {"": [1.0]}
    assert values["peak_rss"] == {"": [25.0]}
    assert set(values) < set(UNITS)


def test_what_was_not_recorded_is_left_out_and_not_zero():
    profile = Profile("lstm", samples=Samples((2e6,)), memory=Memory(5, None))
    assert values_of(profile) == {"step": {"": [2.0]}}
    assert values_of(Profile("lstm")) == {}


def test_an_operator_that_did_not_run_has_no_time():
    only_in_the_primitive_pass = Operator("aten::mul", "forward", None, (), 0, 0.0, (0, 0), 0.0, counts=(0, 0))
    profile = Profile("resnet18", operators=(only_in_the_primitive_pass,), steps=2)
    assert values_of(profile) == {}


def test_a_kernel_has_a_benchmark_of_its_own():
    ((measure, workload),) = SINGLE.items()
    values = values_of(a_profile(workload))
    assert values[measure] == values["step"]
    assert place_of(f"kernels.Kernels.track_{measure}", {}) == (workload, measure, "")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("aten::mm", "aten::addmm", "torch_ipex::ipex_linear", "aten::mul_", "aten::unheard_of")),
            st.lists(st.integers(0, 10**9), min_size=3, max_size=3),
        ),
        max_size=12,
    )
)
def test_the_series_add_up_to_all_operators_in_each_step(rows: list[tuple[str, list[int]]]):
    operators = tuple(
        Operator(name, None, None, ((at,),), 1, sum(ns) / 3, tuple(ns), 0.0) for at, (name, ns) in enumerate(rows)
    )
    series = values_of(Profile("lstm", operators=operators, steps=3)).get("operator", {})
    assert set(series) <= {"matmul", "mul", OTHER}
    for step in range(3):
        together = math.fsum(samples[step] for samples in series.values())
        assert together == pytest.approx(sum(ns[step] for _, ns in rows) / 1e6)


def test_where_a_benchmark_finds_its_values():
    parameters = {"workload": "lstm", "phase": "forward"}
    assert place_of("steps.Steps.track_phase", parameters) == ("lstm", "phase", "forward")
    assert place_of("steps.Steps.track_step", {"workload": "lstm"}) == ("lstm", "step", "")
    assert place_of("track_operator", {"operator": "add", "workload": "lstm"}) == ("lstm", "operator", "add")
    assert parameters == {"workload": "lstm", "phase": "forward"}, "its argument is the caller's"


@pytest.mark.parametrize(
    ("called", "parameters"),
    [
        ("steps.Steps.time_step", {"workload": "lstm"}),
        ("steps.Steps.track_luck", {"workload": "lstm"}),
        ("steps.Steps.track_step", {}),
        ("steps.Steps.track_operator", {"workload": "lstm", "operator": "add", "size": "3"}),
    ],
)
def test_other_benchmarks_have_none(called: str, parameters: dict[str, str]):
    assert place_of(called, parameters) is None


def test_every_measure_has_a_unit_and_phases_are_those_of_a_training_step():
    from perfsuite.capture.training_step import PHASES as EVERY

    assert set(PHASES) == set(EVERY) - {"data"}
    assert all(UNITS.values())


def test_a_coverage_of_everything_leaves_nothing_outside():
    profile = a_profile("lstm", passes=PASSES)
    times = [replace(one, time_ns=25_000.0) for one in profile.primitives]
    assert values_of(replace(profile, primitives=tuple(times)))["outside_onednn"] == {"": [pytest.approx(0.0)]}


@given(profiles)
def test_any_profile_that_can_be_stored_has_values(profile: Profile):
    for measure, parts in values_of(profile).items():
        assert measure in UNITS
        assert any(parts.values()), "what has no samples is left out"
        assert all(isinstance(one, float) for samples in parts.values() for one in samples)
