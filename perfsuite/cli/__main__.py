"""``python -m perfsuite.cli``."""

from perfsuite.cli import main

main()
