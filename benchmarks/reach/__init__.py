"""What perfsuite promises about its own cost, shown by measurement: ``python -m benchmarks.reach.<name>``.

Each script interleaves the sides it compares in one run, and exits 0 if the target is reached, 1 if it
is missed, 3 if the interval does not settle it (then give it more rounds).
"""
