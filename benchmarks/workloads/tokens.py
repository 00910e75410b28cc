"""Synthetic text and its loss, for the language models."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def next_token_batch(vocabulary: int, sequences: int, tokens: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random tokens (sequences, tokens), int64, and the same text one token later."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    text = torch.randint(0, vocabulary, (sequences, tokens + 1), generator=generator)
    return text[:, :-1].contiguous(), text[:, 1:].contiguous()


def token_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy of logits (N, T, vocabulary) against tokens (N, T)."""
    from torch.nn.functional import cross_entropy

    return cross_entropy(logits.flatten(0, 1), target.flatten())
