"""Workloads: something that is built once and stepped many times.

``workload("resnet18", scale="smoke").build()`` gives a model, an optimizer, a loss and a batch.
"""

from benchmarks.workloads.protocol import BACKENDS, DTYPES, SCALES, Built, Workload
from benchmarks.workloads.registry import NAMES, workload

__all__ = ["BACKENDS", "DTYPES", "NAMES", "SCALES", "Built", "Workload", "workload"]
