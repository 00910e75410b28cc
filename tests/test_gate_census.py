"""The rules of the census: what each one catches, what none of them may, and how it is said."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfsuite.analyse.diff import diff_profiles
from perfsuite.benchdnn import CannotWrite, command
from perfsuite.errors import UsageError
from perfsuite.gate.census import CensusRules, judge_census, parse_rules
from perfsuite.gate.implementations import is_lower, is_plainer, is_reference, is_wider, words
from perfsuite.gate.merge import merge
from perfsuite.gate.reproduce import command_lines
from perfsuite.onednn import tally
from perfsuite.records import AllocationCurve, Primitive, Profile
from tests.diff_profiles import closing_profiles, op, primitive, profile

WHERE = "pyproject.toml: [tool.perfsuite.gate.census]"
OFF = CensusRules("off", "off", "off", "off", "off")
DATA = Path(__file__).parent / "data"


def judged(base: Profile, head: Profile, rules: CensusRules | None = None):
    return judge_census(diff_profiles(base, head), base, head, rules or CensusRules(), 1)


def matmuls(implementation: str, layers: int = 1, **more) -> Profile:
    """A step with linear layers, each of which runs one primitive."""
    values = {
        "kind": "matmul",
        "direction": "undef",
        "dtypes": "src:f16 wei:f16 dst:f16",
        "layouts": "src:ab wei:ab dst:ab",
        "problem": "8x64:64x64",
        **more,
    }
    rows = [op("aten::addmm", f"Net.fc{at}", ((8, 64), (64, 64))) for at in range(layers)]
    return profile(rows, [(at, primitive(implementation, **values)) for at in range(layers)])


def convolutions(implementation: str, **more) -> Profile:
    return profile([op("aten::mkldnn_convolution", "Net.conv")], [(0, primitive(implementation, **more))])


# --- each rule --------------------------------------------------------------------------------------


def test_a_primitive_that_fell_to_the_reference_is_caught_without_a_time():
    """pytorch#193951: a release ran half-precision matmuls in reference code, a hundred times slower."""
    verdict = judged(matmuls("brg_matmul:avx512_core_fp16"), matmuls("ref:any"))
    (failure,) = verdict.failures
    assert failure.rule == "implementation"
    assert failure.text == (
        "1 execution a step went from brg_matmul:avx512_core_fp16 to ref:any, reference code: matmul in aten::addmm "
        "(Net.fc0, forward)"
    )
    assert failure.entry.what == "implementation"
    assert failure.benchdnn == (
        "benchdnn --matmul --reset --allow-enum-tags-only=0 --engine=cpu --dt=f16:f16:f16 --stag=ab --wtag=ab "
        "--dtag=ab 8x64:64x64",
    )
    assert not judged(matmuls("ref:any"), matmuls("brg_matmul:avx512_core_fp16")).failures
    assert not judged(matmuls("ref:any"), matmuls("ref:any")).failures


def test_the_same_failure_in_many_operators_is_one():
    (failure,) = judged(matmuls("brg_matmul:avx512_core_fp16", 40), matmuls("ref:any", 40)).failures
    assert failure.text.startswith("40 executions a step went from brg_matmul:avx512_core_fp16 to ref:any")
    assert failure.text.endswith("; and 37 other places")
    assert len(failure.text) < 400


def test_a_lower_instruction_set_is_caught_once_for_all_that_follows_from_it():
    base = convolutions("jit:avx512_core", layouts="src:aBcd16b wei:ABcd16b16a dst:aBcd16b")
    head = convolutions("jit:avx2", layouts="src:aBcd8b wei:ABcd8b8a dst:aBcd8b")
    (failure,) = judged(base, head).failures
    assert failure.rule == "isa"
    assert "went from avx512_core to avx2, a lower instruction set" in failure.text
    assert not judged(head, base).failures
    (failure,) = judged(head, base, replace(OFF, isa="any")).failures
    assert "went from avx2 to avx512_core: " in failure.text


def test_another_shape_may_have_another_instruction_set_but_no_reference():
    base = convolutions("jit:avx512_core", problem="mb4_ic32oc32", layouts="src:aBcd16b")
    head = convolutions("jit:avx2", problem="mb4_ic3oc32", layouts="src:acdb")
    assert not judged(base, head, CensusRules(layout="plain")).failures
    assert judged(base, head, CensusRules(isa="any")).failures
    assert judged(base, convolutions("ref:any", problem="mb4_ic3oc32")).failures


