"""Which line of what a process printed tells why it ended."""

from __future__ import annotations

import subprocess
import sys

import pytest

from perfsuite.gate.said import last_words

#: As pytest's faulthandler prints it, with what it goes on to list.
SEGFAULT = """\
tests/test_it.py Fatal Python error: Segmentation fault

Thread 0x00007f0000000001 (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 324 in wait

Current thread 0x00007f0000000002 (most recent call first):
  File "/repo/test_it.py", line 5 in step
  File "/site/perfsuite/capture/timing.py", line 90 in time_turn
  File "/site/pytest/__main__.py", line 5 in <module>

Extension modules: numpy.core._multiarray_umath, numpy.linalg._umath_linalg, torch._C (total: 3)
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ""),
        ("one\n\ntwo\n", "two"),
        ("one\n=== test session starts ===\nrootdir: /x\n", "one"),
        ("ERROR: file or directory not found: x\nsomething more\n", "ERROR: file or directory not found: x"),
        ("ERROR: usage: python [options]\npython: error: unrecognized arguments: -x\n  inifile: x\n",
         "python: error: unrecognized arguments: -x"),
        (SEGFAULT, 'Fatal Python error: Segmentation fault, File "/repo/test_it.py", line 5 in step'),
        ("epoch 1\n" + SEGFAULT, 'Fatal Python error: Segmentation fault, File "/repo/test_it.py", line 5 in step'),
        ("free(): invalid pointer\n" + SEGFAULT.replace("Segmentation fault", "Aborted"),
         'free(): invalid pointer, File "/repo/test_it.py", line 5 in step'),
        ("free(): invalid pointer\nFatal Python error: Aborted\n", "free(): invalid pointer"),
        ("Fatal Python error: Aborted\n", "Fatal Python error: Aborted"),
        ("Fatal Python error: Bus error\n\nCurrent thread 0x1 (most recent call first):\n  <no Python frame>\n",
         "Fatal Python error: Bus error"),
        # The beginning may have been printed so long ago that it is not kept.
        ('  File "/site/pytest/__main__.py", line 5 in <module>\n\nExtension modules: torch._C (total: 1)\n',
         'File "/site/pytest/__main__.py", line 5 in <module>'),
    ],
)  # fmt: skip
def test_the_telling_line(text, said):
    assert last_words(text) == said


def test_what_faulthandler_really_prints():
    code = "import faulthandler\nfaulthandler.enable()\ndef step():\n    faulthandler._sigsegv()\nstep()\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode < 0
    assert last_words(done.stderr) == 'Fatal Python error: Segmentation fault, File "<string>", line 4 in step'
