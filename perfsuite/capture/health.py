"""What a step did that makes its times suspect."""

from __future__ import annotations

import math
import sys
from typing import Any


def loss_note(result: Any) -> str | None:
    """A sentence if the step's result is a single number that is not finite; None otherwise.

    Steps with NaN can be slower or faster than real ones, and a search over anchors finds nothing in them.
    """
    if not (hasattr(result, "numel") and hasattr(result, "item") and result.numel() == 1):
        value = result
    else:
        value = result.item()
    if not isinstance(value, float) or math.isfinite(value):
        return None
    return f"the step returned {value}: times of a training that has diverged may not be those of a healthy one"


def thread_count() -> int | None:
    """How many threads torch computes with; None if torch is not loaded."""
    torch = sys.modules.get("torch")
    return None if torch is None else int(torch.get_num_threads())


def threads_note(before: int | None, after: int | None) -> str | None:
    """A sentence if the step changed torch's thread count; it is left as the step set it."""
    if before is None or after is None or before == after:
        return None
    return f"the step changed torch's thread count from {before} to {after} and left it so"