def test_the_reference_is_below_all_instruction_sets_where_implementations_are_not_judged():
    rules = CensusRules(implementation="off")
    (failure,) = judged(convolutions("jit:avx2"), convolutions("ref:any"), rules).failures
    assert failure.rule == "isa"
    assert "from avx2 to ref" in failure.text


def test_a_wider_data_type_is_caught():
    half, single = "src:bf16 wei:bf16 dst:bf16", "src:f32 wei:f32 dst:f32"
    base, head = convolutions("jit:avx512_core_bf16", dtypes=half), convolutions("jit:avx512_core", dtypes=single)
    (failure,) = judged(base, head).failures
    assert failure.rule == "dtype"  # the instruction set only follows
    assert failure.text.startswith(f"1 execution a step went from {half} to {single}, a wider data type: ")
    assert not [one for one in judged(head, base).failures if one.rule == "dtype"]


def test_a_wider_data_type_of_an_operator_without_primitives_is_caught():
    base = profile([op("aten::add", "Net", dtypes=("bfloat16",))])
    head = profile([op("aten::add", "Net", dtypes=("float32",))])
    (failure,) = judged(base, head).failures
    assert failure.text == (
        "1 operator a step went from bfloat16 to float32, a wider data type: aten::add (Net, forward)"
    )
    assert not judged(head, base).failures


def test_the_data_type_of_an_operator_is_not_told_beside_that_of_its_primitive():
    sides = [
        profile(
            [op("aten::mkldnn_convolution", "Net.conv", dtypes=(torch,))],
            [(0, primitive("jit:avx512_core", dtypes=f"src:{dnn} dst:{dnn}"))],
        )
        for torch, dnn in (("bfloat16", "bf16"), ("float32", "f32"))
    ]
    (failure,) = judged(*sides).failures
    assert failure.entry.primitive == "convolution forward_training"


def test_a_plain_layout_is_judged_where_it_is_asked_for():
    base, head = convolutions("jit:avx2", layouts="src:aBcd8b"), convolutions("jit:avx2", layouts="src:acdb")
    assert not judged(base, head).failures
    (failure,) = judged(base, head, CensusRules(layout="plain")).failures
    assert "from src:aBcd8b to src:acdb, a plain layout" in failure.text
    assert not judged(head, base, CensusRules(layout="plain")).failures
    assert judged(head, base, CensusRules(layout="any")).failures


def test_a_convolution_that_left_onednn_is_caught():
    """What torch does where oneDNN lacks the instruction set for bf16: seen under ``ONEDNN_MAX_CPU_ISA=AVX2``."""
    base = convolutions(
        "jit_bf16:avx512_core_bf16",
        dtypes="src:bf16 wei:bf16 dst:bf16",
        layouts="src:acdb wei:Acdb16a dst:acdb",
        problem="mb4_ic3oc32_ih8oh8kh3ph1_iw8ow8kw3pw1",
        algorithm="alg:convolution_direct",
    )
    head = profile([op("aten::_slow_conv2d_forward", "Net.conv")])
    (failure,) = judged(base, head).failures
    assert failure.rule == "implementation"
    assert failure.text == (
        "1 execution a step of jit_bf16:avx512_core_bf16 left oneDNN, while the operator still runs: "
        "convolution forward_training in aten::_slow_conv2d_forward (Net.conv, forward)"
    )
    assert len(failure.benchdnn) == 1
    assert not judged(head, base).failures


def test_an_operator_that_runs_another_kind_of_primitive_has_not_left_onednn():
    row = op("aten::mkldnn_convolution", "Net.conv")
    base = profile([row], [(0, primitive("jit:avx2"))])
    head = profile([row], [(0, primitive("brg_matmul:avx2", kind="matmul", direction="undef"))])
    assert not judged(base, head).failures
    head = profile([row], [(0, primitive("ref:any", kind="matmul", direction="undef"))])
    assert judged(base, head).failures[0].text == (
        "1 execution a step of ref:any appeared, reference code, in an operator that runs without it on base: "
        "matmul in aten::mkldnn_convolution (Net.conv, forward)"
    )


