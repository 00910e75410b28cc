"""A word-level LSTM language model; standard and full are the medium and large nets of arXiv 1409.2329."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.workloads.protocol import SEED, Built, seeded
from benchmarks.workloads.tokens import next_token_batch, token_loss

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Size:
    vocabulary: int
    #: Width of the embedding and of every layer's state.
    hidden: int
    layers: int
    dropout: float
    sequences: int
    tokens: int


SIZES = {
    "smoke": Size(vocabulary=1000, hidden=128, layers=2, dropout=0.2, sequences=8, tokens=20),
    "standard": Size(vocabulary=10_000, hidden=650, layers=2, dropout=0.5, sequences=20, tokens=35),
    "full": Size(vocabulary=10_000, hidden=1500, layers=2, dropout=0.65, sequences=20, tokens=35),
}


def build(scale: str) -> Built:
    """The LSTM at a scale; a batch is tokens (N, T) and the tokens that follow them (N, T)."""
    import torch

    size = SIZES[scale]
    with seeded():
        model = _model(size).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    batch = next_token_batch(size.vocabulary, size.sequences, size.tokens, SEED)
    return Built(model, optimizer, token_loss, batch)


def _model(size: Size) -> torch.nn.Module:
    from torch import nn

    class LanguageModel(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(size.vocabulary, size.hidden)
            self.lstm = nn.LSTM(size.hidden, size.hidden, size.layers, dropout=size.dropout, batch_first=True)
            self.dropout = nn.Dropout(size.dropout)
            self.decoder = nn.Linear(size.hidden, size.vocabulary)

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            """Logits (N, T, vocabulary) of the next token after each of ``tokens`` (N, T)."""
            output, _ = self.lstm(self.dropout(self.embedding(tokens)))
            logits: torch.Tensor = self.decoder(self.dropout(output))
            return logits

    return LanguageModel()
