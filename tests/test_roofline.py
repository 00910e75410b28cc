"""The roofline by hand, on ceilings of round numbers, and as it is shown."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.analyse.roofline import Coverage, roofline
from perfsuite.ceilings import CacheLevel, Ceiling, Ceilings
from perfsuite.present.roofline import format_rate, render_roofline, roofline_json
from perfsuite.records import Operator, Profile
from tests.samples import a_primitive, an_environment

KIB, MIB = 2**10, 2**20
#: 100 GFLOP/s of float32, 200 of bfloat16; 400, 100 and 10 GB/s.
CEILINGS = Ceilings(
    created="2026-11-21T08:10:09+00:00",
    environment=an_environment(torch_threads=2),
    threads=2,
    load_average=0.1,
    levels=(CacheLevel("L1", 64 * KIB), CacheLevel("L2", 2 * MIB), CacheLevel("DRAM", None)),
    roofs=(
        Ceiling("matmul", "float32", 1024, (100e9, 90e9, 95e9)),
        Ceiling("matmul", "bfloat16", 1024, (200e9,)),
        Ceiling("copy", "L1", 32 * KIB, (400e9,)),
        Ceiling("copy", "L2", MIB, (90e9,)),
        Ceiling("triad", "L2", MIB, (100e9,)),
        Ceiling("copy", "DRAM", 256 * MIB, (8e9,)),
        Ceiling("triad", "DRAM", 256 * MIB, (10e9,)),
    ),
    empty_operator_ns=(480.0, 500.0, 520.0),
)


def an_operator(name: str = "aten::mm", ms: float = 1.0, **changes: object) -> Operator:
    values = {
        "name": name, "phase": "forward", "module": "Net.fc", "shapes": ((4, 4),), "count": 1, "self_ns": ms * 1e6,
        "self_ns_samples": (int(ms * 1e6),), "total_ns": ms * 1e6, "dtypes": ("float32", "float32"),
    }  # fmt: skip
    return Operator(**{**values, **changes})  # type: ignore[arg-type]


def point(ceilings: Ceilings | None = CEILINGS, **changes: object):
    (row,) = roofline(Profile("net", operators=(an_operator(**changes),)), ceilings).operators
    return row.point


# --- one dot ----------------------------------------------------------------------------------------


def test_much_work_on_few_bytes_is_bound_by_the_peak():
    found = point(flops=50e6, bytes_moved=MIB, ms=1)
    assert found.intensity == 50e6 / MIB
    assert found.flop_rate == pytest.approx(50e9)
    assert found.byte_rate == pytest.approx(MIB * 1e3)
    assert (found.level, found.ceiling, found.share, found.bound) == ("L2", 100e9, pytest.approx(0.5), "compute-bound")


def test_little_work_on_many_bytes_is_bound_by_the_memory_that_holds_them():
    found = point(flops=4e6, bytes_moved=8e6, ms=1)
    # half a FLOP a byte at 10 GB/s
    assert (found.level, found.ceiling, found.bound) == ("DRAM", 5e9, "memory-bound")
    assert found.share == pytest.approx(4e9 / 5e9)


def test_the_ridge_is_where_the_two_roofs_meet():
    bandwidth, peak = 10e9, 100e9
    moved = 8e6
    assert point(flops=moved * peak / bandwidth, bytes_moved=moved, ms=10).bound == "compute-bound"
    assert point(flops=0.99 * moved * peak / bandwidth, bytes_moved=moved, ms=10).bound == "memory-bound"


def test_where_flops_are_not_counted_memory_is_the_roof():
    found = point(bytes_moved=8e6, ms=1)
    assert (found.flops, found.intensity, found.flop_rate) == (None, None, None)
    assert (found.ceiling, found.share, found.bound) == (10e9, pytest.approx(0.8), "memory-bound")


def test_what_has_no_flops_and_hardly_uses_the_memory_is_bound_by_neither_roof():
    # DRAM gives 10 GB/s: a quarter of it is evidence
    assert point(bytes_moved=2.6e6, ms=1).bound == "memory-bound"
    assert point(bytes_moved=2.4e6, ms=1).bound is None
    # 20 KiB would come from L1 at 400 GB/s, but DRAM explains 5 GB/s as well
    assert point(bytes_moved=20 * KIB, ms=4e-3).bound == "memory-bound"


def test_the_level_is_that_of_one_call():
    assert point(bytes_moved=40 * KIB).level == "L1"
    assert point(bytes_moved=100 * 40 * KIB, count=100, ms=10).level == "L1"
    assert point(bytes_moved=100 * 40 * KIB).level == "DRAM"


def test_a_short_call_is_bound_by_being_called():
    # two empty operators take 1 µs
    assert point(bytes_moved=KIB, ms=0.9e-3).bound == "overhead-bound"
    assert point(bytes_moved=8 * KIB, ms=1.1e-3).bound == "memory-bound"
    assert point(bytes_moved=100 * KIB, count=100, ms=0.05).bound == "overhead-bound"
    assert point(bytes_moved=0, ms=0.5e-3).bound == "overhead-bound"
    assert point(bytes_moved=0, ms=2).bound is None


def test_the_peak_is_that_of_the_data_type():
    work = {"flops": 50e6, "bytes_moved": MIB}
    assert point(**work, dtypes=(None, "bfloat16", "float32")).ceiling == 200e9
    found = point(**work, dtypes=("float64", "float64"))
    assert (found.ceiling, found.share, found.bound) == (None, None, None)
    assert found.flop_rate == pytest.approx(50e9)


def test_what_is_faster_than_the_ceiling_is_shown_as_it_is():
    assert point(bytes_moved=30e6, ms=1).share == pytest.approx(3.0)


def test_unknown_bytes_leave_everything_that_needs_them_unknown():
    found = point(flops=1e6)
    assert found.flop_rate == pytest.approx(1e9)
    assert (found.intensity, found.level, found.ceiling, found.share, found.bound) == (None,) * 5


def test_without_ceilings_there_are_rates_and_no_verdict():
    found = point(None, flops=4e6, bytes_moved=8e6)
    assert found.flop_rate == pytest.approx(4e9)
    assert found.intensity == 0.5
    assert (found.level, found.ceiling, found.share, found.bound) == (None,) * 4


def test_no_time_has_no_rate():
    found = point(flops=1e6, bytes_moved=1e6, ms=0)
    assert (found.flop_rate, found.share) == (None, None)


# --- a profile --------------------------------------------------------------------------------------

CONVOLUTION = "mb4_ic64oc64_ih16oh16kh3sh1dh0ph1_iw16ow16kw3sw1dw0pw1"
PROFILE = Profile(
    "net",
    scale="smoke",
    operators=(
        an_operator("aten::relu", 1.0, bytes_moved=8e6),
        an_operator("aten::mm", 6.0, bytes_moved=8e6, flops=4e8),
        an_operator("aten::index", 3.0),
    ),
    primitives=(
        a_primitive("convolution", "forward_training", 2e6, 1, problem=CONVOLUTION, dtypes="src:f32 wei:f32 dst:f32",
                    count=2.0),
        a_primitive("reorder", "undef", 5e5, 1, problem="4x64x16x16"),
    ),
)  # fmt: skip


def test_rows_are_sorted_and_coverage_is_of_the_time():
    found = roofline(PROFILE, CEILINGS)
    assert [row.name for row in found.operators] == ["aten::mm", "aten::index", "aten::relu"]
    assert found.coverage == Coverage(flops=0.6, bytes=0.7)
    assert found.primitive_coverage == Coverage(flops=0.8, bytes=1.0)
    assert roofline(Profile("empty"), CEILINGS).coverage == Coverage(None, None)


def test_an_operator_whose_time_lies_below_it_is_ranked_and_timed_with_all_of_it():
    # as the extension does: the work is known of the outer one, the time is the inner one's
    outer = an_operator("torch_ipex::convolution_forward", 0.1, total_ns=9e6, flops=4.5e8, bytes_moved=MIB)
    inner = an_operator("torch_ipex::convolution_forward_impl", 8.0, dtypes=(), shapes=())
    found = roofline(Profile("net", operators=(inner, outer)), CEILINGS).operators
    assert [row.name for row in found] == [outer.name, inner.name]
    assert found[0].point.flop_rate == pytest.approx(50e9)


def test_primitives_count_all_their_executions():
    conv = roofline(PROFILE, CEILINGS).primitives[0].point
    assert conv.flops == 2 * (2 * 4 * 64 * 64 * 256 * 9)
    assert conv.bytes == 2 * 4 * (2 * 4 * 64 * 256 + 64 * 64 * 9)
    assert conv.flop_rate == pytest.approx(conv.flops / 2e-3)
    assert (conv.dtype, conv.level, conv.bound) == ("float32", "L2", "compute-bound")


def test_a_primitive_is_not_bound_by_the_frameworks_cost():
    short = replace(PROFILE.primitives[0], count=1.0, time_ns=600.0)
    (found,) = roofline(replace(PROFILE, operators=(), primitives=(short,)), CEILINGS).primitives
    assert found.point.time_ns < CEILINGS.overhead_ns
    assert found.point.bound == "compute-bound"


def test_float32_that_is_multiplied_in_bfloat16_has_the_peak_of_that():
    rounding = {"attributes": "attr-fpmath:bf16", "implementation": "brg_conv_fwd:avx512_core_amx"}
    primitive = replace(PROFILE.primitives[0], operator=0, **rounding)
    convolution = an_operator("aten::mkldnn_convolution", flops=1e9, bytes_moved=1e4, primitives=(0,))
    found = roofline(replace(PROFILE, operators=(convolution,), primitives=(primitive,)), CEILINGS)
    assert found.primitives[0].point.dtype == found.operators[0].point.dtype == "bfloat16"
    assert found.operators[0].point.ceiling == 200e9


def test_a_pass_that_did_not_run_is_no_empty_table():
    timed = Profile("net", passes=("timing",))
    text = render_roofline(timed, roofline(timed, CEILINGS), primitives=False, top=3, width=80, color=False)
    assert "the operators pass did not run" in text
    assert "0 operator rows" not in text


def test_a_primitive_that_cannot_be_read_keeps_its_time():
    profile = replace(PROFILE, primitives=(a_primitive("convolution", "?", 1e6, None, problem="nonsense"),))
    found = roofline(profile, CEILINGS).primitives[0].point
    assert (found.flops, found.bytes, found.time_ns, found.bound) == (None, None, 1e6, None)


RATES = st.floats(1e3, 1e15)


@given(
    flops=st.none() | st.integers(0, 10**15), moved=st.none() | st.integers(0, 10**15),
    ms=st.integers(0, 10**9).map(lambda us: us / 1e3), count=st.floats(0.2, 1e6), peak=RATES, bandwidth=RATES,
)  # fmt: skip
def test_a_share_is_the_achieved_rate_over_the_lower_roof(flops, moved, ms, count, peak, bandwidth):
    roofs = (Ceiling("matmul", "float32", 1, (peak,)), Ceiling("copy", "DRAM", 1, (bandwidth,)))
    ceilings = replace(CEILINGS, roofs=roofs, levels=(CacheLevel("DRAM", None),))
    found = point(ceilings, flops=flops, bytes_moved=moved, ms=ms, count=count)
    if found.share is not None and flops is not None:
        assert found.ceiling is not None
        assert found.ceiling <= peak
        assert found.share * found.ceiling == pytest.approx(found.flop_rate)
    assert found.bound in (None, "compute-bound", "memory-bound", "overhead-bound")
    assert (found.flops is None) == (flops is None)


# --- shown ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("primitives", [False, True])
def test_a_table_fits_its_width(width, primitives):
    found = roofline(PROFILE, CEILINGS)
    text = render_roofline(PROFILE, found, primitives=primitives, top=10, width=width, color=False)
    assert max(map(len, text.splitlines())) <= width
    assert ("convolution FWD_D" if primitives else "aten::mm") in text
    assert "bytes known for 100.0%" in text if primitives else "bytes known for 70.0%, FLOPs for 60.0%" in text


def test_a_table_says_what_is_not_known():
    text = render_roofline(PROFILE, roofline(PROFILE, CEILINGS), primitives=False, top=2, width=120, color=False)
    index = next(line for line in text.splitlines() if "aten::index" in line)
    assert index.split()[-1] == "–"
    assert "top 2 of 3 operator rows" in text
    assert "compute-bound" in text


def test_json_is_strict_and_complete():
    value = json.loads(json.dumps(roofline_json(PROFILE, roofline(PROFILE, CEILINGS)), allow_nan=False))
    assert [row["name"] for row in value["operators"]] == ["aten::mm", "aten::index", "aten::relu"]
    first = value["operators"][0]
    assert first["flops"] == 4e8
    assert first["intensity"] == 50
    assert first["bound"] == "compute-bound"
    assert value["operators"][1]["flops"] is None
    assert value["primitives"][0]["problem"] == CONVOLUTION
    assert value["coverage"] == {"flops": 0.6, "bytes": 0.7}


def test_rates_are_printed_with_three_digits():
    rates = (None, 0.0, 1234e9, 99.96e9, 99.9e9, 12.34e9, 9.996e9, 9.99e9, 1e9, 0.0554e9, float("nan"))
    printed = ["–", "0", "1234", "100", "99.9", "12.3", "10.0", "9.99", "1.00", "0.055", "–"]
    assert [format_rate(rate) for rate in rates] == printed