def executions(*implementations: str, unjoined: Sequence[str] = ()) -> Profile:
    """A linear layer that runs the same problem several times, and primitives of it that could not be joined."""
    values = {"kind": "matmul", "direction": "undef", "problem": "8x64:64x64"}
    row = op("aten::addmm", "Net.fc", ((8, 64), (64, 64)))
    made = profile([row], [(0, primitive(name, **values)) for name in implementations])
    stray = tuple(replace(primitive(name, **values), operator=None) for name in unjoined)
    return replace(made, primitives=(*made.primitives, *stray))


def test_one_execution_more_of_a_problem_must_not_be_reference_code():
    (failure,) = judged(executions("brg:avx2"), executions("brg:avx2", "ref:any")).failures
    assert (failure.rule, failure.entry.what, failure.entry.base) == ("implementation", "implementation", None)
    assert failure.text == (
        "1 execution a step of ref:any appeared, reference code, in an operator that runs without it on base: "
        "matmul in aten::addmm (Net.fc, forward)"
    )
    for base, head in (
        (executions("brg:avx2"), executions("brg:avx2", "jit:avx2")),
        (executions("ref:any"), executions("ref:any", "ref:any")),
        (executions("brg:avx2", "ref:any"), executions("brg:avx2", "ref:any", "ref:any")),
        (executions("brg:avx2", "ref:any"), executions("brg:avx2")),
    ):
        assert not judged(base, head).failures
    # It may be the one that base has, too, and that could be joined there.
    base = executions("ref:any", unjoined=["brg:avx2"])
    assert not judged(base, executions(unjoined=["brg:avx2", "ref:any"])).failures


def test_one_execution_less_is_not_said_to_have_left_onednn():
    rules = replace(OFF, implementation="any")
    (failure,) = judged(executions("brg:avx2", "jit:avx2"), executions("brg:avx2"), rules).failures
    said = "1 execution a step of jit:avx2 went away, while others of the same problem still run: "
    assert failure.text.startswith(said)


def test_a_primitive_that_could_not_be_joined_is_not_taken_for_gone():
    base = convolutions("jit:avx2")
    head = replace(
        profile([op("aten::mkldnn_convolution", "Net.conv")]),
        primitives=(replace(primitive("jit:avx2"), operator=None),),
    )
    assert not judged(base, head).failures


def test_a_layer_more_is_no_failure_by_default():
    base = matmuls("brg_matmul:avx512_core")
    head = matmuls("brg_matmul:avx512_core", 2)
    assert not judged(base, head).failures
    grown = judged(base, head, CensusRules(operators=0.5)).failures
    assert [failure.text for failure in grown] == ["operators went from 1 to 2 a step, +100.0%, where 50% is allowed"]
    assert not judged(base, head, CensusRules(operators=1.0)).failures


def test_reorders_without_another_operator_are_caught():
    row = op("aten::mkldnn_convolution", "Net.conv")
    base = profile([row], [(0, primitive("jit:avx2"))])
    head = profile([row], [(0, primitive("jit:avx2")), (0, primitive("simple:any", "src:abcd dst:aBcd8b", "reorder"))])
    (failure,) = judged(base, head).failures
    assert failure.rule == "reorders"
    assert failure.text == (
        "reorders went from 0 to 1 a step while the operators are the same: abcd→aBcd8b in aten::mkldnn_convolution "
        "(Net.conv, forward)"
    )
    assert not judged(head, base).failures
    # A new operator explains it, unless a number is set.
    more = profile([row, op("aten::relu", "Net.relu")], [(one.operator, one) for one in head.primitives])
    assert not judged(base, more).failures
    assert judged(base, more, CensusRules(reorders=0.0)).failures


def test_totals_are_judged_where_both_sides_know_them():
    def step(flops: float | None, allocations: int, peak: int | None) -> Profile:
        samples = (allocations,) * 2
        one = op("aten::mm", flops=flops, bytes_moved=flops, allocations_samples=samples)
        curve = AllocationCurve(9, (0, 9), (0, peak)) if peak is not None else None
        return replace(profile([one]), allocation_curve=curve)

    rules = CensusRules(flops=0.1, bytes=0.2, allocations=0.0, peak=0.05)
    assert not judged(step(100, 5, 1000), step(110, 5, 1050), rules).failures
    found = judged(step(100, 5, 1000), step(130, 6, 1051), rules).failures
    assert [failure.rule for failure in found] == ["flops", "bytes", "allocations", "peak"]
    assert found[3].text == (
        "the peak of PyTorch's allocator went from 1000 B to 1.03 KiB a step, +5.1%, where 5% is allowed"
    )
    assert not judged(step(None, 5, None), step(130, 5, 10**6), rules).failures


