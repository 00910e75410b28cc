"""What rules make of records: shares and stakes to the last digit, and names that must not mislead them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfsuite.analyse.advice import Advice, Finding, Subject, advise
from perfsuite.analyse.kernel import kernel_ns
from perfsuite.analyse.tables import top_operators
from perfsuite.records import (
    Environment,
    Ledger,
    Memory,
    Operator,
    Phase,
    Primitive,
    Profile,
    PythonTime,
    Samples,
    Shape,
)
from tests.samples import a_primitive, an_environment

STEP = 1_000_000
AVX512 = ("avx2", "avx512bw", "avx512dq", "avx512f", "avx512vl")
PLAIN = an_environment(torch_threads=1)
WIDE = an_environment(isa=AVX512, torch_threads=1)
BFLOAT16 = an_environment(isa=(*AVX512, "avx512_bf16"), torch_threads=1)
CONVOLUTION = "torch_ipex::convolution_forward"
WEIGHT = (8, 8, 3, 3)


def op(
    name: str, phase: str | None, shapes: Shape = (), ns: int = 0, module: str | None = "net", **changes: object
) -> Operator:
    count = changes.pop("count", 1)
    total = changes.pop("total_ns", ns)
    return Operator(name, phase, module, shapes, count, ns, (ns,), total, counts=(count,), **changes)  # type: ignore[arg-type]


def step(*operators: Operator, **changes: object) -> Profile:
    """A step of a millisecond in every pass."""
    values: dict[str, object] = {
        "operators": operators,
        "ledger": Ledger(STEP, 0, 0, 0),
        "join": "timestamps",
        "walls_ns": dict.fromkeys(("phases", "operators", "primitives"), (STEP,)),
        "passes": ("phases", "operators", "primitives"),
        "steps": 1,
    }
    return Profile("net", **{**values, **changes})  # type: ignore[arg-type]


def ask(profile: Profile, environment: Environment = PLAIN, against: Profile | None = None) -> Advice:
    return advise(Subject(profile, environment, against))


def find(
    rule: str, profile: Profile, environment: Environment = PLAIN, against: Profile | None = None
) -> list[Finding]:
    advice = ask(profile, environment, against)
    assert rule not in {missing.rule for missing in advice.not_checked}
    return [finding for finding in advice.findings if finding.rule == rule]


def the(rule: str, *arguments: object) -> Finding:
    (found,) = find(rule, *arguments)  # type: ignore[arg-type]
    return found


def texts(finding: Finding) -> list[str]:
    return [fact.text for fact in finding.evidence]


# --- shares -----------------------------------------------------------------------------------------


def test_short_operators_and_python_are_what_a_fragmented_step_loses():
    short = op("aten::tanh", "forward", ((4, 4),), 200_000, count=200)
    python = PythonTime("module", "forward", "net", 1, 150_000.0)
    finding = the("fragmented", step(short, op("aten::mm", "forward", ((4, 4),), 600_000), python=(python,)))
    assert (finding.stake.ns, finding.stake.share) == (350_000, 0.35)
    assert [(fact.count, fact.time_ns) for fact in finding.evidence] == [(200, 200_000), (None, 150_000)]
    few = replace(short, count=199)
    assert find("fragmented", step(few, python=(python,))) == []
    assert find("fragmented", step(short)) == []  # 20 %


def test_of_a_loss_two_passes_are_kept():
    loss = (
        op("aten::log_sigmoid_forward", "loss", ((256, 2000),), 100_000, None),
        op("aten::mul", "loss", ((256, 2000),), 20_000, None),
        op("aten::sum", "loss", ((256, 2000),), 30_000, None),
    )
    finding = the("loss-share", step(*loss))
    assert finding.title == "the loss takes 15% of the profiled step"
    assert finding.stake.ns == pytest.approx(110_000)  # 150 000 less twice the 20 000 of mul
    assert finding.stake.share == pytest.approx(0.11)
    assert find("loss-share", step(loss[1], loss[2])) == []  # 5 %


def test_waiting_for_data_is_the_phase_without_the_profiler():
    phases = (Phase("data", (40_000, 60_000, 50_000)), Phase("forward", (1, 1, 1)))
    walls = {"phases": (STEP, STEP, STEP), "operators": (STEP,)}
    profile = step(op("aten::mm", "forward", ((4, 4),), 10), phases=phases, walls_ns=walls)
    finding = the("loader", profile)
    assert (finding.stake.ns, finding.stake.share) == (50_000, 0.05)
    faster = replace(profile, phases=(Phase("data", (49_000, 49_000, 49_000)),))
    assert find("loader", faster) == []


def test_an_optimizer_loop_is_fused_but_for_its_longest_operator():
    rows = (
        op("aten::mul_", "optimizer", (WEIGHT,), 30_000, None, count=12),
        op("aten::add_", "optimizer", (WEIGHT,), 20_000, None, count=12),
    )
    finding = the("optimizer-loop", step(*rows))
    assert finding.stake.ns == pytest.approx(20_000)
    assert finding.stake.share == pytest.approx(0.02)
    assert find("optimizer-loop", step(*rows, op("aten::_fused_sgd_", "optimizer", (), 1, None))) == []


def test_a_chain_of_elementwise_operators_is_merged_into_its_cheapest():
    names = {"aten::mul": 40_000, "aten::exp": 60_000, "aten::add": 50_000}
    rows = [op(name, "forward", ((512, 512),), ns) for name, ns in names.items()]
    finding = the("elementwise-chain", step(*rows))
    assert finding.stake.ns == pytest.approx(110_000)
    assert finding.stake.share == pytest.approx(0.11)


def test_an_operator_and_the_one_that_it_calls_are_one_pass():
    """As recorded of ``tensor / scalar``: the outer row has the time of the inner one in its total, and no bytes."""
    place = ("backward", ((512, 512),))
    inner = op("aten::div", *place, 175_000, bytes_moved=2.0**21, dtypes=("float32", "float32"))
    outer = op("aten::div", *place, 5_000, total_ns=185_000, dtypes=("float32", None))
    threshold = op("aten::threshold_backward", *place, 140_000, bytes_moved=3.0 * 2**20)
    assert find("elementwise-chain", step(inner, outer, threshold)) == []
    tanh = op("aten::tanh_backward", *place, 60_000, bytes_moved=3.0 * 2**20)
    finding = the("elementwise-chain", step(inner, outer, threshold, tanh))
    assert [(fact.count, fact.time_ns) for fact in finding.evidence] == [(3, 375_000)]
    assert finding.stake.ns == pytest.approx(
        315_000
    )  # less the 60 000 of tanh_backward, not the 5 000 of the outer div
    # Recorded before there were bytes.
    old = [replace(row, bytes_moved=None) for row in (inner, outer, threshold, tanh)]
    assert the("elementwise-chain", step(*old)).stake.ns == pytest.approx(315_000)


def test_a_loss_that_calls_its_out_variant_ran_once():
    shapes = ((), (512, 512))
    rows = (
        op("aten::mse_loss", "loss", shapes, 60_000, None, bytes_moved=2.0**21),
        op("aten::mse_loss_backward", "backward", shapes, 8_000, None, total_ns=104_000, dtypes=("float32",)),
        op("aten::mse_loss_backward", "backward", shapes, 56_000, None, bytes_moved=2.0**22),
    )
    finding = the("loss-share", step(*rows))
    facts = {fact.text: (fact.count, fact.time_ns) for fact in finding.evidence}
    assert facts["aten::mse_loss_backward on 512x512"] == (1, 64_000)
    assert finding.stake.ns == pytest.approx(124_000 - 2 * 56_000)


def test_forward_and_backward_are_no_chain():
    def of(phase: str | None, *names: str) -> list[Operator]:
        return [op(f"aten::{name}", phase, ((512, 512),), 50_000) for name in names]

    def reasons(profile: Profile) -> list[str]:
        return [one.reason for one in ask(profile).not_checked if one.rule == "elementwise-chain"]

    (reason,) = reasons(step(*of(None, "tanh", "mul", "tanh_backward")))
    assert reason.startswith("tanh, mul: forward and backward cannot be told apart")
    assert find("elementwise-chain", step(*of(None, "tanh", "tanh_backward"))) == []
    mixed = of(None, "tanh", "mul", "exp", "tanh_backward")
    (reason,) = reasons(step(*mixed))
    assert reason.startswith("tanh, mul, exp: forward and backward cannot be told apart")
    assert reason.endswith("mark phases with profiled.step or profiled.phase")
    # Ranges of autograd tell it too, where no name does; without them all of it is forward.
    autograd, module = (PythonTime(kind, None, "net", 1, 1_000.0) for kind in ("autograd", "module"))
    assert reasons(step(*mixed[:3], python=(autograd, module))) == [reason]
    assert the("elementwise-chain", step(*mixed[:3], python=(module,))).stake.ns == pytest.approx(100_000)
    # What names tell is a chain; the rest is said not to be counted.
    backward = of(None, "tanh_backward", "sigmoid_backward", "gelu_backward")
    finding = the("elementwise-chain", step(*mixed[:3], *backward))
    assert finding.stake.ns == pytest.approx(100_000)
    assert [fact.count for fact in finding.evidence] == [3, 3]
    assert texts(finding)[1].startswith("not counted, forward and backward cannot be told apart")
    # A chain too small to be seen does not hide what was not counted.
    small = [replace(row, self_ns=5_000.0, self_ns_samples=(5_000,), total_ns=5_000.0) for row in backward]
    assert reasons(step(*mixed[:3], *small)) == [reason]
    # In a phase of forward it is the forward of a torch.autograd.Function.
    inside = replace(autograd, phase="forward"), replace(module, phase="forward")
    assert find("elementwise-chain", step(*of("forward", "tanh", "mul", "exp"), python=inside)) != []
    # A module that runs again in the phase backward (checkpointing) mixes both there.
    again = replace(module, phase="backward")
    rows = of("backward", "mul", "exp", "sigmoid", "tanh_backward")
    assert reasons(step(*rows, python=(again,))) != []
    assert the("elementwise-chain", step(*rows)).stake.ns == pytest.approx(150_000)


# --- Python -----------------------------------------------------------------------------------------


def test_python_that_short_operators_do_not_explain_is_a_finding():
    rows = (PythonTime("phase", "forward", None, 1, 250_000.0), PythonTime("module", "forward", "net", 1, 50_000.0))
    mm = op("aten::mm", "forward", ((4, 4),), 600_000)
    finding = the("python-bound", step(mm, python=rows))
    assert finding.action.startswith("see what Python does")
    assert (finding.stake.ns, finding.stake.share) == (300_000, 0.3)
    assert [(fact.text, fact.time_ns) for fact in finding.evidence] == [
        ("phase range of no module, forward", 250_000),
        ("module range of net, forward", 50_000),
    ]
    assert find("python-bound", step(mm, python=rows[:1])) == []  # 25 %
    # A small step: as much Python as leads from one operator to the next.
    assert the("python-bound", step(replace(mm, count=15), python=rows)).action.startswith("give each call more work")
    short = op("aten::tanh", "forward", ((4, 4),), 100_000, count=200)
    assert find("python-bound", step(short, python=rows)) == []
    assert find("fragmented", step(short, python=rows)) != []
    # 200 calls do not explain 5 ms of Python, however short they are.
    asleep = step(short, python=(replace(rows[0], self_ns=5e6),), ledger=Ledger(10 * STEP, 0, 0, 0))
    assert find("fragmented", asleep) != []
    assert the("python-bound", asleep).stake.share == 0.5
    # Waiting for data is the loader's rule, where it can look.
    data = replace(rows[0], phase="data")
    assert find("python-bound", step(mm, python=(data, rows[1]), phases=(Phase("data", (1,)),))) == []
    assert find("python-bound", step(mm, python=(data, rows[1]))) != []


def test_time_outside_of_all_phases_is_a_finding():
    mm = op("aten::mm", "forward", ((4, 4),), 600_000)
    finding = the("python-bound", step(mm, ledger=Ledger(STEP, 600_000, 300_000, 100_000)))
    assert (finding.stake.ns, finding.stake.share) == (100_000, 0.1)
    assert finding.title == "10% of the profiled step lies outside of what was recorded"
    assert find("python-bound", step(mm, ledger=Ledger(STEP, 600_000, 301_000, 99_000))) == []


# --- instruction sets and implementations -----------------------------------------------------------


@pytest.mark.parametrize(
    ("implementation", "narrow"),
    [
        ("brg_matmul:avx10_2_amx_2", False),
        ("brgconv:avx10_1_512_amx", False),
        ("jit:avx10_2", False),
        ("brg_conv_bwd:avx512_core+brg_conv_fwd:avx10_1_512", False),
        ("brg_conv_fwd:avx2_vnni_2", True),
        ("jit:avx", True),
        ("jit:sse41+jit:avx512_core", True),
        ("jit:avx99", False),
    ],
)
def test_the_width_of_an_instruction_set(implementation, narrow):
    row = a_primitive("convolution", "forward", 50_000.0, None, implementation=implementation)
    found = find("slow-implementation", step(primitives=(row,)), WIDE)
    assert bool(found) is narrow
    assert all("narrower vectors" in finding.title for finding in found)


@pytest.mark.parametrize(
    ("cap", "narrow"),
    [("AVX2", True), ("AVX2_VNNI", True), ("AVX10_1_512", False), ("AVX10_1_512_AMX", False), ("AVX512_CORE", False),
     ("AVX10_2", False), ("SSE41", True), ("DEFAULT", False)],
)  # fmt: skip
def test_a_cap_counts_for_kernels_whose_names_say_no_instruction_set(cap, narrow):
    row = a_primitive("matmul", "undef", 50_000.0, None, implementation="x64:gemm:jit")
    environment = replace(WIDE, omp={"ONEDNN_MAX_CPU_ISA": cap})
    assert bool(find("slow-implementation", step(primitives=(row,)), environment)) is narrow


def test_generic_code_is_not_called_a_reference():
    rows = (
        a_primitive("reorder", "undef", 30_000.0, None, implementation="simple:any"),
        a_primitive("concat", "undef", 10_000.0, None, implementation="simple:any"),
        a_primitive("pooling", "forward", 20_000.0, None, implementation="ref:any"),
    )
    found = find("slow-implementation", step(primitives=rows))
    assert [(finding.title, finding.stake.ns) for finding in found] == [
        ("reorder, concat without an implementation for this CPU's instruction set", 40_000),
        ("pooling in a reference implementation", 20_000),
    ]
    assert "ONEDNN_VERBOSE" not in found[0].action


# --- bfloat16 ---------------------------------------------------------------------------------------


def product(implementation: str, attributes: str = "", ns: float = 50_000.0) -> Primitive:
    return a_primitive(
        "matmul", "undef", ns, 0,
        dtypes="src:f32 wei:f32 dst:f32", implementation=implementation, attributes=attributes,
    )  # fmt: skip


def test_what_is_rounded_to_bfloat16_already_is_no_finding():
    addmm = op("aten::addmm", "forward", ((8, 8),), 400_000, flops=4e7, dtypes=("float32",), primitives=(0, 1))
    slow, fast = (
        product("jit:avx512_core", "attr-fpmath:bf16"),
        product("brg_matmul:avx512_core_amx", "attr-fpmath:bf16"),
    )
    reorder = a_primitive("reorder", "undef", 1e5, 0)
    finding = the("bfloat16", step(addmm, primitives=(slow, reorder)), BFLOAT16)
    assert (finding.stake.ns, finding.stake.share) == (200_000, 0.2)
    assert "math mode" not in finding.caveat
    assert find("bfloat16", step(addmm, primitives=(fast, reorder)), BFLOAT16) == []
    unseen = the("bfloat16", step(replace(addmm, primitives=()), join=None), BFLOAT16)
    assert "math mode" in unseen.caveat


def test_the_extensions_convolutions_count_with_the_time_of_what_they_call():
    """As recorded of IPEX 2.8: FLOPs on the operator, time and primitives on one below it without shapes."""
    outer = op(CONVOLUTION, "forward", ((4, 3, 8, 8),), 10_000, flops=3e7, dtypes=("float32",), total_ns=300_000)
    inner = op(f"{CONVOLUTION}_impl", "forward", (), 280_000, primitives=(0,))
    backward = "torch_ipex::convolution_backward"
    outer_back = op(backward, "backward", ((4, 3, 8, 8),), 10_000, flops=4e7, dtypes=("float32",), total_ns=400_000)
    inner_back = op(backward, "backward", (), 390_000, primitives=(1,))
    rows = (outer, inner, outer_back, inner_back)
    kept = (product("jit:avx512_core"), product("jit:avx512_core"))
    finding = the("bfloat16", step(*rows, primitives=kept), BFLOAT16)
    assert (finding.stake.ns, finding.stake.share) == (350_000, 0.35)
    rounded = (kept[0], product("brgconv:avx512_core_amx", "attr-fpmath:bf16"))
    finding = the("bfloat16", step(*rows, primitives=rounded), BFLOAT16)
    assert (finding.stake.ns, finding.stake.share) == (150_000, 0.15)


@pytest.mark.parametrize(
    ("flops", "ns", "claimed"),
    [
        (4e7, 400_000, True),
        (9e6, 400_000, False),  # a small call
        (2e7, 2_100_000, False),  # below 10 GFLOP/s
    ],
)
def test_only_what_arithmetic_limits_gains_from_bfloat16(flops, ns, claimed):
    row = op("aten::addmm", "forward", ((8, 8),), ns, flops=flops, dtypes=("float32",))
    assert bool(find("bfloat16", step(row), BFLOAT16)) is claimed
    assert find("bfloat16", step(replace(row, count=5), join=None), BFLOAT16) == []


def test_products_far_below_the_runs_best_rate_are_not_at_stake():
    fast = op("aten::mm", "forward", ((8, 8),), 300_000, flops=6e7, dtypes=("float32",))  # 200 GFLOP/s
    slow = op("aten::convolution_backward", "backward", ((8, 8),), 400_000, flops=7e6, dtypes=("float32",))
    near = replace(slow, flops=1.2e7, name="aten::mkldnn_convolution")  # 30 GFLOP/s
    finding = the("bfloat16", step(fast, slow, near), BFLOAT16)
    assert (finding.stake.ns, finding.stake.share) == (350_000, 0.35)
    below = replace(near, flops=1.0e7, self_ns=600_000.0, self_ns_samples=(600_000,))  # 17 GFLOP/s
    assert the("bfloat16", step(fast, below), BFLOAT16).stake.ns == 150_000


# --- frozen layers ----------------------------------------------------------------------------------


def test_the_layers_that_are_not_updated_are_at_stake_the_longest_first():
    rows = [
        op("aten::convolution_backward", "backward", ((4, 8), (4, 8), WEIGHT), ns, f"net.{name}", primitives=(0,))
        for name, ns in (("a", 100_000), ("b", 300_000), ("c", 200_000))
    ]
    gradients = op("aten::detach", "backward", (WEIGHT,), 0, None, count=3)
    update = op("aten::add_", "optimizer", (WEIGHT, WEIGHT), 10, None, count=1)
    primitives = (a_primitive("convolution", "backward_weights", 1e4, 0),)
    finding = the("frozen-backward", step(*rows, gradients, update, primitives=primitives))
    assert (finding.stake.ns, finding.stake.share) == (500_000, 0.5)
    assert "3 get a gradient, 1 are updated" in texts(finding)[0]
    # With two gradients for three modules, two of these share a weight.
    tied = replace(gradients, count=2, counts=(2,))
    finding = the("frozen-backward", step(*rows, tied, update, primitives=primitives))
    assert (finding.stake.ns, finding.stake.share) == (300_000, 0.3)
    assert "2 get a gradient, 1 are updated" in texts(finding)[0]


# --- all findings together --------------------------------------------------------------------------

FAULTS = Memory(0, None, STEP, 900_000, 60_000, 2_000)


def chain(phase: str, *names: str, ns: int = 50_000, module: str = "net") -> list[Operator]:
    return [op(f"aten::{name}", phase, ((512, 512),), ns, module) for name in names]


def test_a_stake_is_its_share_of_the_timed_median_and_says_so():
    rows = chain("forward", "mul", "exp", "add")
    timed = step(*rows, samples=Samples((400_000, 500_000, 900_000)))
    stake = the("elementwise-chain", timed).stake
    assert (stake.ns, stake.share) == (pytest.approx(50_000), pytest.approx(0.1))
    assert stake.how.endswith("; its share of the profiled step, applied to the timed median")
    untimed = the("elementwise-chain", step(*rows)).stake
    assert (untimed.ns, untimed.share) == (pytest.approx(100_000), stake.share)
    assert untimed.how.endswith("applied to the profiled step (none was timed)")


def test_no_stake_is_above_the_headline():
    # Threads beside each other: together they take longer than the step.
    rows = [op("aten::mm", "forward", ((4, 4),), 10, primitives=(0,))]
    slow = a_primitive("matmul", "undef", 3.0 * STEP, 0, implementation="ref:any")
    profile = step(*rows, primitives=(slow,), samples=Samples((400_000, 500_000, 900_000)))
    stake = the("slow-implementation", profile).stake
    assert (stake.ns, stake.share) == (500_000, 3.0)


def test_evidence_has_the_times_of_the_tables():
    """A step that was interrupted counts there and here."""
    samples = (40_000, 40_000, 130_000)
    rows = [replace(row, self_ns=70_000.0, self_ns_samples=samples) for row in chain("forward", "mul", "exp", "add")]
    profile = step(*rows, steps=3)
    (fact,) = the("elementwise-chain", profile).evidence
    assert fact.time_ns == sum(row.self_ns for row in top_operators(profile)) == 210_000
    share = sum(row.share or 0 for row in top_operators(profile))
    assert the("elementwise-chain", profile).stake.share == pytest.approx(share * 2 / 3)


def test_page_faults_come_before_what_they_inflate():
    profile = step(*chain("forward", "mul", "exp", "add"), memory=FAULTS)
    first, second = (one for one in ask(profile).findings if one.rule in ("page-faults", "elementwise-chain"))
    assert (first.rule, second.rule) == ("page-faults", "elementwise-chain")
    assert first.stake.share < second.stake.share
    assert "perfsuite launch" in first.first
    assert second.first is None
    # Of the step, not of the CPU time: here threads waited.
    waited = replace(FAULTS, wall_ns=2 * STEP)
    assert find("page-faults", replace(profile, memory=waited)) == []


def test_elementwise_operators_of_the_loss_are_a_part_of_the_loss():
    loss = chain("loss", "log_sigmoid_forward", "mul", "exp", "add", "sub")
    rest = op("aten::mm", "forward", ((4, 4),), 100_000)
    advice = ask(step(*loss, rest, memory=FAULTS))
    assert [one.rule for one in advice.findings] == ["page-faults", "loss-share", "elementwise-chain"]
    assert [one.rule for one in advice.top] == ["page-faults", "loss-share"]
    part = advice.findings[-1]
    assert part.part_of == "loss-share"
    assert "[loss-share], of which this is a part" in part.evidence[0].text
    assert part.evidence[0].time_ns == 250_000
    # As much elsewhere: then it is something of its own.
    apart = ask(step(*loss, *chain("forward", "mul", "exp", "add", "sub", "neg", "sigmoid", module="other")))
    assert {one.part_of for one in apart.findings} == {None}
    assert apart.top == apart.findings


def test_a_part_comes_after_what_is_not_known():
    loss = chain("loss", "log_sigmoid_forward", "mul", "exp", "add", "sub")
    busy = an_environment(torch_threads=9, usable_cpus=2)
    rules = [one.rule for one in ask(step(*loss), busy).findings]
    assert rules == ["loss-share", "threads", "elementwise-chain"]


# --- page faults ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wall", "user", "system", "ns", "share"),
    [
        (1_000_000, 750_000, 250_000, 250_000, 0.25),
        (2_000_000, 750_000, 250_000, 250_000, 0.125),  # it waited for half of the time
        (500_000, 750_000, 250_000, 125_000, 0.25),  # two threads
    ],
)
def test_page_faults_cost_at_most_the_kernels_time_in_that_step(wall, user, system, ns, share):
    memory = Memory(0, None, wall, user, system, 2_000)
    row = op("aten::mm", "forward", ((4, 4),), 10, allocated_bytes=2.0**24)
    finding = the("page-faults", step(row, memory=memory))
    assert kernel_ns(memory) == ns
    assert (finding.stake.ns, finding.stake.share) == (share * STEP, share)
    assert (finding.stake.kind, finding.stake.of) == ("estimate", "a bare step")
    assert [(fact.text, fact.time_ns, fact.count) for fact in finding.evidence[:5]] == [
        ("that bare step by the clock", wall, None),
        ("CPU time of all threads in the kernel in it", system, None),
        ("CPU time of all threads outside of the kernel in it", user, None),
        ("page faults in it, of at least 8 MiB together", None, 2_000),
        ("tensors ask for 16 MiB in a step", None, None),
    ]
    reusing = replace(row, allocated_bytes=2.0**26)  # fresh pages for an eighth
    assert find("page-faults", step(reusing, memory=memory)) == []
    assert find("page-faults", step(row, memory=replace(memory, wall_ns=0))) == []


# --- a reference run --------------------------------------------------------------------------------


def test_what_is_missing_does_not_pay_for_what_is_new():
    common = op("aten::mm", "forward", ((4, 4),), 500_000)
    new, gone = op("aten::exp", "forward", ((4, 4),), 29_000), op("aten::erf", "forward", ((4, 4),), 30_000)
    finding = the("reference", step(common, new), PLAIN, step(common, gone))
    assert (finding.stake.ns, finding.stake.share) == (29_000, 0.029)
    assert finding.stake.how.startswith("time of those that take longer here")
    assert texts(finding) == [
        "aten::exp in forward: 1× here, 0× in the reference",
        "aten::erf in forward: 0× here, 1× in the reference",
    ]


def test_less_work_than_in_the_reference_is_nothing_lost():
    common, gone = op("aten::mm", "forward", ((4, 4),), 500_000), op("aten::erf", "forward", ((4, 4),), 30_000)
    finding = the("reference", step(common), PLAIN, step(common, gone))
    assert (finding.stake.ns, finding.stake.share) == (None, None)
    assert finding.stake.how == "nothing is known to be lost: they take no longer here than in the reference"
    elsewhere = Subject(step(common), PLAIN, step(common, gone), replace(PLAIN, cpu_model="Another"))
    (finding,) = [one for one in advise(elsewhere).findings if one.rule == "reference"]
    assert finding.stake.how.startswith("the reference was recorded on another machine")


@pytest.mark.parametrize(
    ("here", "there", "said"),
    [
        ((100, 4), (0, 4), ", on 400 elements, none in the reference"),
        ((0, 4), (100, 4), ", on no elements, 400 in the reference"),
        ((300, 4), (100, 4), ", on 3× the elements"),
    ],
)
def test_tensors_of_another_size_may_be_empty(here, there, said):
    one, other = op("aten::mul", "forward", (here,), 50_000), op("aten::mul", "forward", (there,), 40_000)
    finding = the("reference", step(one), PLAIN, step(other))
    assert texts(finding) == [f"aten::mul in forward: 1× here, 1× in the reference{said}"]
    assert finding.stake.ns == 10_000


def test_calls_whose_sizes_were_not_recorded_differ_by_their_count_alone():
    sized, bare = op("aten::mul", "forward", ((100, 4),), 50_000), op("aten::mul", "forward", (), 40_000)
    for here, there in ((sized, bare), (bare, sized), (bare, bare)):
        assert find("reference", step(here), PLAIN, step(there)) == []
    assert texts(the("reference", step(replace(sized, count=2)), PLAIN, step(bare))) == [
        "aten::mul in forward: 2× here, 1× in the reference"
    ]


# --- evidence ---------------------------------------------------------------------------------------


def test_evidence_without_sizes_says_none():
    rows = (op("aten::div_", "loss", (), 100_000, None), op("aten::mul", "loss", ((4, 4),), 60_000, None))
    assert texts(the("loss-share", step(*rows)))[2:] == ["aten::div_", "aten::mul on 4x4"]
