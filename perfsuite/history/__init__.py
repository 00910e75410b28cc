"""The nightly history: which commit made training slower, and in which operator.

asv runs the benchmarks, keeps the results and draws the graphs.  What is here says what to install for a commit, reads
what asv has kept as series, judges them, and explains what it finds from the runs that were recorded along with them.
"""
