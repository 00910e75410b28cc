"""Runs on disk: written file by file as workloads finish, readable whatever interrupted the writing.

::

    .perfsuite/
      .gitignore                      *
      20261121T081009Z-3fa9c1/        one pytest session
        run.json                      the manifest: id, created, status, environment, list of workload files
        .lock                         flock'ed by every process that still writes
        workloads/
          <slug>-<hash>.json.gz       one Profile
        timelines/
          <slug>-<hash>.json.gz       one Timeline, of the workload whose file has the same name
"""

from perfsuite.store.catalogue import RunSummary, list_runs, prune_runs, resolve_run
from perfsuite.store.reader import load_run, load_timeline
from perfsuite.store.writer import RunWriter, create_run, join_run

__all__ = [
    "RunSummary",
    "RunWriter",
    "create_run",
    "join_run",
    "list_runs",
    "load_run",
    "load_timeline",
    "prune_runs",
    "resolve_run",
]
