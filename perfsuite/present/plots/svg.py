"""A figure as an ``<svg>`` within a page: themed by the page, its marks reachable and named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree import ElementTree as ET

from matplotlib.figure import Figure

from perfsuite.present.plots.output import image
from perfsuite.present.plots.style import CSS_NAMES

_SVG, _XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
_COLOR = re.compile(r"#[0-9a-fA-F]{6}\b")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_DECIMALS = re.compile(r"-?\d+\.\d{3,}")
#: Attributes that hold coordinates; two decimals of a point are finer than any screen.
_COORDINATES = ("d", "x", "y", "width", "height", "transform", "points")
#: Matplotlib's own sheet says this of ``*``, which in a page would be the whole page.
_ROOT_STYLE = "stroke-linejoin:round;stroke-linecap:butt"


def inline_svg(figure: Figure, tips: Mapping[str, str], prefix: str) -> str:
    """The figure as an ``<svg>`` element for HTML.

    Text stays text in the page's own font; ink, paper, grid and series are CSS variables
    (:data:`perfsuite.present.plots.style.CSS_NAMES`), so the page's theme colours it.

    Args:
        tips: what each mark is, by the name that the drawing gave it; such a mark has the text as its ``<title>`` and
            its label, and can be focused: the first with the tabulator key, the others by a script.
        prefix: put before every id, so that several figures fit in a page.
    """
    root = ET.fromstring(image(figure, "svg"))
    _drop(root, ("metadata", "style"))
    # Hashes of twelve characters, of which a number says as much.
    used = {name: f"{prefix}r{number}" for number, name in enumerate(_referenced(root))}
    for element in root.iter():
        element.tag = str(element.tag).removeprefix(_SVG)
        attributes = {name.replace(_XLINK, ""): value for name, value in element.attrib.items()}
        element.attrib.clear()
        element.attrib.update(_attributes(attributes, used, tips, prefix))
    _hoist_styles(root)
    _flatten(root)
    marks = [(element, tips.get(element.get("id", "").removeprefix(prefix))) for element in root.iter("g")]
    for at, (element, tip) in enumerate((element, tip) for element, tip in marks if tip is not None):
        # The figure is one stop of the tabulator key: a script moves among its marks.
        _mark(element, tip, "-1" if at else "0")
    return _dressed(root, figure)


def _dressed(root: ET.Element, figure: Figure) -> str:
    """The root without a size of its own, with a name."""
    wide = root.get("viewBox", "0 0 504 0").split()[2]
    label = str(figure.get_label())
    view = root.get("viewBox", "")
    root.attrib.clear()
    style = f"{_ROOT_STYLE};width:100%;max-width:{float(wide):g}pt;height:auto"
    # Of an image a reader of the screen would not look inside.
    root.attrib.update({"class": "figure", "viewBox": view, "role": "group", "aria-label": label, "style": style})
    title = ET.Element("title")
    title.text = label
    root.insert(0, title)
    return ET.tostring(root, encoding="unicode", method="xml")


def _drop(parent: ET.Element, names: tuple[str, ...]) -> None:
    for child in list(parent):
        _drop(child, names)
        tag = str(child.tag).removeprefix(_SVG)
        if tag in names or (tag == "defs" and not len(child)):
            parent.remove(child)
        else:
            # Line ends between elements are a good part of the text.
            child.tail = None
            if len(child) and child.text is not None and not child.text.strip():
                child.text = None
    if parent.text is not None and not parent.text.strip():
        parent.text = None


def _hoist_styles(root: ET.Element) -> None:
    """Hundreds of dots that look alike say so once, on their group: what they point at inherits it."""
    for group in root.iter("g"):
        dots = [child for child in group if child.tag == "use"]
        styles = {dot.get("style") for dot in dots}
        if dots and len(dots) == len(group) and len(styles) == 1 and "style" not in group.attrib:
            group.set("style", styles.pop() or "")
            for dot in dots:
                dot.attrib.pop("style", None)


def _flatten(parent: ET.Element) -> None:
    """Groups that say nothing are half of what matplotlib writes."""
    children: list[ET.Element] = []
    for child in parent:
        _flatten(child)
        children += list(child) if child.tag == "g" and not child.attrib else [child]
    parent[:] = children
    only = parent[0] if parent.tag == "g" and len(parent) == 1 else None
    if only is not None and only.tag == "g" and not set(parent.attrib) & set(only.attrib):
        parent.attrib.update(only.attrib)
        parent[:] = list(only)


def _referenced(root: ET.Element) -> list[str]:
    """Ids that something in the drawing points at, in its order."""
    found: dict[str, None] = {}
    for element in root.iter():
        for name, value in element.attrib.items():
            found.update(dict.fromkeys(_REFERENCE.findall(value)))
            if name.replace(_XLINK, "") == "href":
                found[value.removeprefix("#")] = None
    return list(found)


def _attributes(
    given: Mapping[str, str], used: Mapping[str, str], tips: Mapping[str, str], prefix: str
) -> dict[str, str]:
    def renamed(value: str) -> str:
        return _REFERENCE.sub(lambda match: f"url(#{used[match.group(1)]})", value)

    found = {}
    for name, value in given.items():
        if name == "id":
            # What nothing points at needs no name.
            if value in used:
                found[name] = used[value]
            elif value in tips:
                found[name] = prefix + value
        elif name == "href":
            found[name] = f"#{used[value.removeprefix('#')]}"
        elif name == "style":
            found[name] = renamed(_style(value))
        elif name in ("fill", "stroke") and value.lower() in CSS_NAMES:
            # Of hatches: an attribute knows no variables, a style does.
            found["style"] = f"{name}:var({CSS_NAMES[value.lower()]})"
        elif name in _COORDINATES:
            if not value.startswith("rotate(-0 ") and not value.startswith("rotate(0 "):
                found[name] = _shortened(value)
        else:
            found[name] = renamed(value)
    return found


def _style(value: str) -> str:
    """The declarations with CSS variables for colours, without the font's family: that is the page's."""
    kept = []
    for declaration in value.split(";"):
        name, _, text = (part.strip() for part in declaration.partition(":"))
        if name == "font":
            # "bold 9px 'DejaVu Sans', …": size, and weight if there is one.
            words = text.split("px", 1)[0].split()
            kept.append(f"font-size:{words[-1]}px")
            kept += ["font-weight:bold"] if "bold" in words or "700" in words else []
        elif name and name != "font-family":
            kept.append(f"{name}:{_COLOR.sub(_variable, text)}")
    return ";".join(kept)


def _variable(match: re.Match[str]) -> str:
    name = CSS_NAMES.get(match.group().lower())
    return match.group() if name is None else f"var({name})"


def _shortened(value: str) -> str:
    text = _DECIMALS.sub(lambda match: f"{float(match.group()):.2f}".rstrip("0").rstrip("."), value)
    return " ".join(text.split())


def _mark(element: ET.Element, tip: str, tabindex: str) -> None:
    title = ET.Element("title")
    title.text = tip
    element.insert(0, title)
    element.attrib.update({"tabindex": tabindex, "role": "img", "aria-label": tip})
