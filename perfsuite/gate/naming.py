"""What an argument of a gate names; its workers and the gate itself ask the same."""

from __future__ import annotations

import os


def is_named(argument: str, path: str, test: str) -> bool:
    """Whether an argument names a test, its class, its file or a folder that it is in.

    Paths are absolute: what node ids begin with depends on pytest's rootdir.

    Args:
        argument: ``/path``, ``/path::class`` or ``/path::test``; of a test with parameters all, unless they are named.
        path: the test's file.
        test: its node id behind the file: ``class::test[parameters]``.
    """
    place, _, name = argument.partition("::")
    file, place = os.path.realpath(path), os.path.realpath(place)
    within = file == place or file.startswith(os.path.join(place, ""))
    return within and (not name or test == name or (test.startswith(name) and test[len(name)] in ":["))
