from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.workloads import NAMES
from perfsuite.history.names import OTHER, TRACKED, all_series, has_series, series_of, tracked_name


@pytest.mark.parametrize(
    ("operators", "name"),
    [
        (("aten::mkldnn_convolution", "torch_ipex::convolution_forward_impl", "torch_ipex::convolution_forward",
          "aten::convolution", "aten::_convolution", "aten::conv2d", "aten::_slow_conv2d_forward"), "convolution"),
        (("aten::convolution_backward", "torch_ipex::convolution_backward"), "convolution_backward"),
        (("aten::native_batch_norm", "aten::batch_norm", "torch_ipex::batch_norm_forward"), "batch_norm"),
        (("aten::native_batch_norm_backward", "torch_ipex::batch_norm_backward"), "batch_norm_backward"),
        (("aten::mkldnn_rnn_layer", "torch_ipex::ipex_lstm_layer"), "rnn"),
        (("aten::mkldnn_rnn_layer_backward", "torch_ipex::ipex_lstm_layer_backward"), "rnn_backward"),
        (("aten::addmm", "aten::mm", "aten::bmm", "torch_ipex::ipex_linear", "torch_ipex::ipex_linear_backward"),
         "matmul"),
        (("aten::add", "aten::add_", "aten::add.Tensor", "aten::add_.Tensor"), "add"),
        (("aten::threshold_backward",), "relu_backward"),
        (("aten::copy_", "aten::_to_copy"), "copy"),
        (("torch_ipex::sgd_fused_step", "torch_ipex::adam_fused_step", "torch_ipex::adamw_fused_step",
          "aten::_fused_adam_"), "fused_optimizer"),
        (("aten::some_new_operator",), "some_new_operator"),
    ],
)  # fmt: skip
def test_operators_of_one_computation_have_one_name(operators: tuple[str, ...], name: str):
    assert {tracked_name(operator) for operator in operators} == {name}


@pytest.mark.parametrize("name", sorted({name for names in TRACKED.values() for name in names}))
def test_a_tracked_name_is_its_own(name: str):
    assert tracked_name(f"aten::{name}") == name, "or no operator could ever have it"


def test_every_workload_has_its_operators_each_once():
    assert set(TRACKED) == set(NAMES)
    for names in TRACKED.values():
        assert len(set(names)) == len(names)
        assert OTHER not in names


def test_all_series_end_with_the_rest():
    assert all_series()[-1] == OTHER
    assert len(set(all_series())) == len(all_series())
    assert {name for names in TRACKED.values() for name in names} == set(all_series()[:-1])


def test_an_operator_that_a_workload_does_not_name_is_in_its_rest():
    assert series_of("aten::mkldnn_rnn_layer", "lstm") == "rnn"
    assert series_of("aten::mkldnn_rnn_layer", "resnet18") == OTHER
    assert series_of("aten::add", "a workload of someone else's") == OTHER
    assert has_series("lstm", "rnn")
    assert not has_series("resnet18", "rnn")
    assert has_series("resnet18", OTHER)


@given(
    st.from_regex(r"(aten|torch_ipex|torchvision|mkldnn)::[a-z_]{1,20}(\.[A-Za-z]{1,6})?", fullmatch=True),
    st.sampled_from((*NAMES, "another")),
)
def test_every_operator_is_in_one_series_of_its_workload(operator: str, workload: str):
    series = series_of(operator, workload)
    assert has_series(workload, series)
    assert series in all_series()
    assert series in (OTHER, tracked_name(operator))
