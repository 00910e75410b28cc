"""Stock PyTorch against the real Intel Extension for PyTorch: the comparison its users want."""

from __future__ import annotations

import pytest

from perfsuite.analyse.diff import WorkloadDiff, diff_profiles
from tests.test_workload_profiles import profile_of

pytestmark = pytest.mark.ipex


@pytest.fixture(scope="module")
def compared() -> WorkloadDiff:
    return diff_profiles(profile_of("resnet18"), profile_of("resnet18", backend="ipex"))


@pytest.mark.parametrize(
    ("base", "head"),
    [
        ("aten::mkldnn_convolution", "torch_ipex::convolution_forward_impl"),
        ("aten::convolution_backward", "torch_ipex::convolution_backward"),
    ],
)
def test_convolutions_are_aligned_module_by_module(compared: WorkloadDiff, base: str, head: str) -> None:
    rows = [row for row in compared.operators if row.name == head]
    # No module twice: the inner call of the same name is in the row of the outer one.
    assert len(rows) == len({row.module for row in rows}) == 20
    assert base not in {row.name for row in compared.operators}
    for row in rows:
        assert (row.there, row.base_name, row.base_module) == ("both", base, row.module)
        assert (row.cause.kind, row.cause.base, row.cause.head) == ("implementation", base, head)


def test_reorders_and_implementations_are_in_the_census(compared: WorkloadDiff) -> None:
    whats = {(entry.what, (entry.primitive or "").split(" ")[0]) for _, entry in compared.census.entries}
    assert ("layout", "convolution") in whats
    assert ("reorder", "reorder") in whats
    totals = {total.what: (total.base, total.head) for total in compared.census.totals}
    assert totals["reorders"][0] > totals["reorders"][1]


def test_the_backend_is_a_change_and_no_obstacle(compared: WorkloadDiff) -> None:
    assert [(change.base, change.head) for change in compared.changes if change.key == "backend"] == [("eager", "ipex")]