def test_what_is_not_steady_within_a_side_fails_nothing():
    def side(first: str, second: str) -> Profile:
        return merge([matmuls(first), matmuls(second)])

    verdict = judged(side("brg_matmul:avx2", "jit:avx2"), side("ref:any", "jit:avx2"))
    assert verdict.passed
    assert verdict.unsteady == 1


@settings(max_examples=60, deadline=None)
@given(closing_profiles())
def test_nothing_fails_against_itself_by_the_strictest_rules(one):
    strict = CensusRules("any", "any", "any", "any", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert judged(one, one, strict).passed
    assert judged(merge([one, one]), merge([one]), strict).passed


@settings(max_examples=60, deadline=None)
@given(closing_profiles(), closing_profiles())
def test_what_is_off_never_fails_and_every_failure_is_one_line(base, head):
    assert judged(base, head, OFF).passed
    strict = CensusRules("any", "any", "any", "any", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    verdict = judged(base, head, strict)
    names = [field.name for field in fields(CensusRules)]
    assert all(failure.rule in names and "\n" not in failure.text for failure in verdict.failures)


# --- words ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "ref:any",
        "ref",
        "ref_int8:any",
        "gemm:ref",
        "x64:gemm:ref",
        "gemm_s8u8s32:ref",
        "simple_nchw:any",
        "simple_nhwc:any",
        "conv:any+ref:any",
        "ref_fused_convolution:any:jit:avx2+ref:any",
    ],
)
def test_reference_code(name):
    assert is_reference(name)


@pytest.mark.parametrize(
    "name",
    [
        "jit:avx2",
        "brg_matmul:avx512_core",
        "x64:gemm:jit",
        "gemm:jit:bf16",
        "gemm:acl",
        "jit:uni",
        "simple:any",
        "simple_sum:any",
        "ncsp_bnorm:any",
        "nspc_bnorm:any",
        "ncsp_gnorm:any",
        "conv:any+brgconv:avx512_core",
        "ref_fused_convolution:any:jit_1x1:avx2+jit_dw:avx2",
        "refined:avx2",
        "",
    ],
)
def test_code_that_is_no_reference(name):
    assert not is_reference(name)


@pytest.mark.parametrize(
    ("base", "head", "fails"),
    [
        ("jit:avx512_core", "ref:any", True),
        ("brgconv:avx2", "ref:any", True),
        ("x64:gemm:jit", "ref_int8:any", True),
        ("bnorm_jit:avx2", "ncsp_bnorm:any", False),
        ("ref:any", "ref_int8:any", False),
        ("ref:any", "jit:avx2", False),
    ],
)
def test_only_a_move_to_reference_code_fails(base, head, fails):
    found = judged(convolutions(base), convolutions(head), CensusRules(isa="off"))
    assert [failure.rule for failure in found.failures] == ["implementation"] * fails


@pytest.mark.parametrize(
    ("base", "head", "lower"),
    [
        ("avx512_core_amx", "avx512_core_bf16", True),
        ("avx512_core_bf16", "avx512_core", True),
        ("avx512_core", "avx2_vnni", True),
        ("avx2", "avx", True),
        ("avx", "sse41", True),
        ("sse41", "ref", True),
        ("sve_512", "sve_256", True),
        ("avx2", "avx512_core", False),
        ("avx512_core_fp16", "avx10_1_512", False),  # another name of the same
        ("avx512_core", "sve_256", False),
        ("avx512_core", "not_one", False),
        ("not_one", "avx2", False),
    ],
)
def test_instruction_sets_have_an_order(base, head, lower):
    assert is_lower([base], [head]) is lower


def test_one_of_several_executions_that_moved_down_is_enough():
    assert is_lower(["avx2", "avx512_core_bf16"], ["avx512_core"])
    assert not is_lower(["avx2"], ["avx512_core", "avx512_core_bf16"])


@pytest.mark.parametrize(
    ("base", "head", "wider"),
    [
        ("src:bf16 wei:bf16", "src:bf16 wei:f32", True),
        ("src:s8 wei:s8 dst:s32 ×2", "src:f32 wei:f32 dst:f32 ×2", True),
        ("src:f32", "src:bf16", False),
        ("src:bf16 dst:bf16", "src:bf16 bia:f32 dst:bf16", True),
        ("src:f32 dst:f32", "src:f32 bia:f32 dst:f32", False),
        ("float32, int64", "float32, int32", False),
        ("int32, bfloat16", "bfloat16, int32", True),
        (None, "src:f32", False),
        ("src:what", "src:f32", False),
    ],
)
def test_data_types_have_widths(base, head, wider):
    assert is_wider(base, head) is wider


