"""A Transformer encoder that predicts tokens; standard is arXiv 1706.03762's base, full BERT-base's shape."""

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
    width: int
    heads: int
    layers: int
    feedforward: int
    sequences: int
    tokens: int


SIZES = {
    "smoke": Size(1000, width=128, heads=4, layers=2, feedforward=512, sequences=4, tokens=32),
    "standard": Size(10_000, width=512, heads=8, layers=6, feedforward=2048, sequences=8, tokens=128),
    "full": Size(30_522, width=768, heads=12, layers=12, feedforward=3072, sequences=8, tokens=128),
}


def build(scale: str) -> Built:
    """The encoder at a scale; a batch is tokens (N, T) and the tokens to predict (N, T)."""
    import torch

    size = SIZES[scale]
    with seeded():
        model = _model(size).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    batch = next_token_batch(size.vocabulary, size.sequences, size.tokens, SEED)
    return Built(model, optimizer, token_loss, batch)


def _model(size: Size) -> torch.nn.Module:
    import torch
    from torch import nn

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(size.vocabulary, size.width)
            self.position = nn.Parameter(torch.randn(size.tokens, size.width))
            layer = nn.TransformerEncoderLayer(size.width, size.heads, size.feedforward, batch_first=True)
            # Nested tensors serve inference with padding; there is none of either here.
            self.encoder = nn.TransformerEncoder(layer, size.layers, enable_nested_tensor=False)
            self.decoder = nn.Linear(size.width, size.vocabulary)
            # TransformerEncoder copies one layer: without this all layers start alike.
            for parameter in self.encoder.parameters():
                if parameter.dim() > 1:
                    nn.init.xavier_uniform_(parameter)

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            """Logits (N, T, vocabulary) for each of ``tokens`` (N, T)."""
            logits: torch.Tensor = self.decoder(self.encoder(self.embedding(tokens) + self.position))
            return logits

    return Encoder()
