"""perfsuite's own workloads and the benchmarks over them.  Importing anything below loads no torch."""
