"""asv's page without the hosts it loads its libraries from: the libraries are copies that come with perfsuite."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files

from perfsuite.errors import RenderError

#: Where the copies are put, beside asv's page.
FOLDER = "vendor"
_FLOT = "https://cdnjs.cloudflare.com/ajax/libs/flot/0.8.3/jquery.flot"
#: Address in asv's page → the file in ``vendor/``: the same bytes where npm has them; of flot the sources, which it has
#: instead, and of stupidtable the one version that it has.
COPIES: Mapping[str, str] = {
    "https://code.jquery.com/jquery-3.3.1.min.js": "jquery-3.3.1.min.js",
    f"{_FLOT}.min.js": "jquery.flot-0.8.3.js",
    f"{_FLOT}.time.min.js": "jquery.flot.time-0.8.3.js",
    f"{_FLOT}.selection.min.js": "jquery.flot.selection-0.8.3.js",
    f"{_FLOT}.categories.min.js": "jquery.flot.categories-0.8.3.js",
    "https://cdn.jsdelivr.net/npm/flot-orderbars@1.0.0/js/jquery.flot.orderBars.js": "jquery.flot.orderBars-1.0.0.js",
    "https://cdnjs.cloudflare.com/ajax/libs/stupidtable/1.0.1/stupidtable.min.js": "stupidtable-1.1.3.min.js",
    "https://cdnjs.cloudflare.com/ajax/libs/blueimp-md5/2.19.0/js/md5.min.js": "md5-2.19.0.min.js",
    "https://cdn.jsdelivr.net/npm/bootstrap@3.1.1/dist/js/bootstrap.min.js": "bootstrap-3.1.1.min.js",
    "https://cdn.jsdelivr.net/npm/bootstrap@3.1.1/dist/css/bootstrap.min.css": "bootstrap-3.1.1.min.css",
}
#: Elements that load what they name; a link that a reader may follow is none.
_LOADS = re.compile(r"<(?:script|link|img|iframe|source|object|embed)\b[^>]*>", re.IGNORECASE)
_ADDRESS = re.compile(r"(\b(?:src|href|data)\s*=\s*)([\"']?)((?:https?:)?//[^\"'\s>]+)\2", re.IGNORECASE)
#: What a browser may check of a file of another host, and would hold against ours.
_CHECKS = re.compile(r"\s+(?:integrity|crossorigin|referrerpolicy)\s*=\s*([\"'])[^\"']*\1", re.IGNORECASE)
#: asv's own entry in its navigation, after which ours stands, and where its page of regressions begins.
_ENTRY = re.compile(r"<li id=\"nav-li-regressions\">.*?</li>", re.DOTALL)
_REGRESSIONS = '<div id="regressions-body">'
_LAST_SCRIPT = re.compile(r"src=\"regressions\.js\">\s*</script>")
_OURS = '<li id="nav-li-operators"><a href="{page}">Operators</a></li>'
_NOTE = (
    '<p id="perfsuite-note" style="margin: 1em">This page is asv’s own step detection. What perfsuite found, with '
    'intervals, causes and what recovered since, and where the two differ: <a href="{page}">Operators</a>.</p>'
)


def offline(html: str) -> str:
    """asv's page with each address of another host replaced by that of our copy.

    Raises:
        RenderError: it loads something that there is no copy of; the message names it.
    """
    return _LOADS.sub(lambda found: _local(found.group()), html)


def _local(tag: str) -> str:
    def copy(found: re.Match[str]) -> str:
        before, quote, address = found.groups()
        if address not in COPIES:
            raise RenderError(
                f"asv's page loads {address}, of which perfsuite has no copy, so the site would not work offline: use "
                "asv 0.6.6, or a newer perfsuite"
            )
        return f"{before}{quote}{FOLDER}/{COPIES[address]}{quote}"

    local = _ADDRESS.sub(copy, tag)
    return local if local == tag else _CHECKS.sub("", local)


def with_operators(html: str, page: str, script: str) -> str:
    """asv's page with an entry for ours in its navigation, and a word about it on its page of regressions.

    Args:
        page: address of our page.
        script: address of the script that makes ``#/operators`` lead there.

    Raises:
        RenderError: it is not the page that asv 0.6.6 has.
    """
    steps = (
        (_ENTRY, lambda found: f"{found.group()}\n\t{_OURS.format(page=page)}"),
        (re.compile(re.escape(_REGRESSIONS)), lambda found: _NOTE.format(page=page) + found.group()),
        (_LAST_SCRIPT, lambda found: f'{found.group()}\n    <script src="{script}"></script>'),
    )
    for pattern, replaced in steps:
        html, count = pattern.subn(replaced, html, count=1)
        if not count:
            raise RenderError(
                f"asv's page has nothing like {pattern.pattern!r}, which perfsuite's pages are linked from: use asv "
                "0.6.6, or a newer perfsuite"
            )
    return html


def copies() -> Iterator[tuple[str, bytes]]:
    """Each file beside asv's page, by its address in the site: the libraries and their licences."""
    for one in sorted(files(__package__).joinpath(FOLDER).iterdir(), key=lambda file: file.name):
        if one.is_file() and not one.name.startswith("."):
            yield f"{FOLDER}/{one.name}", one.read_bytes()
