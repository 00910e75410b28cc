from __future__ import annotations

import gc

import torch

from perfsuite.capture.modules import ModulePaths


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())
        self.tied = self.body[0]


def test_paths_are_attribute_paths_below_the_class_of_the_outermost():
    net, paths = Net(), ModulePaths()
    assert paths.path(net) == "Net"
    assert paths.path(net.body[1], "Net.body") == "Net.body.1"
    assert paths.path(net.tied, "Net") == "Net.body.0"


def test_outermost_modules_of_one_class_are_numbered_and_keep_their_numbers():
    first, second, paths = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1), ModulePaths()
    assert [paths.path(m) for m in (first, second, first, second)] == ["Linear", "Linear#2", "Linear", "Linear#2"]


def test_a_module_made_anew_in_each_step_has_the_same_name_in_each():
    net, paths = Net(), ModulePaths()
    paths.path(net)
    assert {paths.path(torch.nn.ReLU(), "Net") for _ in range(3)} == {"Net.ReLU"}
    assert {paths.path(torch.nn.MSELoss()) for _ in range(3)} == {"MSELoss"}
    gc.collect()
    assert len(paths._paths) == 4  # net, body, Linear, ReLU: nothing else is kept alive
