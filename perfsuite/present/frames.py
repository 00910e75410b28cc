"""Records as pandas tables; pandas is imported when one is made, and not needed for anything else."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from perfsuite.analyse.diff import RunDiff, WorkloadDiff
from perfsuite.codec import to_json
from perfsuite.errors import PerfsuiteWarning, UsageError
from perfsuite.present.cells import clean
from perfsuite.present.frame_tables import DIFF_TABLES, PROFILE_TABLES, Column, Row, Table
from perfsuite.records import Profile, Run

if TYPE_CHECKING:
    import pandas

#: Beyond it an integer does not fit pandas' ``Int64``.
_INT64 = 2**63


def to_dataframe(source: Profile | Run | WorkloadDiff | RunDiff, what: str = "operators") -> pandas.DataFrame:
    """A table of a workload, of all workloads of a run, or of a comparison of either.

    Columns are named like the fields of the records, with their units (``self_ns``); what is not known is
    ``pandas.NA`` (None in a column of objects).  Of a run, or a comparison of two, the first column is ``workload``.
    ``attrs`` say where it comes from: run, environment, passes, notes.

    Args:
        source: what :func:`perfsuite.load_run` or :func:`perfsuite.diff_runs` returned, or one of its ``workloads``.
        what: of a workload or run ``operators``, ``primitives``, ``primitive_kinds``, ``modules``, ``phases``,
            ``python``, ``samples``, ``phase_samples``, ``allocations`` or ``steps``; of a comparison ``operators``
            (the rows of the ledger), ``census``, ``totals`` or ``steps``.

    Raises:
        UsageError: pandas is not installed, or there is no such table of such a source.

    Warns:
        PerfsuiteWarning: a workload has no rows because what they are made of was not recorded.
    """
    if isinstance(source, Profile):
        return _frame([("", source)], _table(PROFILE_TABLES, what, "a Profile"), what, False, _of_profile(source))
    if isinstance(source, Run):
        named = [(profile.name, profile) for profile in source.workloads]
        return _frame(named, _table(PROFILE_TABLES, what, "a Run"), what, True, _of_run(source))
    if isinstance(source, WorkloadDiff):
        return _frame([("", source)], _table(DIFF_TABLES, what, "a WorkloadDiff"), what, False, _of_workload(source))
    if isinstance(source, RunDiff):
        compared = [(one.name, one) for one in source.workloads]
        return _frame(compared, _table(DIFF_TABLES, what, "a RunDiff"), what, True, _of_runs(source))
    raise UsageError(
        f"to_dataframe: expected a Profile, Run, WorkloadDiff or RunDiff, found {type(source).__name__}; "
        "perfsuite.load_run() reads one"
    )


def _table(known: Mapping[str, Table[Any]], what: str, source: str) -> Table[Any]:
    if what not in known:
        raise UsageError(f"to_dataframe: no table {what!r} of {source}: expected one of {', '.join(known)}")
    return known[what]


def _frame(
    sources: Sequence[tuple[str, Any]], table: Table[Any], what: str, named: bool, attrs: dict[str, Any]
) -> pandas.DataFrame:
    pandas = _pandas()
    columns = (Column("workload", "string"), *table.columns) if named else table.columns
    rows: list[Row] = []
    for name, source in sources:
        if not table.recorded(source):
            message = f"{what} of {source.name} were not recorded: that there are no rows does not mean that none ran"
            warnings.warn(clean(message), PerfsuiteWarning, stacklevel=3)
        rows += [(name, *row) if named else row for row in table.rows(source)]
    values = zip(*rows, strict=True) if rows else [()] * len(columns)
    series = {column.name: _series(pandas, column, cells) for column, cells in zip(columns, values, strict=True)}
    frame = pandas.DataFrame(series)
    frame.attrs = attrs
    return frame


def _series(pandas: Any, column: Column, cells: Sequence[Any]) -> Any:
    dtype = column.dtype
    if dtype == "Int64" and any(cell is not None and not -_INT64 <= cell < _INT64 for cell in cells):
        dtype = "object"
    return pandas.Series(list(cells), dtype=dtype)


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise UsageError(f"to_dataframe needs pandas ({error}): pip install 'perfsuite[notebook]'") from error
    return pandas


# --- where it comes from, as plain values, so that pandas can copy and compare them ------------------------


def _of_profile(profile: Profile) -> dict[str, Any]:
    return {
        "workload": profile.name,
        "scale": profile.scale,
        "dtype": profile.dtype,
        "backend": profile.backend,
        "passes": list(profile.passes),
        "steps": profile.steps,
        "contended": profile.contended,
        "notes": list(profile.notes),
    }


def _of_run(run: Run) -> dict[str, Any]:
    return {
        "run": run.id,
        "created": run.created,
        "status": run.status,
        "environment": to_json(run.environment),
        "problems": list(run.problems),
        "workloads": [_of_profile(profile) for profile in run.workloads],
    }


def _of_workload(diff: WorkloadDiff) -> dict[str, Any]:
    return {"workload": diff.name, "changes": to_json(diff.changes), "notes": list(diff.notes)}


def _of_runs(diff: RunDiff) -> dict[str, Any]:
    return {
        "base": diff.base_id,
        "head": diff.head_id,
        "not_comparable": list(diff.reasons),
        "environment_changes": to_json(diff.environment_changes),
        "notes": list(diff.notes),
        "missing": to_json(diff.missing),
        "workloads": [_of_workload(one) for one in diff.workloads],
    }
