"""The page's colours as CSS variables, light and dark; those of the figures are the plots' own."""

from __future__ import annotations

from collections.abc import Mapping

from perfsuite.present.plots.style import DARK as PLOT_DARK
from perfsuite.present.plots.style import LIGHT as PLOT_LIGHT

#: Text on ``paper`` and ``surface`` reaches 4.5:1 in each theme (WCAG 2.2, 1.4.3), which a test computes.
LIGHT: Mapping[str, str] = {
    **PLOT_LIGHT,
    "--muted": "#5c5f66",
    "--line": "#dcdde0",
    "--surface": "#f6f6f4",
    "--accent": "#00609a",
    "--warning": "#fdf3dc",
}
DARK: Mapping[str, str] = {
    **PLOT_DARK,
    "--muted": "#a3a8b1",
    "--line": "#33373e",
    "--surface": "#1e2126",
    "--accent": "#6cb8e6",
    "--warning": "#352c16",
}


def theme_css() -> str:
    """Light, dark where the reader's system is and the page was not told otherwise, and light on paper."""
    light, dark = _declared(LIGHT, "light"), _declared(DARK, "dark")
    return (
        f":root {{ {light} }}\n"
        f'@media (prefers-color-scheme: dark) {{ :root:not([data-theme="light"]) {{ {dark} }} }}\n'
        f':root[data-theme="dark"] {{ {dark} }}\n'
        f"@media print {{ :root, :root[data-theme] {{ {light} }} }}\n"
    )


def _declared(colors: Mapping[str, str], scheme: str) -> str:
    return " ".join([f"color-scheme: {scheme};", *(f"{name}: {color};" for name, color in colors.items())])
