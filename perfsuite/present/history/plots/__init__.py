"""The figures of a history, drawn with matplotlib as :mod:`perfsuite.present.plots` does."""

from __future__ import annotations

from perfsuite.present.plots import backend  # before whatever imports matplotlib

from perfsuite.present.history.plots.series import draw_series, series_plot, series_tips  # isort: skip
from perfsuite.present.history.plots.stack import stack_plot, stack_tips  # isort: skip

__all__ = ["backend", "draw_series", "series_plot", "series_tips", "stack_plot", "stack_tips"]
