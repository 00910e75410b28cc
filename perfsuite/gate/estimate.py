"""The one number that a pair of processes has to say."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from perfsuite.stats import mean, median

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


def paired_log_ratio(base_ns: Sequence[Sequence[float]], head_ns: Sequence[Sequence[float]]) -> float:
    """log(head ÷ base): the median, over blocks of two turns, of the log-ratio of the two turns' medians.

    Turn k of base and turn k of head follow each other, in random order.  What the machine does for longer than a
    block, a slow phase or a drift, meets both and cancels; what hits single turns is in few blocks, and the median
    over blocks leaves it out.  The ratio of the medians of all steps has neither property.

    Raises:
        ValueError: a side has no turn, the sides have different numbers of turns, a turn has no steps, or a median is
            not positive.
    """
    if not base_ns or len(base_ns) != len(head_ns):
        raise ValueError(f"{len(base_ns)} turns of base and {len(head_ns)} of head are no blocks of two")
    return median(
        [math.log(median(head)) - math.log(median(base)) for base, head in zip(base_ns, head_ns, strict=True)]
    )


def paired_log_ratios(steps: Array, turns: Array, is_head: Array) -> Array:
    """:func:`paired_log_ratio` of many pairs at once.

    Args:
        steps: the time of each step, a row for each pair, the columns in the order of time.
        turns: the number of the turn of each column, from 0, without gaps.
        is_head: whether each turn is head's, of which there are as many as base's.
    """
    import numpy as np

    begins = np.searchsorted(turns, np.arange(len(is_head) + 1))
    logs = np.log(np.stack([np.median(steps[:, i:j], axis=1) for i, j in itertools.pairwise(begins)], axis=1))
    found: Array = np.median(logs[:, is_head] - logs[:, ~is_head], axis=1)
    return found


def mean_log_ratio(base_ns: Sequence[Sequence[float]], head_ns: Sequence[Sequence[float]]) -> float:
    """log(head ÷ base) of the mean of all steps of each side: few slow steps count in it, which no median sees.

    What the machine does to single turns counts in it, too, so it is no estimate to decide by.

    Raises:
        ValueError: a side has no step, or a mean is not positive.
    """
    return math.log(mean(list(itertools.chain(*head_ns)))) - math.log(mean(list(itertools.chain(*base_ns))))
