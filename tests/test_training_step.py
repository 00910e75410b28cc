from __future__ import annotations

import pytest
import torch

from perfsuite import TrainingStep
from perfsuite.capture.phases import PhaseRecorder
from perfsuite.capture.training_step import sum_losses
from perfsuite.errors import UsageError


def parts():
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 2)
    return model, torch.optim.SGD(model.parameters(), lr=0.1), torch.nn.functional.mse_loss


BATCH = (torch.ones(3, 4), torch.zeros(3, 2))


def test_a_step_trains():
    step = TrainingStep(*parts(), BATCH)
    losses = [float(step()) for _ in range(5)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]


def test_it_updates_as_a_loop_written_by_hand_does():
    model, optimizer, loss = parts()
    step = TrainingStep(model, optimizer, loss, BATCH)
    step()
    step()
    other, other_optimizer, _ = parts()
    for _ in range(2):
        other_optimizer.zero_grad()
        loss(other(BATCH[0]), BATCH[1]).backward()
        other_optimizer.step()
    assert torch.equal(model.weight, other.weight)


def test_phases_come_in_order_and_none_is_missing():
    recorder = PhaseRecorder()
    step = TrainingStep(*parts(), BATCH, phase=recorder.phase)
    with recorder.clocked():
        step()
        assert list(recorder.take()) == ["data", "forward", "loss", "backward", "optimizer"]


def test_an_iterable_starts_again_when_it_is_exhausted():
    seen = []

    class Loader:
        def __iter__(self):
            for scale in (1.0, 2.0):
                seen.append(scale)
                yield BATCH[0] * scale, BATCH[1]

    step = TrainingStep(*parts(), Loader())
    for _ in range(5):
        step()
    assert seen == [1.0, 2.0, 1.0, 2.0, 1.0]


def test_a_real_data_loader():
    data = torch.utils.data.TensorDataset(torch.ones(5, 4), torch.zeros(5, 2))
    step = TrainingStep(*parts(), torch.utils.data.DataLoader(data, batch_size=2))
    assert len({float(step()) for _ in range(4)}) == 4  # three batches, then from the start


def test_a_list_as_default_collate_makes_it_is_one_batch():
    step = TrainingStep(*parts(), list(BATCH))
    assert float(step()) > float(step())


def test_losses_of_the_model_itself_are_summed():
    class Detector(torch.nn.Linear):
        def forward(self, inputs, target):
            out = super().forward(inputs)
            return {"box": (out - target).square().mean(), "class": out.square().mean()}

    model = Detector(4, 2)
    step = TrainingStep(model, torch.optim.SGD(model.parameters(), lr=0.1), None, BATCH)
    expected = sum(float(v) for v in model(*BATCH).values())
    assert float(step()) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (torch.ones(3, 4), "found Tensor"),
        (3, "found int"),
        ((BATCH[0],), "tuple of 1"),
        ((*BATCH, BATCH[0]), "tuple of 3"),
    ],
)
def test_a_batch_that_is_none_is_refused_at_once(batch, message):
    with pytest.raises(UsageError, match=message):
        TrainingStep(*parts(), batch)


def test_an_empty_iterable_is_refused():
    with pytest.raises(UsageError, match="empty"):
        TrainingStep(*parts(), [])()


def test_a_generator_that_ends_is_refused_with_the_remedy():
    step = TrainingStep(*parts(), (BATCH for _ in range(2)))
    step()
    step()
    with pytest.raises(UsageError, match="ended after 2 batches"):
        step()


@pytest.mark.parametrize(
    ("changed", "message"),
    [({0: 1}, "model: expected a callable"), ({1: object()}, r"optimizer: object has no step\(\)"),
     ({2: "mse"}, "loss: expected a callable or None")],
)  # fmt: skip
def test_wrong_arguments_are_named(changed, message):
    arguments = dict(enumerate(parts())) | changed
    with pytest.raises(UsageError, match=message):
        TrainingStep(*arguments.values(), BATCH)


@pytest.mark.parametrize("returned", [[], {}, "text", [{"boxes": 1}], None])
def test_a_model_without_losses_is_named(returned):
    with pytest.raises(UsageError, match="without losses"):
        sum_losses(returned)
