"""A report's page as a browser's parser sees it: elements, attributes and texts, and whether they are sound."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

VOID = {"meta", "link", "input", "br", "hr"}
HTML = {
    "html", "head", "meta", "title", "link", "style", "noscript", "body", "a", "header", "div", "p", "span", "button",
    "h1", "h2", "h3", "h4", "details", "summary", "dl", "dt", "dd", "nav", "ol", "ul", "li", "main", "section",
    "figure", "figcaption", "table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td", "code", "bdi", "strong",
    "em", "label", "input", "select", "footer", "script",
}  # fmt: skip
SVG = {
    "svg",
    "g",
    "path",
    "text",
    "tspan",
    "use",
    "defs",
    "clippath",
    "rect",
    "line",
    "title",
    "pattern",
    "lineargradient",
}
#: Where these begin, no word goes on.
INLINE = {"bdi", "code", "strong", "em", "span", "a"}
#: A paragraph, a link or a heading may hold these and figures, and a browser ends a paragraph at anything else.
PHRASING = {*INLINE, "label", "input", "select", "button", "noscript"}
PLAIN_ATTRIBUTES = {
    "lang", "charset", "content", "name", "href", "rel", "id", "class", "style", "type", "tabindex", "role", "hidden",
    "for", "title", "colspan", "rowspan", "scope", "open", "autocomplete", "spellcheck", "placeholder", "http-equiv",
}  # fmt: skip


@dataclass
class Element:
    """An element with its attributes and all the text in it."""

    tag: str
    attributes: dict[str, str | None]
    inside: tuple[str, ...]
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())

    def classes(self) -> list[str]:
        return (self.attributes.get("class") or "").split()


class Page(HTMLParser):
    """Raises AssertionError where an element is not closed, or closed in another one."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(html)
        self.close()
        assert not self._open, f"left open: {[one.tag for one in self._open]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"<{tag}> has an attribute twice: {attrs}"
        if tag not in INLINE:
            self.handle_data(" ")
        element = Element(tag, dict(attrs), tuple(one.tag for one in self._open))
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attrs), tuple(one.tag for one in self._open)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop().tag == tag, f"</{tag}> closes another element, at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.texts.append(data)

    def all(self, tag: str, css: str | None = None) -> list[Element]:
        """The elements of that name, and of that class."""
        return [one for one in self.elements if one.tag == tag and (css is None or css in one.classes())]

    def by_id(self, name: str) -> Element:
        (found,) = (one for one in self.elements if one.attributes.get("id") == name)
        return found

    @property
    def text(self) -> str:
        """What a reader sees."""
        (body,) = self.all("body")
        scripts = [text for script in self.all("script") for text in script.texts]
        return " ".join("".join(text for text in body.texts if text not in scripts).split())

    @property
    def data(self) -> Any:
        return json.loads("".join(self.by_id("perfsuite-data").texts))


def assert_sound(page: Page) -> None:
    """Only elements and attributes that the templates and drawings have, all references resolved, nothing loaded."""
    ids = [one.attributes["id"] for one in page.elements if "id" in one.attributes]
    assert len(ids) == len(set(ids)), sorted(name for name in ids if ids.count(name) > 1)
    for one in page.elements:
        drawn = "svg" in one.inside or one.tag == "svg"
        if not drawn and {"p", "a", "summary", "h1", "h2", "h3", "h4", "button"} & set(one.inside):
            assert one.tag in PHRASING, f"<{one.tag}> in {one.inside[-3:]}"
        assert one.tag in (SVG if drawn else HTML), f"<{one.tag}> in {one.inside[-3:]}"
        for name, value in one.attributes.items():
            assert not name.startswith("on"), f"{one.tag} has {name}={value!r}"
            if not drawn:
                known = name in PLAIN_ATTRIBUTES or name.startswith(("aria-", "data-"))
                assert known, f"{one.tag} has {name}={value!r}"
            if name in ("href", "src", "xlink:href", "action", "data"):
                assert value is not None
                assert value.startswith(("#", "data:")), f"{one.tag} refers to {value!r}"
            if (name == "href" and (value or "").startswith("#")) or name == "aria-labelledby":
                assert (value or "").lstrip("#") in ids, f"{one.tag} {name}={value!r} leads nowhere"
            assert "url(" not in (value or "").replace("url(#", ""), f"{one.tag} {name} loads {value!r}"
    assert [one.attributes.get("type") for one in page.all("script")] == ["application/json", None]


def assert_headings_in_order(page: Page) -> None:
    levels = [int(one.tag[1]) for one in page.elements if one.tag in ("h1", "h2", "h3", "h4")]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels)), levels
