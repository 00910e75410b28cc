from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perfsuite.codec import from_json, to_json
from perfsuite.errors import StoreError
from perfsuite.records import AllocationCurve, Environment, Ledger, Operator, PhaseSpan, Primitive, Profile, Samples
from tests.samples import a_profile, an_environment, profiles

# Building a whole profile is slow for hypothesis, not for us.
slow = settings(
    max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None
)


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(to_json(value)))


@slow
@given(profiles)
def test_a_profile_survives_json(profile: Profile) -> None:
    assert from_json(Profile, through_json(profile)) == profile


def test_an_environment_survives_json() -> None:
    environment = an_environment(governor="powersave", ipex="2.8.0", torch_threads=4)
    assert from_json(Environment, through_json(environment)) == environment


def test_the_sample_profile_survives_json_and_keeps_numbers_as_they_were() -> None:
    restored = from_json(Profile, through_json(a_profile()))
    assert restored == a_profile()
    assert isinstance(restored.operators[1].self_ns, float)
    assert isinstance(restored.operators[1].self_ns_samples[0], int)


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all objects within some JSON that spell a record: those whose keys are fixed."""
    if isinstance(data, list):
        return [place for i, item in enumerate(data) for place in places(item, (*path, i))]
    if not isinstance(data, dict) or path[-1:] in (("walls_ns",), ("overhead",)):
        return []
    return [path, *(place for key, item in data.items() for place in places(item, (*path, key)))]


def at(data: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        data = data[key]
    return data


PLACES = places(through_json(a_profile()))


def test_the_sample_holds_every_kind_of_record() -> None:
    assert {path[0] for path in PLACES if path} == {
        "samples", "phases", "operators", "primitives", "python", "ledger", "memory", "allocation_curve",
    }  # fmt: skip


@pytest.mark.parametrize("path", PLACES, ids=str)
def test_an_unknown_key_is_refused_wherever_it_is(path: tuple[Any, ...]) -> None:
    data = through_json(a_profile())
    at(data, path)["colour"] = "blue"
    with pytest.raises(StoreError, match="unknown key 'colour'; it was written by another version"):
        from_json(Profile, data)


REQUIRED = [
    (path, field.name)
    for path, kind in [
        ((), Profile),
        (("samples",), Samples),
        (("operators", 0), Operator),
        (("primitives", 2), Primitive),
        (("ledger",), Ledger),
        (("allocation_curve",), AllocationCurve),
        (("allocation_curve", "phases", 1), PhaseSpan),
    ]
    for field in dataclasses.fields(kind)
    if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
]


@pytest.mark.parametrize(("path", "key"), REQUIRED, ids=str)
def test_a_missing_key_is_refused(path: tuple[Any, ...], key: str) -> None:
    data = through_json(a_profile())
    del at(data, path)[key]
    with pytest.raises(StoreError, match=f"key '{key}' is missing; the file is damaged"):
        from_json(Profile, data)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("name",), 3, r"Profile\.name: expected str, found 3"),
        (("name",), None, r"Profile\.name: expected str, found null"),
        (("steps",), "2", r"Profile\.steps: expected int, found \"2\""),
        (("steps",), 2.0, r"Profile\.steps: expected int, found 2\.0"),
        (("steps",), True, r"Profile\.steps: expected int, found true"),
        (("contended",), 1, r"Profile\.contended: expected bool, found 1"),
        (("operators",), {}, r"Profile\.operators: expected an array, found \{\}"),
        (("operators", 1, "count"), "many", r"Profile\.operators\[1\]\.count: expected float"),
        (("operators", 1, "count"), True, r"Profile\.operators\[1\]\.count: expected float"),
        (("operators", 1, "primitives", 0), None, r"Profile\.operators\[1\]\.primitives\[0\]: expected int"),
        (("ledger",), [], r"Profile\.ledger: expected an object, found \[\]"),
        (("walls_ns",), [], r"Profile\.walls_ns: expected an object"),
        (("walls_ns", "phases"), 3, r"Profile\.walls_ns\.phases: expected an array, found 3"),
        (("walls_ns", "phases", 1), 2.5, r"Profile\.walls_ns\.phases\[1\]: expected int, found 2\.5"),
        (("overhead",), [], r"Profile\.overhead: expected an object"),
        (("overhead", "operators"), "much", r"Profile\.overhead\.operators: expected float"),
    ],
)
def test_a_wrong_type_is_refused_and_its_place_named(path: tuple[Any, ...], value: Any, message: str) -> None:
    data = through_json(a_profile())
    at(data, path[:-1])[path[-1]] = value
    with pytest.raises(StoreError, match=message):
        from_json(Profile, data)


@dataclasses.dataclass(frozen=True)
class Numbers:
    many: tuple[float, ...]
    either: float | str | None = None


@given(st.lists(st.floats(allow_nan=False)), st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.text())
def test_any_number_survives_json(many: list[float], either: float | str | None) -> None:
    numbers = Numbers(tuple(many), either)
    text = json.dumps(to_json(numbers), allow_nan=False)
    assert from_json(Numbers, json.loads(text)) == numbers


def test_an_infinite_number_is_written_as_its_name() -> None:
    infinite = float("inf")
    assert to_json(Numbers((infinite, -infinite, 1.0))) == {"many": ["inf", "-inf", 1.0], "either": None}
    for name in ("nan", "Infinity", "1.0", "inf "):
        with pytest.raises(StoreError, match=r"Numbers\.many\[0\]: expected float, found"):
            from_json(Numbers, {"many": [name]})
    # A whole number is no infinite one.
    with pytest.raises(StoreError, match=r"Profile\.steps: expected int, found \"inf\""):
        from_json(Profile, {**through_json(a_profile()), "steps": "inf"})


def test_of_several_types_another_one_is_refused() -> None:
    assert from_json(Numbers, {"many": [], "either": 3}).either == 3
    for value in (True, [], {}):
        with pytest.raises(StoreError, match=r"Numbers\.either: expected float or str, found"):
            from_json(Numbers, {"many": [], "either": value})


scalars = st.none() | st.booleans() | st.floats() | st.text()


@given(st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_any_other_json_is_refused_with_one_line(data: Any) -> None:
    with pytest.raises(StoreError) as caught:
        from_json(Profile, data)
    assert "\n" not in str(caught.value)


def test_the_joined_ratio_of_nothing_is_not_known() -> None:
    assert Ledger(1.0, 1.0, 0.0, 0.0, 0.0, 0.0).joined_ratio is None
    assert Ledger(1.0, 1.0, 0.0, 0.0, 3.0, 4.0).joined_ratio == 0.75


def test_time_per_step_divides_by_the_calls_of_a_round() -> None:
    assert Samples((10.0, 20.0), 4).per_step_ns == (2.5, 5.0)
