"""Which changes of the census fail a gate: ``[tool.perfsuite.gate.census]``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

from perfsuite.errors import UsageError

#: What a rule about primitives may be set to; the default stands first.
_WORDS = {
    "implementation": ("reference", "any", "off"),
    "isa": ("lower", "any", "off"),
    "dtype": ("wider", "any", "off"),
    "layout": ("off", "plain", "any"),
}
#: A word in the place of a percentage: an increase fails only where it is no operator's doing.
UNEXPLAINED = "unexplained"
#: Rule about a total → the total of :attr:`perfsuite.analyse.diff.Census.totals`.
TOTALS = {
    "reorders": "reorders",
    "operators": "operators",
    "flops": "flops",
    "bytes": "bytes_moved",
    "allocations": "allocations",
    "peak": "peak_allocated_bytes",
}
#: A percentage as a fraction, or a word.
Limit = float | str


@dataclass(frozen=True)
class CensusRules:
    """What head may not do; each is ``off`` where it may."""

    #: ``reference``: a primitive must neither become reference code nor leave oneDNN; ``any``: it must not change.
    implementation: str = "reference"
    #: ``lower``: executions must not move to a lower instruction set.
    isa: str = "lower"
    #: ``wider``: the data types of a primitive or an operator must not become wider.
    dtype: str = "wider"
    #: ``plain``: a tensor of a primitive must not go from a blocked layout to a plain one.
    layout: str = "off"
    #: How much a total may increase: a fraction of base's, or ``unexplained``: not at all while the operators are the
    #: same.
    reorders: Limit = UNEXPLAINED
    operators: Limit = "off"
    flops: Limit = "off"
    bytes: Limit = "off"
    allocations: Limit = "off"
    peak: Limit = "off"

    @property
    def forbid_anything(self) -> bool:
        """Whether any rule is on."""
        return any(getattr(self, one.name) != "off" for one in fields(self))


def parse_rules(table: Mapping[str, object], where: str) -> CensusRules:
    """The rules of a table of pyproject.toml; what it does not set is as :class:`CensusRules` has it.

    Args:
        table: percentages are numbers in per cent.
        where: the file and the table, for messages: ``pyproject.toml: [tool.perfsuite.gate.census]``.

    Raises:
        UsageError: a key or a value is none; the message names both.
    """
    names = [field.name for field in fields(CensusRules)]
    values: dict[str, Limit] = {}
    for key, value in table.items():
        if key not in names:
            raise UsageError(f"{where}: unknown key {key!r}; the keys are {', '.join(names)}")
        values[key] = _word(key, value, where) if key in _WORDS else _limit(key, value, where)
    return CensusRules(**values)  # type: ignore[arg-type]


def _word(key: str, value: object, where: str) -> str:
    if not isinstance(value, str) or value not in _WORDS[key]:
        words = ", ".join(f'"{word}"' for word in sorted(_WORDS[key]))
        raise UsageError(f"{where}: {key}: expected one of {words}, found {value!r}")
    return value


def _limit(key: str, value: object, where: str) -> Limit:
    if value in ("off", UNEXPLAINED):
        return str(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise UsageError(
            f'{where}: {key}: expected how much it may increase in per cent, from 0 on, or "{UNEXPLAINED}", or "off", '
            f"found {value!r}"
        )
    return value / 100
