"""A run as one HTML page that needs nothing else: no network, no other file, no JavaScript to be read."""

from perfsuite.present.report.page import render_report

__all__ = ["render_report"]
