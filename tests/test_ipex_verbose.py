"""Intel Extension for PyTorch brings a second copy of oneDNN, with a level and a header of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.clean_process import CleanProcesses

pytestmark = pytest.mark.ipex

PRELUDE = """
    import torch
    import intel_extension_for_pytorch as ipex
    from perfsuite.capture import verbose
    from perfsuite.capture.verbose import *
    from perfsuite.onednn import VerboseParser, header_facts

    def execute_both():
        torch.ones(1, 1, 2, 2).to_mkldnn()
        weight = torch.ones(1, 1, 1, 1)
        torch.ops.ipex_prepack.convolution_prepack(weight, None, [1, 1], [0, 0], [1, 1], 1, False, [1, 1, 2, 2])
    """


Run = Callable[..., list[str]]


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CleanProcesses]:
    with CleanProcesses(PRELUDE, tmp_path_factory.mktemp("ipex")) as processes:
        yield processes


@pytest.fixture
def run(processes: CleanProcesses) -> Run:
    """Runs code; gives its standard output line by line."""
    return lambda code, **environment: processes.run(code, **environment)[0]


def test_both_copies_are_captured_and_switched_off_again(run: Run) -> None:
    out = run(
        """
        with capture_verbose() as capture:
            execute_both()
        execute_both()
        assert len(capture.lines) == 2, capture.lines
        assert not capture.incomplete
        facts = header_facts(verbose_header())
        assert len(facts) == 2, facts
        assert len({tuple(fact.items()) for fact in facts}) == 2, facts
        """
    )
    assert out == []


def test_the_level_of_each_copy_is_put_back(run: Run) -> None:
    out = run(
        """
        ipex._C.mkldnn_set_verbose(2)
        with capture_verbose() as capture:
            pass
        print("--", flush=True)
        execute_both()
        """
    )
    after = out[out.index("--") + 1 :]
    assert len([line for line in after if ",exec," in line]) == 1  # torch's copy stays silent
    assert [line for line in after if ",create:" in line]


def test_the_extension_s_own_scope_in_the_block_is_noticed(run: Run) -> None:
    run(
        """
        with capture_verbose() as capture:
            with ipex.verbose(ipex.verbose.VERBOSE_ON if hasattr(ipex.verbose, "VERBOSE_ON") else 1):
                execute_both()
            execute_both()
        assert len(capture.lines) == 2
        assert capture.incomplete
        """
    )


def test_timestamps_are_those_of_both_copies(run: Run) -> None:
    run(
        """
        request_timestamps()
        assert timestamps_available()
        with capture_verbose() as capture:
            execute_both()
        parser = VerboseParser()
        assert all(parser.feed(line).start_ns is not None for line in capture.lines)
        """
    )


def test_a_training_step_prints_through_the_extension(run: Run) -> None:
    run(
        """
        model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU())
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        model, optimizer = ipex.optimize(model.train(), optimizer=optimizer, dtype=torch.float32)
        batch = torch.randn(2, 3, 16, 16)
        model(batch).sum().backward()
        with capture_verbose() as capture:
            model(batch).sum().backward()
        parser = VerboseParser()
        found = [e for line in (*verbose_header(), *capture.lines) if (e := parser.feed(line))]
        directions = [e.direction for e in found if e.kind == "convolution"]
        assert sorted(directions) == ["backward_weights", "forward_training"], directions
        assert parser.rejected == []
        """
    )


def test_an_extension_without_the_probe_s_operator_goes_by_torch_s_level(run: Run) -> None:
    out = run(
        """
        class Namespace:
            pass

        real, torch.ops.ipex_prepack = torch.ops.ipex_prepack, Namespace()
        with capture_verbose() as capture:
            torch.ops.ipex_prepack, hidden = real, torch.ops.ipex_prepack
            execute_both()
            torch.ops.ipex_prepack = hidden
        torch.ops.ipex_prepack = real
        execute_both()
        assert len([line for line in capture.lines if ",exec," in line]) == 2, capture.lines
        """
    )
    assert out == []


def test_the_extension_s_operators_are_counted_at_their_real_argument_positions(run: Run) -> None:
    out = run(
        """
        from torch.profiler import ProfilerActivity, profile
        from perfsuite.flops import operator_flops
        layers = torch.nn.Conv2d(4, 33, 3, groups=1), torch.nn.Conv2d(33, 6, 3, groups=3, stride=2)
        model = torch.nn.Sequential(*layers, torch.nn.ConvTranspose2d(6, 4, 2, groups=2), torch.nn.Linear(4, 9))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        model, optimizer = ipex.optimize(model.train(), optimizer=optimizer, dtype=torch.bfloat16)
        with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiler:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = model(torch.randn(2, 4, 10, 10)).float().sum()
            loss.backward()
        for event in profiler.profiler.kineto_results.events():
            if event.name().startswith("torch_ipex::") and event.shapes():
                print(event.name(), operator_flops(event.name(), event.shapes(), event.concrete_inputs()))
        """
    )
    dense, grouped = 2 * 2 * 33 * 64 * 4 * 9, 2 * 2 * 6 * 9 * 11 * 9
    transposed, linear = 2 * 2 * 6 * 9 * 2 * 4, 2 * (2 * 4 * 4) * 4 * 9
    assert set(out) == {
        f"torch_ipex::convolution_forward {dense}",
        f"torch_ipex::convolution_forward {grouped}",
        "torch_ipex::convolution_backward None",  # says the packed weight's size only
        f"torch_ipex::conv_transpose {transposed}",
        "torch_ipex::conv_transpose_backward None",
        f"torch_ipex::ipex_linear {linear}",
        f"torch_ipex::linear_backward {2 * linear + 2 * 4 * 4 * 9}",
    }