def test_layouts_are_blocked_or_plain():
    assert is_plainer(["src:aBcd16b wei:ABcd16b16a"], ["src:aBcd16b wei:acdb"])
    assert not is_plainer(["src:acdb"], ["src:abcd"])
    assert not is_plainer(["src:aBcd16b:8x4"], ["src:aBcd8b"])


@given(st.dictionaries(st.from_regex(r"[a-z:_0-9]{1,12}", fullmatch=True), st.integers(1, 99), max_size=4))
def test_words_are_read_as_the_census_writes_them(bag):
    text = ", ".join(f"{name} ×{count}" if count != 1 else name for name, count in sorted(bag.items()))
    assert words(text or None) == bag


# --- pyproject --------------------------------------------------------------------------------------


def test_rules_are_read():
    table = {
        "implementation": "any",
        "isa": "off",
        "layout": "plain",
        "reorders": 10,
        "peak": 2.5,
        "flops": "unexplained",
    }
    assert parse_rules(table, WHERE) == CensusRules(
        implementation="any", isa="off", layout="plain", reorders=0.1, peak=0.025, flops="unexplained"
    )
    assert parse_rules({}, WHERE) == CensusRules()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"implementatoin": "any"}, "unknown key 'implementatoin'; the keys are implementation, isa, dtype"),
        ({"isa": "avx2"}, 'isa: expected one of "any", "lower", "off", found \'avx2\''),
        ({"dtype": 1}, 'dtype: expected one of "any", "off", "wider", found 1'),
        ({"dtype": ["any"]}, "found ['any']"),
        ({"reorders": "some"}, 'reorders: expected how much it may increase in per cent, from 0 on, or "unexplained"'),
        ({"peak": -1}, "found -1"),
        ({"peak": True}, "found True"),
        ({"peak": float("nan")}, "found nan"),
        ({"peak": float("inf")}, "found inf"),
        ({"peak": [5]}, "found [5]"),
    ],
)
def test_a_wrong_rule_is_said_in_one_line(table, said):
    with pytest.raises(UsageError, match=re.escape(said)) as found:
        parse_rules(table, WHERE)
    assert str(found.value).startswith(f"{WHERE}: ")
    assert "\n" not in str(found.value)


# --- command lines ----------------------------------------------------------------------------------


def test_a_record_has_what_the_log_had_for_benchdnn():
    """Against the lines made of the log itself, where nothing was left for oneDNN to choose."""
    compared = 0
    for log in sorted(DATA.glob("onednn-*.log")):
        for one in tally(io.BytesIO(log.read_bytes())).primitives:
            fixed = " ".join(re.sub(r"^([^:]+:[^:]+):[^:]*:", r"\1::", text) for text in one.descriptors.split())
            try:
                expected = f"benchdnn {command(replace(one, descriptors=fixed))[0]}"
            except CannotWrite:
                continue
            record = Primitive(
                one.kind, one.implementation, one.direction, one.dtypes, one.layouts, one.attributes, one.algorithm,
                one.problem, 1, 1.0,
            )  # fmt: skip
            assert command_lines([record]) == (expected,), one
            compared += 1
    assert compared > 20


def test_lines_are_of_the_costliest_first_each_once():
    cheap, dear = primitive("jit:avx2", time_ns=1.0, problem="mb1_ic2oc2_ih4oh4kh3ph1"), primitive("x", time_ns=9.0)
    dear = replace(
        dear, problem="mb2_ic2oc2_ih4oh4kh3ph1", dtypes="src:f32 wei:f32 dst:f32", algorithm="alg:convolution_direct"
    )
    cheap = replace(cheap, dtypes=dear.dtypes, layouts="src:a wei:a dst:a", algorithm=dear.algorithm)
    dear = replace(dear, layouts=cheap.layouts)
    lines = command_lines([cheap, dear, dear])
    assert [line.split()[-1] for line in lines] == [dear.problem, cheap.problem]
    assert command_lines([replace(dear, kind="unheard of")]) == ()
