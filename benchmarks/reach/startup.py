"""What perfsuite, installed but unused, adds to pytest's start: at most 15 ms, and no torch.

Plugins that perfsuite's own tests need are off on both sides: a user does not have them, and their half second of start
would only add noise.

``python -m benchmarks.reach.startup [--pairs N] [--json]``; perfsuite must be installed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.reach.common import Finding, conclude, interleave, run_python
from perfsuite.stats import median

TARGET_MS = 15.0

_NO_TESTS_COLLECTED = 5
_OTHER_PLUGINS = ("-p", "no:hypothesispytest", "-p", "no:xdist", "-p", "no:xdist.looponfail")

_IDLE_TEST = """
import sys

def test_plugin_is_there_and_torch_is_not(request):
    plugins = request.config.pluginmanager
    assert plugins.hasplugin("perfsuite")
    assert plugins.hasplugin("benchmark")
    assert "torch" not in sys.modules
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        check_idle(Path(scratch))
    with tempfile.TemporaryDirectory() as scratch:
        empty = Path(scratch)
        # An ini file of its own: pytest looks for one in the folders above.
        (empty / "pytest.ini").write_text("[pytest]\n")
        sides = {
            "with perfsuite": lambda: start_ms(empty),
            "without perfsuite": lambda: start_ms(empty, "-p", "no:perfsuite"),
        }
        interleave(sides, rounds=2)  # byte code and page cache
        times = interleave(sides, options.pairs)
    added = [one - other for one, other in zip(times["with perfsuite"], times["without perfsuite"], strict=True)]
    finding = Finding("pytest starts later by", "ms", added, high=TARGET_MS)
    return conclude([finding], {name: (median(values), "ms") for name, values in times.items()}, options.json)


def check_idle(folder: Path) -> None:
    """Exit unless perfsuite and pytest-benchmark are active in a plain pytest and torch is not loaded."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_idle.py").write_text(_IDLE_TEST)
    run_python("pytest", "-q", cwd=folder)


def start_ms(folder: Path, *options: str) -> float:
    """Wall time of a pytest process that finds no tests."""
    started = time.perf_counter()
    run_python("pytest", "-q", *_OTHER_PLUGINS, *options, cwd=folder, expect=_NO_TESTS_COLLECTED)
    return (time.perf_counter() - started) * 1e3


if __name__ == "__main__":
    raise SystemExit(main())
