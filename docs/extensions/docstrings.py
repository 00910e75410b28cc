"""What Sphinx needs to be told about this project's docstrings and links."""

from __future__ import annotations

import builtins
import dataclasses
import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.nodes import make_refnode

logger = logging.getLogger(__name__)


def shorter(target: str) -> list[str]:
    """The same name in the packages around: ``a.b.c.D`` → ``a.b.D``, ``a.D``."""
    *packages, name = target.split(".")
    return [".".join((*packages[:n], name)) for n in range(len(packages) - 1, 0, -1)]


def places(target: str, documented: Mapping[str, Any]) -> list[str]:
    """Where the reference has ``target``: in a package around it, or else wherever a name ends like this."""
    return [name for name in shorter(target) if name in documented][:1] or sorted(
        name for name, found in documented.items() if name.endswith("." + target) and not found.aliased
    )


def exists(name: str) -> bool:
    """Whether ``name`` is a module or something in one."""
    module, rest = name, ""
    while module:
        try:
            found: Any = import_module(module)
        except ImportError:
            module, _, last = module.rpartition(".")
            rest = f"{last}.{rest}".strip(".")
            continue
        for part in filter(None, rest.split(".")):
            if part not in getattr(found, "__dataclass_fields__", {}) and not hasattr(found, part):
                return False
            found = getattr(found, part, None)
        return True
    return False


def resolve(app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement) -> nodes.Node | None:
    """A link to where a name is documented, if that is another place than where it is defined.

    A class says of itself where it is defined (``perfsuite.analyse.diff.model.Delta``, in annotations); a package
    documents it where it is to be imported from (``perfsuite.analyse.diff.Delta``).  ``StoreError`` after ``Raises:``
    is the one class of that name; if there are several, that is a warning.  What exists and is no part of the reference
    stays text; what does not exist stays a warning.
    """
    if node.get("refdomain") != "py":
        return None
    documented = env.get_domain("py").objects  # type: ignore[attr-defined]
    target = node["reftarget"]
    names = places(target, documented)
    if len(names) > 1:
        logger.warning("%s is any of %s: write which one", target, ", ".join(names), location=node)
    if names:
        found = documented[names[0]]
        return make_refnode(app.builder, node["refdoc"], found.docname, found.node_id, content, names[0])
    module = node.get("py:module")
    return content if exists(target) or (module and exists(f"{module}.{target}")) else None


def builtins_are_text(app: Sphinx, doctree: nodes.document) -> None:
    """``bytes`` in an annotation is the type, though some records have a field of that name."""
    for node in list(doctree.findall(pending_xref)):
        if node.get("refdomain") == "py" and node.get("reftype") == "class" and hasattr(builtins, node["reftarget"]):
            node.replace_self(nodes.Text(node["reftarget"]))


def without_fields(
    app: Sphinx, what: str, name: str, obj: object, options: object, signature: str | None, returns: str | None
) -> tuple[str, None] | None:
    """A record's fields are listed below it, with their units: no signature of thirty arguments above them."""
    return ("", None) if dataclasses.is_dataclass(obj) and isinstance(obj, type) else None


def keep_colons(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """An empty comment in front: napoleon takes what is before the first colon of an attribute's text for its type."""
    if what in ("attribute", "data", "property"):
        lines[:0] = ["..", ""]


def readme_is_the_index(app: Sphinx, page: str, source: list[str]) -> None:
    """On GitHub a project begins with its README, in the site with ``index.md``, which no page above replaces."""
    source[0] = re.sub(r"\]\(((?:\.\./)*)\.\./README\.md(?:#[^)]*)?\)", r"](\1index.md)", source[0])


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("missing-reference", resolve)
    app.connect("source-read", readme_is_the_index)
    app.connect("doctree-read", builtins_are_text)
    app.connect("autodoc-process-signature", without_fields)
    app.connect("autodoc-process-docstring", keep_colons, priority=400)  # napoleon's is 500
    return {"parallel_read_safe": True, "version": "1"}
